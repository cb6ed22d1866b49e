from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models.hf.engine.trie import (
    Branch,
    Path,
    Wave,
    arrange,
    common,
    measure,
    needed,
    waves,
)


@st.composite
def path_sets(draw: st.DrawFn) -> list[Path]:
    """Different paths over a small alphabet, so that they share much."""
    token_lists = draw(
        st.lists(
            st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple),
            min_size=1,
            max_size=20,
            unique=True,
        )
    )
    return [
        Path(
            np.array(tokens, np.int32),
            prompt=draw(st.integers(1, len(tokens))),
            group=draw(st.sampled_from("xy")),
            rank=draw(st.integers(0, 2)),
            growth=draw(st.integers(0, 3)),
        )
        for tokens in token_lists
    ]


def rebuilt(paths: list[Path], branches: list[Branch]) -> dict[int, tuple[int, ...]]:
    """Each path as its shared part of the path before and its own new tokens."""
    found = {}
    before: tuple[int, ...] = ()
    for branch in branches:
        tokens = tuple(paths[branch.path].tokens.tolist())
        own = tokens[len(tokens) - branch.new :]
        before = found[branch.path] = before[: branch.shared] + own
    return found


@given(path_sets())
def test_the_walk_rebuilds_every_path(paths: list[Path]) -> None:
    branches = arrange(paths)
    assert rebuilt(paths, branches) == {n: tuple(p.tokens.tolist()) for n, p in enumerate(paths)}
    for branch in branches:
        assert branch.shared < paths[branch.path].prompt  # the prompt's last token is computed


@given(path_sets())
def test_within_a_group_nothing_that_any_path_before_holds_is_computed_again(
    paths: list[Path],
) -> None:
    walked: defaultdict[str, list[Path]] = defaultdict(list)
    for branch in arrange(paths):
        path = paths[branch.path]
        before = walked[path.group]
        best = max((common(path.tokens, other.tokens) for other in before), default=0)
        assert branch.shared >= min(best, path.prompt - 1)
        before.append(path)


@given(path_sets())
def test_groups_stay_together_by_rank_and_length(paths: list[Path]) -> None:
    order = [paths[branch.path].group for branch in arrange(paths)]
    groups = list(dict.fromkeys(order))
    assert order == sorted(order, key=groups.index)

    def urgency(group: str) -> tuple[int, int]:
        members = [path for path in paths if path.group == group]
        return min(p.rank for p in members), -max(len(p.tokens) for p in members)

    assert [urgency(g) for g in groups] == sorted(map(urgency, groups))


@given(path_sets(), st.integers(1, 40), st.integers(1, 40))
def test_waves_and_passes_keep_the_order_and_the_budgets(
    paths: list[Path], most: int, per_pass: int
) -> None:
    branches = arrange(paths)
    cut = waves(branches, most_tokens=most, pass_tokens=per_pass)
    assert [branch for wave in cut for branch in wave.branches] == branches
    for wave in cut:
        members = list(wave.branches)
        assert members
        assert len(members) == 1 or members[0].shared + wave.tokens <= most
        for each in wave.passes:
            assert each
            assert len(each) == 1 or sum(branch.new for branch in each) <= per_pass


@given(path_sets(), st.integers(1, 20), st.data())
def test_the_waves_that_are_needed_hold_all_that_the_wanted_ones_build_on(
    paths: list[Path], most: int, data: st.DataObject
) -> None:
    cut = waves(arrange(paths), most_tokens=most, pass_tokens=most)
    wanted = data.draw(st.sets(st.integers(0, len(paths) - 1)))
    must = needed(cut, wanted)
    assert must >= {n for n, w in enumerate(cut) if any(b.path in wanted for b in w.branches)}
    # Walk the needed waves alone: what a path shares must have been computed by then.
    held: tuple[int, ...] = ()
    for number, wave in enumerate(cut):
        for branch in wave.branches:
            held = held[: branch.shared]
            if number in must:
                tokens = tuple(paths[branch.path].tokens.tolist())
                assert held == tokens[: branch.shared]
                held = tokens


def test_no_wave_is_needed_for_nothing() -> None:
    paths = [Path(np.array([n, n], np.int32), prompt=1) for n in range(6)]
    cut = waves(arrange(paths), most_tokens=2, pass_tokens=2)
    assert len(cut) == 6
    assert needed(cut, {3}) == {3}
    assert needed(cut, set()) == set()


def test_sizes_of_a_chain_of_shots() -> None:
    """One shot and two shots of one query: instruction and first exemplar are shared."""
    one = Path(np.array([1, 2, 3, 9, 8, 8], np.int32), prompt=4)
    two = Path(np.array([1, 2, 3, 4, 5, 9, 8, 8], np.int32), prompt=6)
    sizes = measure([one, two], [1, 2])
    assert sizes.requests == 3
    assert sizes.written == 6 + 2 * 8
    assert sizes.computed == 6 + 8 - 3
    assert sizes.predicted == 3 + 3
    # Sorted, the longer chain comes first (4 before 9): 1 + … + 8, then 4 + 5 + 6.
    assert sizes.attended == 36 + 15


@given(path_sets())
def test_sharing_never_adds_tokens(paths: list[Path]) -> None:
    sizes = measure(paths, [1] * len(paths))
    assert sizes.computed <= sizes.written == sum(len(path.tokens) for path in paths)
    places = [n for b in arrange(paths) for n in range(b.shared, b.shared + b.new)]
    assert sizes.attended == sum(place + 1 for place in places)


def test_a_wave_lists_its_branches_in_order() -> None:
    branches = [Branch(n, 0, 1, 1) for n in range(3)]
    wave = Wave(((branches[0],), (branches[1], branches[2])))
    assert list(wave.branches) == branches
    assert wave.tokens == 6

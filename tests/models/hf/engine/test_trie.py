from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models.hf.engine.trie import (
    Branch,
    RequestBatch,
    TokenPath,
    common_prefix_length,
    count_tokens,
    order_paths,
    plan_batches,
    required_batches,
)


@st.composite
def path_sets(draw: st.DrawFn) -> list[TokenPath]:
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
        TokenPath(
            np.array(tokens, np.int32),
            prompt_length=draw(st.integers(1, len(tokens))),
            group=draw(st.sampled_from("xy")),
            rank=draw(st.integers(0, 2)),
            reserved=draw(st.integers(0, 3)),
        )
        for tokens in token_lists
    ]


def rebuilt(paths: list[TokenPath], branches: list[Branch]) -> dict[int, tuple[int, ...]]:
    """Each path as its shared part of the path before and its own new tokens."""
    found = {}
    before: tuple[int, ...] = ()
    for branch in branches:
        tokens = tuple(paths[branch.index].tokens.tolist())
        own = tokens[len(tokens) - branch.new :]
        before = found[branch.index] = before[: branch.shared] + own
    return found


@given(path_sets())
def test_the_walk_rebuilds_every_path(paths: list[TokenPath]) -> None:
    branches = order_paths(paths)
    assert rebuilt(paths, branches) == {n: tuple(p.tokens.tolist()) for n, p in enumerate(paths)}
    for branch in branches:
        assert (
            branch.shared < paths[branch.index].prompt_length
        )  # the prompt's last token is computed


@given(path_sets())
def test_within_a_group_nothing_that_any_path_before_holds_is_computed_again(
    paths: list[TokenPath],
) -> None:
    walked: defaultdict[str, list[TokenPath]] = defaultdict(list)
    for branch in order_paths(paths):
        path = paths[branch.index]
        before = walked[path.group]
        best = max((common_prefix_length(path.tokens, other.tokens) for other in before), default=0)
        assert branch.shared >= min(best, path.prompt_length - 1)
        before.append(path)


@given(path_sets())
def test_groups_stay_together_by_rank_and_length(paths: list[TokenPath]) -> None:
    order = [paths[branch.index].group for branch in order_paths(paths)]
    groups = list(dict.fromkeys(order))
    assert order == sorted(order, key=groups.index)

    def group_key(group: str) -> tuple[int, int]:
        members = [path for path in paths if path.group == group]
        return min(p.rank for p in members), -max(len(p.tokens) for p in members)

    assert [group_key(g) for g in groups] == sorted(map(group_key, groups))


@given(path_sets(), st.integers(1, 40), st.integers(1, 40))
def test_batches_and_passes_keep_the_order_and_the_budgets(
    paths: list[TokenPath], most: int, per_pass: int
) -> None:
    branches = order_paths(paths)
    batches = plan_batches(branches, kv_cache_tokens=most, pass_tokens=per_pass)
    assert [branch for batch in batches for branch in batch.branches] == branches
    for batch in batches:
        members = list(batch.branches)
        assert members
        assert len(members) == 1 or members[0].shared + batch.tokens <= most
        for each in batch.passes:
            assert each
            assert len(each) == 1 or sum(branch.new for branch in each) <= per_pass


@given(path_sets(), st.integers(1, 20), st.data())
def test_the_batches_that_are_required_hold_all_that_the_wanted_ones_build_on(
    paths: list[TokenPath], most: int, data: st.DataObject
) -> None:
    batches = plan_batches(order_paths(paths), kv_cache_tokens=most, pass_tokens=most)
    wanted = data.draw(st.sets(st.integers(0, len(paths) - 1)))
    required = required_batches(batches, wanted)
    assert required >= {
        n for n, w in enumerate(batches) if any(b.index in wanted for b in w.branches)
    }
    # Walk the required batches alone: what a path shares must have been computed by then.
    held: tuple[int, ...] = ()
    for number, batch in enumerate(batches):
        for branch in batch.branches:
            held = held[: branch.shared]
            if number in required:
                tokens = tuple(paths[branch.index].tokens.tolist())
                assert held == tokens[: branch.shared]
                held = tokens


def test_no_batch_is_required_for_nothing() -> None:
    paths = [TokenPath(np.array([n, n], np.int32), prompt_length=1) for n in range(6)]
    batches = plan_batches(order_paths(paths), kv_cache_tokens=2, pass_tokens=2)
    assert len(batches) == 6
    assert required_batches(batches, {3}) == {3}
    assert required_batches(batches, set()) == set()


def test_sizes_of_a_chain_of_shots() -> None:
    """One shot and two shots of one query: instruction and first exemplar are shared."""
    one = TokenPath(np.array([1, 2, 3, 9, 8, 8], np.int32), prompt_length=4)
    two = TokenPath(np.array([1, 2, 3, 4, 5, 9, 8, 8], np.int32), prompt_length=6)
    sizes = count_tokens([one, two], [1, 2])
    assert sizes.requests == 3
    assert sizes.written == 6 + 2 * 8
    assert sizes.computed == 6 + 8 - 3
    assert sizes.predicted == 3 + 3
    # Sorted, the longer chain comes first (4 before 9): 1 + … + 8, then 4 + 5 + 6.
    assert sizes.attended == 36 + 15
    assert sizes.decoded == 0


def test_responses_that_are_decoded_are_as_long_as_what_is_reserved_for_them() -> None:
    """Of a gold target of seven tokens, a path may hold the first ones alone."""
    path = TokenPath(np.array([1, 2, 3, 8, 8], np.int32), prompt_length=3, reserved=7)
    assert count_tokens([path], [1], full=True).decoded == 7
    assert count_tokens([path], [1]).decoded == 0


@given(path_sets())
def test_sharing_never_adds_tokens(paths: list[TokenPath]) -> None:
    sizes = count_tokens(paths, [1] * len(paths))
    assert sizes.computed <= sizes.written == sum(len(path.tokens) for path in paths)
    positions = [n for b in order_paths(paths) for n in range(b.shared, b.shared + b.new)]
    assert sizes.attended == sum(position + 1 for position in positions)


def test_a_batch_lists_its_branches_in_order() -> None:
    branches = [Branch(n, 0, 1, 1) for n in range(3)]
    batch = RequestBatch(((branches[0],), (branches[1], branches[2])))
    assert list(batch.branches) == branches
    assert batch.tokens == 6

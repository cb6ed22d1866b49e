"""OOD exemplars that follow the coverage of their ID twins: pure, nested, the nearest there are."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import benchmarks

from icl_gap.errors import SamplingError
from icl_gap.sampling import (
    Pool,
    SamplerSpec,
    pool_split,
    queries,
    sample,
    sample_exemplars,
    sample_matched,
)
from icl_gap.sampling import matching as module
from icl_gap.sampling.matching import TOLERANCE, Cover, covers, nearest_cover
from icl_gap.sampling.stream import Stream
from icl_gap.schema import Benchmark, Example, Exemplars

sides = st.sampled_from(("train", "test"))
selections = st.sampled_from(("oracle_coverage", "random", "bm25", "cover_ls", "length"))


def toy(train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Benchmark:
    rows = [
        tuple(Example(f"{name}-{i}", *pair) for i, pair in enumerate(side))
        for name, side in (("train", train), ("test", test))
    ]
    return Benchmark("toy", "toy", *rows, fingerprint="0")


def matched(
    bench: Benchmark, side: str, query: Example, shots: int, spec: SamplerSpec
) -> Exemplars:
    own, other = (Pool(bench, pool_split(side, name)) for name in ("id", "ood_matched"))
    twin = sample(spec, own, query, shots=shots, seed=3)
    return sample_matched(spec, other, twin, own, seed=3)


def most(bench: Benchmark, side: str, query: Example) -> int:
    """The most shots that both pools can show a query, one left for shuffled targets."""
    pools = [Pool(bench, pool_split(side, name)) for name in ("id", "ood_matched")]
    rooms = [len(pool.examples) - len(pool.held_out(query, "source")) for pool in pools]
    return max(0, min(rooms) - 1)


@given(benchmarks(), sides, selections, st.booleans(), st.data())
def test_shots_are_nested_and_hold_no_query(bench, side, selection, shuffled, data) -> None:
    spec = SamplerSpec(selection=selection, shuffled_targets=shuffled)
    query = data.draw(st.sampled_from(queries(bench, side, spec)))
    shots = most(bench, side, query)
    assume(shots)
    found = matched(bench, side, query, shots, spec)
    ids = [example.id for example in found.examples]
    assert len(set(ids)) == len(ids) == shots
    assert all(id_.startswith("test" if side == "train" else "train") for id_ in ids)
    assert query.source not in {example.source for example in found.examples}
    assert found.matched is not None
    assert len(found.matched) == len(found.coverage) == shots + 1
    fewer = data.draw(st.integers(0, shots))
    assert matched(bench, side, query, fewer, spec) == found.first(fewer)


@given(benchmarks(max_size=9), sides, st.integers(0, 5), st.data())
def test_each_exemplar_is_as_near_as_any(bench, side, seed, data) -> None:
    query = data.draw(st.sampled_from(queries(bench, side, SamplerSpec())))
    shots = most(bench, side, query)
    assume(shots)
    own, other = (Pool(bench, pool_split(side, name)) for name in ("id", "ood_matched"))
    twin = sample(SamplerSpec(), own, query, shots=shots, seed=seed)
    goals = covers(own, query, own.positions_of(e.id for e in twin.examples))
    taken = other.held_out(query, "source")
    found = list(nearest_cover(other, query, goals, taken, Stream(seed)))

    def far(positions: list[int], goal: Cover) -> float:
        cover = covers(other, query, positions)[-1]
        shares = sum(abs(a - b) for a, b in zip(cover[:3], goal[:3], strict=True))
        return round(shares + (cover.longer != goal.longer), 5)

    for k, goal in enumerate(goals):
        left = set(range(len(other.examples))) - taken - set(found[:k])
        assert far(found[: k + 1], goal) == min(far([*found[:k], each], goal) for each in left)


@given(benchmarks(), sides, st.integers(1, 4))
def test_blocks_leave_the_draw_pure(bench, side, block) -> None:
    """Pools cut into small blocks give exemplars too, the same at every call."""
    query = queries(bench, side, SamplerSpec())[0]
    shots = min(block, most(bench, side, query))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", max(4, block))
        patch.setattr(module, "RARE", 0)
        try:
            one = matched(bench, side, query, shots, SamplerSpec())
        except SamplingError:
            return  # the block holds too few examples besides those held out
        assert matched(bench, side, query, shots, SamplerSpec()) == one


def test_all_holders_of_rare_items_are_candidates(monkeypatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 5)
    rows = [(f"w{n} a", f"W{n} A") for n in range(60)]
    bench = toy(rows, [("w7 b", "W7 B"), ("w7 c", "W7 C")])
    drawn = sample_exemplars(bench, query_split="test", condition="ood_matched", shots=1, seed=0)
    assert {each.examples[0].id for each in drawn} == {"train-7"}


def test_coverage_is_that_of_the_twin_where_the_pool_allows_it() -> None:
    """OOD examples come in pairs: one that holds what an ID exemplar holds, and one with more."""
    test = [(f"{verb} {noun}", f"{verb.upper()} {noun}") for verb in "abc" for noun in "xyz"]
    train = [(f"{s} {s[0]}{n}", f"{t} {n}") for s, t in test for n in range(3)] * 2
    drawn = {
        condition: sample_exemplars(
            toy(train, test), query_split="test", condition=condition, shots=3, seed=1
        )
        for condition in ("id", "ood", "ood_matched")
    }
    assert all(all(each.matched or ()) for each in drawn["ood_matched"])
    assert {each.matched for each in drawn["ood"] + drawn["id"]} == {None}
    for twin, found in zip(drawn["id"], drawn["ood_matched"], strict=True):
        assert found.query == twin.query
        assert found.coverage == pytest.approx(twin.coverage, abs=TOLERANCE)
    assert [each.coverage for each in drawn["ood"]] != [each.coverage for each in drawn["id"]]


def test_what_the_pool_lacks_is_not_matched() -> None:
    """No OOD target is as long as the query's, and each ID exemplar is."""
    bench = toy([("a", "A"), ("a b", "A")], [("a b", "A A"), ("b a", "A A"), ("b", "A A")])
    drawn = sample_exemplars(bench, query_split="test", condition="ood_matched", shots=1, seed=0)
    assert {each.matched for each in drawn} == {(True, False)}


def test_covers_count_each_kind_of_item() -> None:
    bench = toy([("a", "A"), ("a b", "A B"), ("c", "C D E")], [("a b c", "A B C D")])
    found = covers(Pool(bench, "train"), bench.test[0], [0, 1, 2])
    assert found == [
        Cover(1 / 3, 1 / 4, 0, longer=True),
        Cover(2 / 3, 2 / 4, 1 / 3, longer=True),
        Cover(1, 1, 2 / 3, longer=True),
    ]
    assert covers(Pool(bench, "train"), Example("q", "", ""), [0]) == [Cover(1, 1, 1, longer=False)]


def test_a_difference_beyond_the_tolerance_in_any_share_is_no_match() -> None:
    twin = Cover(0.5, 0.5, 0.5, longer=False)
    assert Cover(0.55, 0.45, 0.5, longer=False).matches(twin)
    assert not Cover(0.56, 0.5, 0.5, longer=False).matches(twin)
    assert not Cover(0.5, 0.5, 0.44, longer=False).matches(twin)
    assert not twin._replace(longer=True).matches(twin)


def test_a_set_that_all_queries_share_cannot_follow_each() -> None:
    bench = toy([("a", "A")] * 9, [("b", "B")] * 9)
    with pytest.raises(SamplingError, match="follows each query's coverage"):
        sample_exemplars(
            bench,
            query_split="test",
            condition="ood_matched",
            shots=1,
            seed=0,
            selection="shared",
        )

"""The invariants of DESIGN: pure, nested, never the query itself, the rarest primitive first."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import benchmarks, embed

from icl_gap.errors import SamplingError
from icl_gap.programs.templates import program_template
from icl_gap.sampling import (
    Pool,
    SamplerSpec,
    Selection,
    pool_split,
    queries,
    sample,
    sample_exemplars,
)
from icl_gap.sampling.pool import is_reserved, primitives
from icl_gap.schema import Benchmark, Example

SELECTIONS = get_args(Selection)
sides = st.sampled_from(("train", "test"))
conditions = st.sampled_from(("id", "ood"))
seeds = st.integers(-5, 5)


def toy(train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Benchmark:
    rows = [
        tuple(Example(f"{name}-{i}", *pair) for i, pair in enumerate(side))
        for name, side in (("train", train), ("test", test))
    ]
    return Benchmark("toy", "toy", *rows, fingerprint="0")


def room(spec: SamplerSpec, pool: Pool, query: Example) -> int:
    """How many examples the pool can show this query."""
    open_to_all = set(pool.reserved if spec.selection == "shared" else range(len(pool.examples)))
    return len(open_to_all - pool.held_out(query, spec.hold_out))


@given(benchmarks(), sides, conditions, seeds, st.sampled_from(SELECTIONS), st.data())
def test_shots_are_nested(bench, side, condition, seed, selection, data) -> None:
    spec = SamplerSpec(selection=selection)
    asked = queries(bench, side, spec)
    assume(asked)
    query = data.draw(st.sampled_from(asked))
    pool = Pool(bench, pool_split(side, condition), embed=embed)
    most = room(spec, pool, query)
    many = sample(spec, pool, query, shots=most, seed=seed)
    fewer = data.draw(st.integers(0, most))
    assert sample(spec, pool, query, shots=fewer, seed=seed) == many.first(fewer)


@given(benchmarks(), sides, conditions, seeds, st.sampled_from(SELECTIONS), st.data())
def test_shuffled_targets_are_those_of_the_exemplars_chosen_next(
    bench, side, condition, seed, selection, data
) -> None:
    plain = SamplerSpec(selection=selection)
    asked = queries(bench, side, plain)
    assume(asked)
    query = data.draw(st.sampled_from(asked))
    pool = Pool(bench, pool_split(side, condition), embed=embed)
    most = room(plain, pool, query)
    assume(most > 1)
    shuffled = SamplerSpec(selection=selection, shuffled_targets=True)
    own = sample(plain, pool, query, shots=most, seed=seed)
    found = sample(shuffled, pool, query, shots=most - 1, seed=seed)
    assert [each.source for each in found.examples] == [e.source for e in own.examples[:-1]]
    assert [each.target for each in found.examples] == [e.target for e in own.examples[1:]]
    assert [(each.id, each.target_id) for each in found.examples] == [
        (one.id, other.id) for one, other in pairwise(own.examples)
    ]
    assert found.coverage == own.first(most - 1).coverage
    fewer = data.draw(st.integers(0, most - 1))
    assert sample(shuffled, pool, query, shots=fewer, seed=seed) == found.first(fewer)
    with pytest.raises(SamplingError, match=f"at most {most - 1} shots"):
        sample(shuffled, pool, query, shots=most, seed=seed)


@given(benchmarks(), sides, conditions, seeds, st.sampled_from(SELECTIONS), st.data())
def test_the_query_is_never_among_its_exemplars(
    bench, side, condition, seed, selection, data
) -> None:
    spec = SamplerSpec(
        selection=selection, hold_out=data.draw(st.sampled_from(["source", "template"]))
    )
    pool = Pool(bench, pool_split(side, condition), embed=embed)
    for query in queries(bench, side, spec):
        shown = sample(spec, pool, query, shots=room(spec, pool, query), seed=seed).examples
        assert query.id not in {example.id for example in shown}
        assert query.source not in {example.source for example in shown}
        if spec.hold_out == "template":
            assert program_template(query.target) not in {
                program_template(example.target) for example in shown
            }
        assert len({example.id for example in shown}) == len(shown)


@given(benchmarks(), sides, conditions, seeds, st.sampled_from(SELECTIONS), st.integers(1, 5))
def test_exemplars_do_not_depend_on_limit_or_order(
    bench, side, condition, seed, selection, limit
) -> None:
    spec = SamplerSpec(selection=selection)
    pool = Pool(bench, pool_split(side, condition), embed=embed)
    asked = queries(bench, side, spec)
    shots = min((room(spec, pool, query) for query in asked), default=0)
    everything = {q.id: sample(spec, pool, q, shots=shots, seed=seed) for q in reversed(asked)}
    some = sample_exemplars(
        bench,
        query_split=side,
        condition=condition,
        shots=shots,
        seed=seed,
        selection=selection,
        embed=embed,
        limit=limit,
    )
    assert [e.query for e in some] == asked[:limit]
    assert all(everything[e.query.id] == e for e in some)


@given(benchmarks(), sides, conditions, seeds)
def test_coverage_comes_first_and_is_complete_where_it_can_be(bench, side, condition, seed) -> None:
    spec = SamplerSpec()
    pool = Pool(bench, pool_split(side, condition), embed=embed)
    for query in queries(bench, side, spec, limit=4):
        drawn = sample(spec, pool, query, shots=room(spec, pool, query), seed=seed)
        wanted = primitives(query, str.split)
        held = {p for example in drawn.examples for p in primitives(example, str.split)}
        assert drawn.coverage[0] == 0
        assert drawn.coverage[-1] == pytest.approx(len(wanted.keys() & held) / len(wanted))
        gains = [b - a for a, b in zip(drawn.coverage, drawn.coverage[1:], strict=False)]
        covering = sum(gain > 0 for gain in gains)
        assert all(gain > 0 for gain in gains[:covering])
        assert all(gain == 0 for gain in gains[covering:])


def test_the_rarest_primitive_is_covered_first() -> None:
    common = [(f"walk {n}", "W") for n in range(5)]
    bench = toy([*common, ("jump 9", "J")], [("walk jump", "W J")])
    for seed in range(20):
        drawn = sample_exemplars(bench, query_split="test", condition="ood", shots=2, seed=seed)[0]
        assert drawn.examples[0].source == "jump 9"
        assert drawn.examples[1].source.startswith("walk")
        assert drawn.coverage == (0.0, 0.5, 1.0)


def test_a_primitive_that_only_held_out_examples_have_is_passed_over() -> None:
    bench = toy([("jump", "J"), ("walk 1", "W"), ("walk 2", "W")], [("jump", "J")])
    drawn = sample_exemplars(bench, query_split="test", condition="ood", shots=2, seed=0)[0]
    assert {example.source for example in drawn.examples} == {"walk 1", "walk 2"}
    assert drawn.coverage[-1] == 0


@given(benchmarks(), seeds, sides)
def test_a_shared_set_serves_all_queries_and_holds_none_of_them(bench, seed, side) -> None:
    spec = SamplerSpec(selection="shared")
    asked = queries(bench, side, spec)
    pool = Pool(bench, side)
    shots = len(pool.reserved)
    sets = {sample(spec, pool, query, shots=shots, seed=seed).examples for query in asked}
    assert len(sets) <= 1
    texts = {query.source for query in asked}
    assert all(example.source not in texts for shown in sets for example in shown)
    assert all(is_reserved(example) for shown in sets for example in shown)


def test_draws_are_uniform() -> None:
    bench = toy([(f"s {n}", f"t {n}") for n in range(5)], [(f"q {n}", "x") for n in range(3000)])
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for drawn in sample_exemplars(
        bench, query_split="test", condition="ood", shots=2, seed=1, selection="random"
    ):
        first[drawn.examples[0].id] += 1
        second[drawn.examples[1].id] += 1
    for counts in (first, second):
        # 3000 draws over 5: 600 each, standard deviation 22
        assert len(counts) == 5
        assert all(abs(count - 600) < 90 for count in counts.values())


def test_seed_pool_and_query_each_change_the_draw() -> None:
    pairs = [(f"s {n}", f"t {n}") for n in range(200)]
    bench = toy(pairs, [("q", "x"), ("r", "y")])

    def shown(seed: int) -> list[tuple[str, ...]]:
        drawn = sample_exemplars(
            bench, query_split="test", condition="ood", shots=5, seed=seed, selection="random"
        )
        return [tuple(example.id for example in each.examples) for each in drawn]

    assert shown(0) == shown(0)
    assert shown(0) != shown(1)
    assert shown(0)[0] != shown(0)[1]


def test_the_first_draws_are_pinned() -> None:
    """Published exemplars must be the same in every version: this may never change."""
    bench = toy([(f"s {n}", f"t {n}") for n in range(1000)], [("q", "x")])
    drawn = sample_exemplars(
        bench, query_split="test", condition="ood", shots=4, seed=0, selection="random"
    )[0]
    shown = [example.id for example in drawn.examples]
    assert shown == ["train-111", "train-254", "train-726", "train-707"]


def test_too_many_shots_name_what_is_possible() -> None:
    bench = toy([("a", "A"), ("b", "B")], [("c", "C")])
    with pytest.raises(SamplingError, match="at most 2 shots"):
        sample_exemplars(bench, query_split="test", condition="ood", shots=3, seed=0)


@pytest.mark.parametrize(
    "bad",
    [
        {"query_split": "dev"},
        {"condition": "iid"},
        {"selection": "best"},
        {"shots": -1},
        {"limit": -1},
    ],
)
def test_bad_arguments_are_named(bad) -> None:
    bench = toy([("a", "A")], [("b", "B")])
    arguments = {"query_split": "test", "condition": "ood", "shots": 1, "seed": 0, **bad}
    with pytest.raises(SamplingError, match=next(iter(bad))):
        sample_exemplars(bench, **arguments)

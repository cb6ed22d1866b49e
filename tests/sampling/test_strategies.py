"""What each strategy chooses first. That all are pure and nested, `test_exemplars` tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import embed

from icl_gap.errors import SamplingError
from icl_gap.sampling import Pool, SamplerSpec, order_exemplars, sample, sample_exemplars
from icl_gap.sampling.strategies import STRATEGIES, _greedy_map
from icl_gap.schema import Benchmark, Example, Exemplars

SOURCES = (
    "walk and run",
    "walk and run twice",
    "jump around left",
    "look",
    "walk",
    "turn left twice and look",
)
QUERY = Example("q", "walk and run thrice", "W R R R")


def pool(*sources: str, targets: dict[str, str] | None = None) -> Pool:
    rows = tuple(
        Example(f"p{n}", source, (targets or {}).get(source, source.upper()))
        for n, source in enumerate(sources or SOURCES)
    )
    return Pool(Benchmark("toy", "toy", rows, (QUERY,), fingerprint="0"), "train", embed=embed)


def chosen(selection: str, shots: int, seed: int = 0, **of: Pool) -> list[str]:
    spec = SamplerSpec.model_validate({"selection": selection})
    drawn = sample(spec, of.get("pool") or pool(), QUERY, shots=shots, seed=seed)
    return [example.source for example in drawn.examples]


def test_bm25_takes_what_fits_best() -> None:
    assert chosen("bm25", 2) == ["walk and run", "walk and run twice"]


def test_what_fits_alike_is_drawn_at_random_and_by_the_seed() -> None:
    alike = pool(*(f"walk {n}" for n in range(6)))
    first = {chosen("bm25", 1, seed, pool=alike)[0] for seed in range(40)}
    assert first == {f"walk {n}" for n in range(6)}
    assert chosen("bm25", 6, 3, pool=alike) == chosen("bm25", 6, 3, pool=alike)


def test_embeddings_find_what_is_most_alike() -> None:
    wanted, *others = embed([QUERY.source, *SOURCES])
    likeness = {
        source: float(other @ wanted) for source, other in zip(SOURCES, others, strict=True)
    }
    found = chosen("embedding", len(SOURCES))
    assert [likeness[each] for each in found] == sorted(likeness.values(), reverse=True)


def test_without_an_embedding_there_is_nothing_to_choose_by() -> None:
    bench = Benchmark("toy", "toy", (Example("a", "walk", "W"),), (QUERY,), fingerprint="0")
    with pytest.raises(SamplingError, match="nothing to embed with"):
        sample_exemplars(
            bench, query_split="test", condition="ood", shots=1, seed=0, selection="embedding"
        )


def test_length_takes_the_nearest() -> None:
    lengths = [len(source.split()) for source in chosen("length", 6)]
    assert lengths == sorted(lengths, key=lambda n: abs(n - 4))


def test_words_are_covered_before_anything_fits_twice() -> None:
    some = pool("walk and look", "walk and jump", "walk and turn", "run")
    assert set(chosen("cover_utterance", 2, pool=some)) >= {"run"}


def test_structures_of_the_gold_target_are_covered() -> None:
    targets = {"look": "R R", "walk": "W R"}
    some = Pool(
        Benchmark(
            "toy",
            "toy",
            tuple(Example(s, s, targets.get(s, "X")) for s in SOURCES),
            (QUERY,),
            fingerprint="0",
        ),
        "train",
        structures=lambda target: [
            f"{a} {b}" for a, b in zip(*(target.split()[n:] for n in (0, 1)), strict=False)
        ],
    )
    assert set(chosen("cover_ls", 2, pool=some)) == {"look", "walk"}


def test_a_template_is_not_shown_twice_while_something_is_uncovered() -> None:
    rows = {"a b": "F ( m0 )", "c": "F ( m7 )", "c x y z": "G"}
    some = tuple(Example(source, source, target) for source, target in rows.items())
    query = Example("q", "a b c", "T ( m0 )")
    of = Pool(Benchmark("toy", "toy", some, (query,), fingerprint="0"), "train")
    drawn = sample(SamplerSpec(selection="cover_utterance"), of, query, shots=3, seed=0)
    # `c` alone fits better than the longer one, but its template is the first one's.
    assert [example.source for example in drawn.examples] == ["a b", "c x y z", "c"]


def test_a_dpp_takes_no_near_copy_while_something_else_fits() -> None:
    some = pool("walk and run", "walk and run", "run thrice now", "look")
    assert set(chosen("dpp", 2, pool=some)) == {"walk and run", "run thrice now"}


@given(st.integers(0, 1000), st.integers(2, 5))
def test_the_greedy_choice_is_the_largest_determinant_each_time(seed, n) -> None:
    rows = np.random.default_rng(seed).normal(size=(n, n))
    kernel = rows @ rows.T
    order = list(_greedy_map(kernel))
    for k in range(1, len(order) + 1):
        before = order[: k - 1]
        volume = {
            other: np.linalg.det(kernel[np.ix_([*before, other], [*before, other])])
            for other in range(n)
            if other not in before
        }
        assert volume[order[k - 1]] == pytest.approx(max(volume.values()), rel=1e-6)


@pytest.mark.parametrize("selection", sorted(STRATEGIES.keys() - {"shared"}))
@pytest.mark.parametrize(("source", "rows"), [("", ["walk", "run"]), ("walk", ["", ""]), ("x", [])])
def test_sources_without_words_fit_nothing_and_are_no_error(selection, source, rows) -> None:
    examples = tuple(Example(f"p{n}", row, "T") for n, row in enumerate(rows))
    query = Example("q", source, "T")
    bench = Benchmark("toy", "toy", examples, (query,), fingerprint="0")
    of = Pool(bench, "train", embed=embed)
    spec = SamplerSpec(selection=selection)
    drawn = sample(spec, of, query, shots=len(rows), seed=0)
    assert {example.id for example in drawn.examples} == {example.id for example in examples}


def test_a_strategy_that_is_none_is_refused_with_those_that_are() -> None:
    bench = Benchmark("toy", "toy", pool().examples, (QUERY,), fingerprint="0")
    with pytest.raises(SamplingError, match="bm25"):
        sample_exemplars(
            bench, query_split="test", condition="ood", shots=1, seed=0, selection="best"
        )
    with pytest.raises(SamplingError, match="`selection: cover_words` is now `selection: cover_u"):
        sample_exemplars(
            bench, query_split="test", condition="ood", shots=1, seed=0, selection="cover_words"
        )


SHOWN = Exemplars(QUERY, pool().examples[:4], (0.0, 0.5, 0.5, 0.5, 0.5))


def test_orders() -> None:
    ids = {
        order: [e.id for e in order_exemplars(order, SHOWN, 0).examples]
        for order in ("selection", "reversed", "nearest_last")
    }
    assert ids["selection"] == ["p0", "p1", "p2", "p3"]
    assert ids["reversed"] == ["p3", "p2", "p1", "p0"]
    assert ids["nearest_last"] == ["p2", "p3", "p1", "p0"]


def test_shuffling_is_fair_and_keyed_by_seed_and_query() -> None:
    three = SHOWN.first(3)
    seen = [
        tuple(e.id for e in order_exemplars("shuffled", three, seed).examples)
        for seed in range(600)
    ]
    assert len(set(seen)) == 6
    assert max(seen.count(order) for order in set(seen)) < 140
    assert order_exemplars("shuffled", three, 5) == order_exemplars("shuffled", three, 5)

"""The bootstrap against a loop, and against simulated truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.synthetic import analyze, cell
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from icl_gap.analysis import bootstrap
from icl_gap.analysis.bootstrap import Draws, percentile_interval, resample
from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.pairing import Floats, PairedOutcomes
from icl_gap.analysis.points import Setting
from icl_gap.metrics import METRICS


def subject(model: str = "m", **changes: object) -> Setting:
    described = {
        "model": model,
        "family": "f",
        "n_params": 10,
        "n_params_non_embedding": 9,
        "size_source": "counted",
        "training_tokens": None,
        "trained": True,
        "dataset": "scan",
        "split": "mcd1",
        "partial": None,
        "shots": 5,
    }
    return Setting(**(described | changes))  # type: ignore[arg-type]


def paired(
    hits_id: Floats,
    hits_ood: Floats,
    answered: Floats | None = None,
    *,
    of: Setting | None = None,
    query_split: str = "test",
) -> PairedOutcomes:
    seeds, queries = hits_id.shape
    answered = np.ones_like(hits_id) if answered is None else answered
    zeros, nothing = np.zeros(seeds), np.zeros_like(hits_id)
    return PairedOutcomes(
        setting=of or subject(),
        query_split=query_split,  # type: ignore[arg-type]
        seeds=tuple(range(seeds)),
        query_ids=tuple(f"{n:05}" for n in range(queries)),
        crossed=False,
        hits_id=hits_id * answered,
        hits_ood=hits_ood * answered,
        answered=answered,
        logprob_id=nothing,
        logprob_ood=nothing,
        has_logprob=nothing,
        skipped=zeros,
        failed=zeros,
        unpaired_hits_id=zeros,
        unpaired_hits_ood=zeros,
        unanswered_id=zeros,
        unanswered_ood=zeros,
        shots=zeros,
        coverage_id=zeros,
        coverage_ood=zeros,
        matches={metric: np.zeros((seeds, 2)) for metric in METRICS},
    )


def random_block(seed: int, shape: tuple[int, int] = (3, 7), **changes: object) -> PairedOutcomes:
    rng = np.random.default_rng(seed)
    inside, outside, answered = ((rng.random(shape) < p).astype(float) for p in (0.6, 0.4, 0.8))
    return paired(inside, outside, answered, **changes)  # type: ignore[arg-type]


def seed_part(hits: Floats) -> float:
    return bootstrap.seed_part(np.stack([hits, hits]), np.ones_like(hits))


def drawn(blocks: list[PairedOutcomes], *, resamples: int = 50, seed: int = 0) -> list[Draws]:
    return resample(blocks, resamples=resamples, seed=seed, confidence=0.95)


@pytest.mark.parametrize("shape", [(3, 7), (1, 20), (4, 1)])
def test_draws_agree_with_a_loop_over_resamples(shape: tuple[int, int]) -> None:
    block, resamples = random_block(0, shape), 60
    query_stream = bootstrap.generator(5, "scan", "mcd1", "test", block.query_ids)
    query_weights = bootstrap._weights(query_stream, resamples, shape[1])
    (found,) = drawn([block], resamples=resamples, seed=5)
    for b in range(resamples):
        hits = dict.fromkeys(("id", "ood", "answered"), 0.0)
        for s in range(shape[0]):
            for q in range(shape[1]):
                times = query_weights[b, q]
                hits["id"] += times * block.hits_id[s, q]
                hits["ood"] += times * block.hits_ood[s, q]
                hits["answered"] += times * block.answered[s, q]
        expected = np.nan if not hits["answered"] else hits["id"] / hits["answered"]
        np.testing.assert_equal(found.a_id[b], expected)
        expected = np.nan if not hits["answered"] else hits["ood"] / hits["answered"]
        np.testing.assert_equal(found.a_ood[b], expected)


def test_seeds_add_spread_where_queries_share_their_exemplars() -> None:
    rng = np.random.default_rng(0)
    lucky = rng.normal(0.5, 0.2, size=(5, 1)).clip(0, 1)
    inside, outside = ((rng.random((5, 400)) < lucky).astype(float) for _ in range(2))
    (nested,) = drawn([paired(inside, outside)], resamples=4000)
    (crossed,) = drawn([replace(paired(inside, outside), crossed=True)], resamples=4000)
    by_seed = inside.mean(axis=1)
    # Nearly all the spread is between seeds: its variance over S, widened as Student's t is.
    few = stats.t.ppf(0.975, 4) / stats.norm.ppf(0.975)
    assert crossed.a_id.std() == pytest.approx(few * by_seed.std(ddof=1) / 5**0.5, rel=0.05)
    assert nested.a_id.std() < 0.3 * crossed.a_id.std()


@given(seed=st.integers(0, 10**6))
def test_the_part_of_seeds_is_what_the_analysis_of_variance_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hits = (rng.random((4, 30)) < rng.random((4, 1))).astype(float)
    table = stats.f_oneway(*hits)  # between seeds, but with the queries' spread in its error
    queries = 4 * hits.mean(axis=0).var() * 30
    error = hits.var() * 120 - queries - 30 * hits.mean(axis=1).var() * 4
    between = 30 * hits.mean(axis=1).var(ddof=1)
    assume(between > 0)
    within = (error + queries) / (4 * 29)
    assert table.statistic == pytest.approx(between / within)
    expected = max(0.0, 1 - (error / (3 * 29)) / between)
    assert seed_part(hits) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("hits", [np.zeros((3, 5)), np.ones((3, 5))])
def test_seeds_that_agree_add_nothing(hits: Floats) -> None:
    assert seed_part(hits) == 0
    (found,) = drawn([replace(paired(hits, hits), crossed=True)])
    assert (found.a_id == hits[0, 0]).all()


def test_weights_are_counts_of_draws_with_replacement() -> None:
    weights = bootstrap._weights(np.random.default_rng(0), 4000, 10)
    assert set(weights.sum(axis=1)) == {10}
    # Each count is binomial(10, 1/10): mean 1, variance 0.9.
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(weights.var(axis=0), 0.9, atol=0.1)


def test_draws_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    block = random_block(1)
    (whole,) = drawn([block], resamples=50, seed=0)
    monkeypatch.setattr(bootstrap, "CHUNK", 3 * 7)
    (chunked,) = drawn([block], resamples=50, seed=0)
    np.testing.assert_array_equal(whole.a_id, chunked.a_id)
    np.testing.assert_array_equal(whole.a_ood, chunked.a_ood)


def test_log_likelihoods_sum_to_the_same_whatever_stands_beside_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    logprobs = -rng.random((2, 8, 3, 200)).round(4)
    blocks = [
        replace(
            random_block(n, (3, 200), of=subject(f"m{n}")),
            logprob_id=inside,
            logprob_ood=outside,
            has_logprob=np.ones((3, 200)),
        )
        for n, (inside, outside) in enumerate(zip(*logprobs, strict=True))
    ]
    together = drawn(blocks)[0]
    monkeypatch.setattr(bootstrap, "CHUNK", 7 * 200)
    (alone,) = drawn(blocks[:1])
    np.testing.assert_array_equal(together.logprob_id, alone.logprob_id)
    np.testing.assert_array_equal(together.logprob_ood, alone.logprob_ood)


def test_models_share_resamples_and_benchmarks_do_not() -> None:
    blocks = [
        random_block(2, of=subject("small")),
        random_block(2, of=subject("large", shots=10)),
        random_block(2, of=subject("small", dataset="cfq")),
        random_block(2, of=subject("small"), query_split="train"),
    ]
    small, large, other, train = drawn(blocks, resamples=50, seed=0)
    np.testing.assert_array_equal(small.a_id, large.a_id)
    assert not np.array_equal(small.a_id, other.a_id)
    assert not np.array_equal(small.a_id, train.a_id)
    (again,) = drawn(blocks[1:2], resamples=50, seed=0)
    np.testing.assert_array_equal(large.a_ood, again.a_ood)
    (reseeded,) = drawn(blocks[1:2], resamples=50, seed=1)
    assert not np.array_equal(large.a_ood, reseeded.a_ood)


def test_query_splits_pool_under_the_same_seed_weights() -> None:
    test, train = (random_block(3, query_split=split) for split in ("test", "train"))
    shifts = [bootstrap._seed_shifts(block, 50, 0, 0.95) for block in (test, train)]
    np.testing.assert_array_equal(*shifts)


def test_the_global_random_state_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the point is the legacy state
    drawn([random_block(4)], resamples=50, seed=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002 - as above


def test_an_interval_is_made_of_order_statistics() -> None:
    values = np.random.default_rng(0).permutation(1000).astype(float)
    assert percentile_interval(values, 0.95, worst=(-1, 1)) == (24, 975)
    assert percentile_interval(values, 0.5, worst=(-1, 1)) == (249, 750)


@given(
    st.lists(st.floats(0, 1) | st.just(np.nan), min_size=40, max_size=80),
    st.sampled_from([0.5, 0.8, 0.95]),
)
def test_missing_values_only_widen_an_interval(values: list[float], confidence: float) -> None:
    known = np.array([0.5 if np.isnan(value) else value for value in values])
    narrow = percentile_interval(known, confidence, worst=(0, 1))
    wide = percentile_interval(np.array(values), confidence, worst=(0, 1))
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@pytest.mark.parametrize("crossed", [False, True])
def test_one_seed_resamples_queries_alone(crossed: bool) -> None:
    hits = np.array([[1.0, 0, 1, 1, 0, 0, 1, 0] * 10])
    one, three = (
        replace(paired(each, each), crossed=crossed) for each in (hits, np.repeat(hits, 3, axis=0))
    )
    drawn_one, drawn_three = drawn([one, three], resamples=100)
    # Seeds that agree in everything add no spread, whatever their weights.
    np.testing.assert_allclose(drawn_one.a_id, drawn_three.a_id)


def simulated(kind: str, rng: np.random.Generator, seeds: int, gap: float) -> tuple[Floats, Floats]:
    """Hits ID and OOD on 150 queries, of which the gap is known."""
    shape = (seeds, 150)
    match kind:
        case "queries decide":
            base, kept = rng.random(150) < 0.6, rng.random(150) < 1 - gap
            inside = base & (rng.random(shape) < 0.95)
            outside = base & kept & (rng.random(shape) < 0.95)
        case "chance decides":
            inside = rng.random(shape) < 0.5
            outside = rng.random(shape) < 0.5 * (1 - gap)
        case _:  # seeds count as well
            chance = rng.beta(0.25, 0.25, size=150)
            loss = gap + rng.normal(0, 0.15, size=(seeds, 1))
            inside = rng.random(shape) < chance
            outside = rng.random(shape) < chance * (1 - loss)
    return inside.astype(float), outside.astype(float)


@pytest.mark.parametrize(
    ("kind", "seeds", "least", "most"),
    [
        ("queries decide", 1, 0.86, 0.94),
        ("queries decide", 5, 0.86, 0.94),
        ("chance decides", 5, 0.86, 0.94),
        ("seeds count", 5, 0.86, 0.96),
    ],
)
def test_intervals_hold_the_true_gap_about_as_often_as_they_claim(
    kind: str, seeds: int, least: float, most: float
) -> None:
    rng = np.random.default_rng(11)
    true_gap = 0.4
    # A dataset of its own gives every simulation resamples of its own.
    blocks = [
        replace(
            paired(*simulated(kind, rng, seeds, true_gap), of=subject(dataset=f"d{n}")),
            crossed=kind == "seeds count",
        )
        for n in range(300)
    ]
    measured, _ = estimate_gaps(blocks, resamples=400, seed=0, confidence=0.9)
    gaps = [each.point.gap for each in measured]
    held = np.mean([gap is not None and gap.low <= true_gap <= gap.high for gap in gaps])
    assert least <= held <= most


def test_a_paired_interval_is_narrower_than_that_of_shuffled_queries() -> None:
    """ID and OOD share each resample, so a query's difficulty cancels out of the gap."""
    rng = np.random.default_rng(3)
    solved = rng.random(200) < 0.5
    kept = solved & (rng.random(200) < 0.7)
    shuffled = rng.permutation(kept)
    widths = []
    for outside in (kept, shuffled):
        results = [cell("id", solved.tolist()), cell("ood", outside.tolist())]
        (point,) = analyze(results, resamples=1000).points
        assert point.gap is not None
        widths.append(point.gap.high - point.gap.low)
    assert widths[0] < 0.8 * widths[1]

"""Exact bounds against other software, and against simulated truth where counts are small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.synthetic import analyze, cell
from analysis.test_bootstrap import paired, subject
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.small_counts import (
    FEW,
    PairedCounts,
    count_pairs,
    exact_gap_interval,
    exact_share,
)


def counts(n: int, both: int, only_id: int, only_ood: int) -> PairedCounts:
    right_id, right_ood = both + only_id, both + only_ood
    return PairedCounts(
        n=n,
        both=both / n,
        only_id=only_id / n,
        only_ood=only_ood / n,
        differing=only_id + only_ood,
        right_id=right_id,
        wrong_id=n - right_id,
        right_ood=right_ood,
        wrong_ood=n - right_ood,
    )


@pytest.mark.parametrize(("hits", "n"), [(0, 200), (200, 200), (3, 50), (1, 1)])
def test_the_interval_of_a_share_is_that_of_scipy(hits: int, n: int) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(0.9, method="exact")
    assert exact_share(hits / n, n, confidence=0.9) == pytest.approx(tuple(expected))


def test_the_interval_of_a_gap_by_hand() -> None:
    # 100 right under both, none under one alone: kept 1 of [0.025^(1/100), 1], gained q of
    # [0, 1 - 0.025^(1/100)].
    low, high = exact_gap_interval(counts(200, 100, 0, 0), confidence=0.95) or (0, 0)
    share = 0.025 ** (1 / 100)
    assert high == pytest.approx(1 - share)
    assert low == pytest.approx(-(1 - share) / share)


def test_an_interval_excludes_zero_about_where_the_exact_test_rejects() -> None:
    for only_id in range(1, FEW):
        ends = exact_gap_interval(counts(200, 100 - only_id, only_id, 0), confidence=0.95)
        assert ends is not None
        rejected = stats.binomtest(only_id, only_id).pvalue <= 0.05
        assert (ends[0] > 0) == rejected or only_id == 5


def test_there_is_no_interval_without_a_hit() -> None:
    assert exact_gap_interval(counts(10, 0, 0, 3), confidence=0.95) is None


def test_a_query_with_several_seeds_counts_once() -> None:
    hits = np.array([[1.0, 0, 1, 0], [1, 1, 0, 0]])
    found = count_pairs([paired(hits, np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]]))])
    assert (found.n, found.both, found.only_id, found.only_ood) == (4, 2 / 8, 2 / 8, 0)
    assert (found.differing, found.right_id, found.wrong_id) == (2, 3, 3)
    assert (found.right_ood, found.wrong_ood) == (2, 4)


def test_two_sides_count_as_the_smaller_one_twice() -> None:
    ones, zeros = np.ones((1, 6)), np.zeros((1, 3))
    found = count_pairs([paired(ones, ones), paired(zeros, zeros, query_split="train")])
    assert (found.n, found.both) == (6, 0.5)


@given(
    st.lists(
        st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5),
        min_size=1,
        max_size=3,
    ).filter(lambda rows: len(set(map(len, rows))) == 1),
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_no_interval_has_zero_width(
    test: list[list[tuple[bool, bool]]], train: list[tuple[bool, bool]], confidence: float
) -> None:
    cells = [
        cell(condition, [pair[n] for pair in row] * repeats, seed=seed, query_split=side)
        for side, rows, repeats in (("test", test, 4), ("train", [train], 1))
        for seed, row in enumerate(rows)
        for n, condition in enumerate(("id", "ood"))
    ]
    analysis = analyze(cells, resamples=200, confidence=confidence)
    for point in analysis.points:
        for found in (point.a_id, point.a_ood, point.gap):
            assert found is None or found.low < found.high
            assert found is None or found.low <= found.value <= found.high
        for ends in (point.fieller, point.simultaneous):
            assert ends is None or ends[0] < ends[1]
        assert point.detectable is None or point.detectable > 0
    for side in analysis.sides:
        assert side.contrast is None or side.contrast.low < side.contrast.high


@pytest.mark.slow
@pytest.mark.parametrize("queries", [60, 200])
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(
    ("a_id", "lost", "gained"),
    [
        (0.5, 0.0, 0.0),
        (0.5, 0.01, 0.01),
        (0.5, 0.03, 0.0),
        (0.9, 0.02, 0.02),
        (0.5, 0.99, 0.0),
        (0.8, 0.95, 0.01),
    ],
)
def test_intervals_of_small_counts_hold_the_gap(
    a_id: float, lost: float, gained: float, seeds: int, queries: int
) -> None:
    """Few queries are lost OOD, few are gained, or few stay; all seeds of a query agree by half."""
    rng = np.random.default_rng(0)
    true_gap = lost - gained * (1 - a_id) / a_id
    blocks = []
    for n in range(1000):
        shape = (seeds, queries)
        solved = rng.random(queries) < a_id
        inside = np.where(rng.random(shape) < 0.5, solved, rng.random(shape) < a_id)
        outside = np.where(inside, rng.random(shape) >= lost, rng.random(shape) < gained)
        hits = (each.astype(float) for each in (inside, outside))
        blocks.append(replace(paired(*hits), setting=subject(dataset=f"d{n}")))
    measured, _ = estimate_gaps(blocks, resamples=400, seed=0, confidence=0.95)
    gaps = [each.point.gap for each in measured if each.point.gap]
    exact = np.mean([each.point.exact for each in measured])
    held = np.mean([gap.low <= true_gap <= gap.high for gap in gaps])
    width = np.mean([gap.high - gap.low for gap in gaps])
    print(f"| {queries} | {seeds} | {a_id}, {lost}, {gained} | {exact:.0%} | {held:.1%} |", width)
    assert held >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.0, 0.005, 0.02, 0.99])
def test_intervals_of_accuracies_near_the_ends_hold_the_truth(accuracy: float) -> None:
    rng = np.random.default_rng(1)
    blocks = []
    for n in range(1000):
        hits = (rng.random((3, 200)) < accuracy).astype(float)
        blocks.append(replace(paired(hits, hits), setting=subject(dataset=f"d{n}")))
    measured, _ = estimate_gaps(blocks, resamples=400, seed=0, confidence=0.95)
    found = [each.point.a_id for each in measured]
    held = np.mean([each.low <= accuracy <= each.high for each in found])
    print(f"A {accuracy}: {held:.1%}")
    assert held >= 0.93

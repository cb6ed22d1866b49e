"""The sign-flip test against enumeration of all flips, McNemar's test, and simulated truth."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from analysis.synthetic import analyze, cell
from analysis.test_bootstrap import paired, subject
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.sign_flips import sign_flip_p

DIFFERENCES = st.lists(st.integers(-4, 4), min_size=1, max_size=6)


def flipped(differences: list[int]) -> np.ndarray:
    """The sums of all flips."""
    signs = np.array(list(product((-1, 1), repeat=len(differences))))
    return signs @ np.array(differences)


@given(DIFFERENCES)
def test_one_side_agrees_with_all_flips(differences: list[int]) -> None:
    expected = np.mean(np.abs(flipped(differences)) >= abs(sum(differences)))
    assert sign_flip_p([np.array(differences)], [10]) == pytest.approx(expected)


@given(DIFFERENCES, DIFFERENCES, st.integers(1, 9), st.integers(1, 9))
def test_two_sides_agree_with_all_flips(
    first: list[int], second: list[int], n_first: int, n_second: int
) -> None:
    # Whole numbers, so that ties are ties.
    sums = n_second * flipped(first)[:, None] + n_first * flipped(second)
    observed = abs(n_second * sum(first) + n_first * sum(second))
    found = sign_flip_p([np.array(first), np.array(second)], [n_first, n_second])
    assert found == pytest.approx(np.mean(np.abs(sums) >= observed))


@given(st.integers(0, 300), st.integers(0, 300))
def test_one_request_a_query_is_mcnemars_exact_test(only_id: int, only_ood: int) -> None:
    differences = np.repeat([1, -1, 0], [only_id, only_ood, 5])
    of = only_id + only_ood
    expected = stats.binomtest(only_id, of).pvalue if of else 1.0
    assert sign_flip_p([differences], [len(differences)]) == pytest.approx(expected, rel=1e-9)


def test_a_point_has_one_test_over_all_seeds() -> None:
    cells = [
        cell(condition, hits, seed=seed)
        for seed in range(2)
        for condition, hits in (("id", [True] * 6 + [False]), ("ood", [False] * 6 + [seed > 0]))
    ]
    (point,) = analyze(cells, resamples=100).points
    # Differences 2 (six times) and -1: of 2^7 flips, the 12 to at least 11 and its mirror.
    assert point.test.p_value == pytest.approx(4 / 2**7)


def null(rng: np.random.Generator, *, shared: bool) -> tuple[Floats, Floats]:
    """Accuracies that agree on average; queries lean to one condition, or all of a seed do."""
    hard = rng.normal(size=60)
    lean = 0.8 * rng.normal(size=(5, 1) if shared else (1, 60))
    odds = hard + rng.normal(size=(5, 60)) * 0.5
    inside, outside = (rng.random((5, 60)) < stats.logistic.cdf(odds + s * lean) for s in (1, -1))
    return inside.astype(float), outside.astype(float)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True])
def test_the_test_rejects_no_more_often_than_it_says(shared: bool) -> None:
    rng = np.random.default_rng(0)
    blocks = [
        replace(paired(*null(rng, shared=shared), of=subject(dataset=f"d{n}")), crossed=shared)
        for n in range(2000)
    ]
    measured, _ = estimate_gaps(blocks, resamples=400, seed=0, confidence=0.95)
    rejected = np.mean([each.point.test.p_value <= 0.05 for each in measured])
    print(f"shared {shared}: {rejected:.1%}")
    assert 0.025 <= rejected <= 0.065

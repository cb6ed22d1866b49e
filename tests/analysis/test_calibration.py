"""How often intervals hold the truth, in simulated studies whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.test_bootstrap import paired, subject
from scipy import stats
from scipy.special import expit

from icl_gap.analysis.gaps import measure
from icl_gap.analysis.pairing import Paired

pytestmark = pytest.mark.slow

STUDIES, QUERIES, SEEDS = 1500, 200, 5


def level(accuracy: float, spread: float) -> float:
    """The mean log-odds at which accuracies of this spread have this mean."""
    grid = stats.norm.ppf((np.arange(2000) + 0.5) / 2000) * spread
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(middle + grid).mean() < accuracy else (low, middle)
    return low


def study(
    rng: np.random.Generator, n: int, accuracies: tuple[float, float], queries: float, chance: float
) -> Paired:
    """Queries differ in difficulty, alike ID and OOD; so does each request from its query."""
    own = rng.normal(size=(2, QUERIES))
    difficulty = queries * np.stack([own[0], 0.7 * own[0] + np.sqrt(0.51) * own[1]])
    hits = []
    for accuracy, hard in zip(accuracies, difficulty, strict=True):
        odds = level(accuracy, float(np.hypot(queries, chance))) + hard
        odds = odds + chance * rng.normal(size=(SEEDS, QUERIES))
        hits.append((rng.random((SEEDS, QUERIES)) < expit(odds)).astype(float))
    # A dataset of its own gives every study resamples of its own.
    return replace(paired(*hits), subject=subject(dataset=f"d{n}"))


@pytest.mark.parametrize(("queries", "chance"), [(1.5, 1.0), (0.5, 0.5), (3.0, 0.0)])
@pytest.mark.parametrize("accuracies", [(0.15, 0.08), (0.5, 0.3), (0.9, 0.85)])
def test_intervals_hold_the_gap_as_often_as_they_say(
    accuracies: tuple[float, float], queries: float, chance: float
) -> None:
    rng = np.random.default_rng(0)
    true_gap = 1 - accuracies[1] / accuracies[0]
    studies = [study(rng, n, accuracies, queries, chance) for n in range(STUDIES)]
    measured, _ = measure(studies, resamples=1000, seed=0, confidence=0.95)
    points = [each.point for each in measured if each.point.gap]
    assert len(points) > 0.99 * STUDIES
    bootstrap = np.mean([p.gap.low <= true_gap <= p.gap.high for p in points if p.gap])
    fieller = np.mean([p.fieller[0] <= true_gap <= p.fieller[1] for p in points if p.fieller])
    assert 0.93 <= bootstrap <= 0.97
    assert 0.93 <= fieller <= 0.97

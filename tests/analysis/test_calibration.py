"""How often intervals hold the truth and tests reject, in simulated studies of known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.test_bootstrap import paired, subject
from scipy import stats
from scipy.special import expit

from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.analysis.scaling.fit import fit_gaps, with_forms
from icl_gap.analysis.scaling.slopes import FitSettings, GapFit

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
) -> PairedOutcomes:
    """Queries differ in difficulty, alike ID and OOD; so does each request from its query."""
    own = rng.normal(size=(2, QUERIES))
    difficulty = queries * np.stack([own[0], 0.7 * own[0] + np.sqrt(0.51) * own[1]])
    hits = []
    for accuracy, hard in zip(accuracies, difficulty, strict=True):
        odds = level(accuracy, float(np.hypot(queries, chance))) + hard
        odds = odds + chance * rng.normal(size=(SEEDS, QUERIES))
        hits.append((rng.random((SEEDS, QUERIES)) < expit(odds)).astype(float))
    # A dataset of its own gives every study resamples of its own.
    return replace(paired(*hits), setting=subject(dataset=f"d{n}"))


@pytest.mark.parametrize(("queries", "chance"), [(1.5, 1.0), (0.5, 0.5), (3.0, 0.0)])
@pytest.mark.parametrize("accuracies", [(0.15, 0.08), (0.5, 0.3), (0.9, 0.85)])
def test_intervals_hold_the_gap_as_often_as_they_say(
    accuracies: tuple[float, float], queries: float, chance: float
) -> None:
    rng = np.random.default_rng(0)
    true_gap = 1 - accuracies[1] / accuracies[0]
    studies = [study(rng, n, accuracies, queries, chance) for n in range(STUDIES)]
    measured, _ = estimate_gaps(studies, resamples=1000, seed=0, confidence=0.95)
    points = [each.point for each in measured if each.point.gap]
    assert len(points) > 0.99 * STUDIES
    bootstrap = np.mean([p.gap.low <= true_gap <= p.gap.high for p in points if p.gap])
    fieller = np.mean([p.fieller[0] <= true_gap <= p.fieller[1] for p in points if p.fieller])
    assert 0.93 <= bootstrap <= 0.97
    assert 0.93 <= fieller <= 0.97


def crossed(rng: np.random.Generator, n: int, accuracies: tuple[float, float]) -> PairedOutcomes:
    """All queries of a cell share their exemplars, some of which are better than others."""
    hard, chance, shared = rng.normal(size=QUERIES), 0.5, 0.4
    hits = []
    for accuracy in accuracies:
        odds = level(accuracy, float(np.sqrt(1 + chance**2 + shared**2))) + hard
        odds = odds + chance * rng.normal(size=(SEEDS, QUERIES))
        odds = odds + shared * rng.normal(size=(SEEDS, 1))
        hits.append((rng.random((SEEDS, QUERIES)) < expit(odds)).astype(float))
    return replace(paired(*hits), setting=subject(dataset=f"d{n}"), crossed=True)


@pytest.mark.parametrize("accuracies", [(0.15, 0.08), (0.5, 0.3), (0.9, 0.85)])
def test_intervals_hold_the_gap_where_exemplars_are_shared(accuracies: tuple[float, float]) -> None:
    rng = np.random.default_rng(1)
    true_gap = 1 - accuracies[1] / accuracies[0]
    studies = [crossed(rng, n, accuracies) for n in range(STUDIES)]
    measured, _ = estimate_gaps(studies, resamples=1000, seed=0, confidence=0.95)
    gaps = [each.point.gap for each in measured if each.point.gap]
    # At 0.15, five sets of exemplars leave A_id itself too uncertain in a sixth of all studies.
    assert len(gaps) > (0.99 if accuracies[0] > 0.15 else 0.8) * STUDIES
    held = np.mean([gap.low <= true_gap <= gap.high for gap in gaps])
    print(f"{accuracies}: {len(gaps)} of {STUDIES} resolved, {held:.1%} held")
    assert 0.93 <= held <= 0.97


def family(
    rng: np.random.Generator, n: int, sizes: Floats, gaps: Floats, queries: int
) -> list[PairedOutcomes]:
    """A family with an accuracy ID of 0.6 at every size; queries are as hard for one as another."""
    hard, chance = rng.normal(size=queries), 0.7
    blocks = []
    for size, gap in zip(sizes, gaps, strict=True):
        hits = []
        for accuracy in (0.6, 0.6 * (1 - gap)):
            odds = level(accuracy, float(np.hypot(1, chance))) + hard
            odds = odds + chance * rng.normal(size=(SEEDS, queries))
            hits.append((rng.random((SEEDS, queries)) < expit(odds)).astype(float))
        of = subject(model=f"{size:.0f}", n_params=round(size), dataset=f"d{n}")
        blocks.append(paired(*hits, of=of))
    return blocks


def fits(sizes: Floats, gaps: Floats, *, studies: int, resamples: int) -> list[GapFit]:
    """The fit of each study, with its forms; each by itself, as studies share no scatter."""
    rng, found = np.random.default_rng(2), []
    for n in range(studies):
        blocks = family(rng, n, sizes, gaps, QUERIES)
        measured, _ = estimate_gaps(blocks, resamples=resamples, seed=0, confidence=0.95)
        fit, _, _ = fit_gaps(measured, FitSettings())
        found += with_forms(fit, measured)
    assert len(found) == studies
    return found


X = np.linspace(-1, 1, 8)
"""Places of eight sizes over two decades, as forms count them."""
TRUTHS = {
    "power law": ((-1.2, -0.6), np.exp(-1.2 - 0.6 * X)),
    "power law with floor": ((-2.0, -1.5, 0.1), 0.1 + np.exp(-2.0 - 1.5 * X)),
    "logistic accuracies": ((0.405, 0.0, -0.6, 0.7), 1 - expit(-0.6 + 0.7 * X) / 0.6),
}
"""Of a form: its parameters, and the gaps that they mean for accuracies ID of 0.6."""


@pytest.mark.parametrize("form", TRUTHS)
def test_fits_recover_the_curve_they_come_from(form: str) -> None:
    truth, gaps = TRUTHS[form]
    found = fits(10 ** (9 + X), gaps, studies=300, resamples=200)
    fitted = [next(each for each in fit.forms if each.form == form) for fit in found]
    parameters = np.array([[value for _, value in each.parameters] for each in fitted])
    assert len(parameters) == 300
    middles = np.median(parameters, axis=0)
    print(form, truth, middles.round(3), parameters.std(axis=0).round(3))
    assert middles == pytest.approx(truth, abs=0.03)

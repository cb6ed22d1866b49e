"""Simulated studies of known truth for the hierarchical check, beside a regression of the gaps.

    PYTHONPATH=.:tests python tests/analysis/bayes/hierarchical_studies.py [STUDIES]

The simulator shares no code with the estimator: queries, models and requests are drawn from their
definitions, and true accuracies are exact by quadrature.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from analysis.test_bootstrap import paired, subject
from numpy.polynomial.hermite_e import hermegauss
from scipy import optimize, special

from icl_gap.analysis.bayes.hierarchical import fit_hierarchical
from icl_gap.analysis.bayes.hierarchical_fit import HierarchicalFit
from icl_gap.analysis.bayes.mixed_model import Sampling
from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.analysis.scaling.fit import fit_gaps
from icl_gap.analysis.scaling.slopes import FitSettings

NODES, WEIGHTS = hermegauss(80)
SHORT = Sampling(chains=2, warmup=300, draws=400)
"""Enough for an interval of one of many studies."""


@dataclass(frozen=True)
class Design:
    """How studies are made; the gap is on a line of log10 size, plus scatter between models."""

    name: str
    tau: float = 0.05
    slope: float = 0.0
    a_id: tuple[float, ...] = (0.6,) * 5
    gap: float = 0.4
    queries: int = 100
    seeds: int = 2
    sd_query: float = 1.2
    sd_query_model: float = 0.7
    sd_query_shift: float = 0.5
    skewed: bool = False
    """Queries' difficulty is exponential and not normal."""


DESIGNS = (
    Design("no scatter", tau=0.0),
    Design("scatter .05"),
    Design("scatter .05, slope -.1", slope=-0.1),
    Design("scatter .05, A_id .05 to .8", a_id=(0.05, 0.2, 0.4, 0.6, 0.8)),
    Design("scatter .05, heavy and skewed queries", sd_query=3.0, skewed=True),
)


@dataclass(frozen=True)
class Truth:
    gaps: Floats
    slope: float


def level(accuracy: float, sd: float) -> float:
    """The mean log-odds at which accuracies of normal log-odds have this mean."""

    def over(mean: float) -> float:
        return float(special.expit(mean + sd * NODES) @ WEIGHTS / WEIGHTS.sum()) - accuracy

    return float(optimize.brentq(over, -40, 40))


def level_of(accuracy: float, odds: Floats) -> float:
    """The constant that brings the mean of these log-odds to an accuracy."""
    return float(optimize.brentq(lambda c: special.expit(c + odds).mean() - accuracy, -40, 40))


def simulated(rng: np.random.Generator, design: Design) -> tuple[list[PairedOutcomes], Truth]:
    x = np.linspace(8, 10, len(design.a_id))
    gaps = design.gap + design.slope * (x - 9) + design.tau * rng.normal(size=len(x))

    def difficulty(n: int) -> Floats:
        return 1 - rng.exponential(size=n) if design.skewed else rng.normal(size=n)

    def made(common: Floats, own: Floats, shift: Floats) -> Floats:
        return (
            design.sd_query * common + design.sd_query_model * own + design.sd_query_shift * shift
        )

    many = 200_000
    population = difficulty(many), rng.normal(size=many), rng.normal(size=many)
    common, shift = difficulty(design.queries), rng.normal(size=design.queries)
    blocks = []
    for size, gap, a_id in zip(10**x, gaps, design.a_id, strict=True):
        own = rng.normal(size=design.queries)
        hits = []
        for accuracy, on in ((a_id, 0), (a_id * (1 - gap), 1)):
            if design.skewed:
                mean = level_of(accuracy, made(population[0], population[1], on * population[2]))
            else:
                parts = (design.sd_query, design.sd_query_model, on * design.sd_query_shift)
                mean = level(accuracy, float(np.linalg.norm(parts)))
            chance = special.expit(mean + made(common, own, on * shift))
            hits.append((rng.random((design.seeds, design.queries)) < chance).astype(float))
        of = subject(model=f"m{size:.0f}", n_params=round(size))
        blocks.append(paired(*hits, of=of))
    return blocks, Truth(gaps, design.slope)


def regression(blocks: Sequence[PairedOutcomes]) -> Floats:
    """The low end, the value and the high end of the slope that `analyze` shows."""
    measured, _ = estimate_gaps(blocks, resamples=1000, seed=0, confidence=0.95)
    (fit,) = fit_gaps(measured, FitSettings())[0]
    low, high = fit.slope_interval or (-np.inf, np.inf)
    return np.array([low, fit.slope, high])


@dataclass(frozen=True)
class Outcome:
    fit: HierarchicalFit
    truth: Truth
    regression: Floats


def outcomes(design: Design, studies: int, sampling: Sampling = SHORT) -> list[Outcome]:
    found = []
    for n in range(studies):
        rng = np.random.default_rng([n, len(design.name)])
        blocks, truth = simulated(rng, design)
        found.append(
            Outcome(fit_hierarchical(blocks, sampling=sampling), truth, regression(blocks))
        )
    return found


def summary(found: Sequence[Outcome]) -> dict[str, float]:
    """Shares of intervals that hold the truth, and how far the two estimators are apart."""
    slopes = np.array([[o.fit.slope.low, o.fit.slope.value, o.fit.slope.high] for o in found])
    lines = np.array([o.regression for o in found])
    truth = np.array([o.truth.slope for o in found])
    held = [
        each.gap.low <= gap <= each.gap.high
        for o in found
        for each, gap in zip(o.fit.gaps, o.truth.gaps, strict=True)
    ]
    return {
        "studies": len(found),
        "gap held": float(np.mean(held)),
        "slope held": float(np.mean((slopes[:, 0] <= truth) & (truth <= slopes[:, 2]))),
        "regression held": float(np.mean((lines[:, 0] <= truth) & (truth <= lines[:, 2]))),
        "bias": float(np.median(slopes[:, 1] - truth)),
        "regression bias": float(np.median(lines[:, 1] - truth)),
        "width": float(np.median(slopes[:, 2] - slopes[:, 0])),
        "regression width": float(np.median(lines[:, 2] - lines[:, 0])),
        "correlation": float(np.corrcoef(slopes[:, 1], lines[:, 1])[0, 1]),
        "apart": float(np.median(np.abs(slopes[:, 1] - lines[:, 1]))),
        "misfit": float(
            np.mean([any(check.p_value < 0.01 for check in o.fit.checks) for o in found])
        ),
    }


if __name__ == "__main__":
    for each in DESIGNS:
        result = summary(outcomes(each, int(sys.argv[1]) if len(sys.argv) > 1 else 40))
        print(each.name, {name: round(value, 3) for name, value in result.items()}, flush=True)

"""Tests of a trend of the gap with scale over the models of a family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from math import factorial

import numpy as np
from scipy import stats

from icl_gap.analysis.bootstrap import generator
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.scaling.regression import CurveRegression
from icl_gap.text import brief

LEVEL = 0.05
"""Level that a test must be able to reach."""
MOST_EXACT = 8
"""Most models of which all orders are tried."""
ORDERS = 20_000
"""Number of random orders for more models."""


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """Result of the permutation test."""

    p_value: float
    """Twice the smaller one-sided p-value."""
    least: float
    """Smallest p-value that it can have with these models."""

    def __repr__(self) -> str:
        return brief("PermutationTest", f"p {self.p_value:.3f}, at least {self.least:.3f}")


def permutation_test(families: Sequence[Sequence[CurveRegression]], tau: float) -> PermutationTest:
    """Test jointly over curves whether the gap changes with scale.

    T = sum over curves c and models m of x_m z_cm. z_cm is the gap's deviation from the constant
    that fits the curve best, in its standard errors, scatter between models included, so that
    deviations have one variance. The sizes are permuted among the models of a family, in all curves
    together: in all orders for one family of up to `MOST_EXACT` models, else in `ORDERS` random
    ones (Pitman 1937, Supplement to JRSS 4(1), 119-130; studentized after Janssen 1997, Statistics
    & Probability Letters 36(1), 9-21).

    Args:
        families: Cells of each family; models of one name are one model.
        tau: Standard deviation of the gap between models.
    """
    exact = len(families) == 1 and len(_names(families[0])) <= MOST_EXACT
    totals: Floats | float = 0.0
    for curves in families:
        x, z = _places_and_deviations(curves, tau)
        totals = totals + _orders(x, _names(curves), exact=exact) @ z
    found = np.asarray(totals)
    slack = 1e-9 * np.abs(found).max() + 1e-12
    ends = [
        min(float(np.mean(found >= value - slack)), float(np.mean(found <= value + slack)))
        for value in (found[0], found.min(), found.max())
    ]
    return PermutationTest(min(1.0, 2 * ends[0]), min(1.0, 2 * min(ends[1:])))


def _names(curves: Sequence[CurveRegression]) -> tuple[str, ...]:
    """Return the names of the models of some curves, each once."""
    return tuple(dict.fromkeys(name for curve in curves for name in curve.accuracies.models))


def _places_and_deviations(curves: Sequence[CurveRegression], tau: float) -> tuple[Floats, Floats]:
    """Return x of each model, centred, and the sum over curves of its deviations."""
    x, z = dict.fromkeys(_names(curves), 0.0), dict.fromkeys(_names(curves), 0.0)
    for curve in curves:
        data = curve.accuracies
        for name, place, deviation in zip(data.models, data.x, curve.deviations(tau), strict=True):
            x[name], z[name] = float(place), z[name] + float(deviation)
    places = np.array(list(x.values()))
    return places - places.mean(), np.array(list(z.values()))


def _orders(x: Floats, names: tuple[str, ...], *, exact: bool) -> Floats:
    """Return (N, M): x in the observed order, then in all orders or in random ones."""
    if exact:
        return np.array(list(permutations(x)))
    stream = generator("permutation test", names)
    return np.vstack([x, stream.permuted(np.tile(x, (ORDERS - 1, 1)), axis=1)])


def kendall(x: Floats, gaps: Floats) -> tuple[float | None, float | None]:
    """Return Kendall's tau and its two-sided p-value (Kendall 1938, Biometrika 30, 81-93).

    Returns:
        tau, None if the gaps do not vary; the p-value, None if it could not reach `LEVEL` either
        for a perfect order: below five models.
    """
    if len(x) < 2 or np.ptp(gaps) == 0 or np.ptp(x) == 0:
        return None, None
    found = stats.kendalltau(x, gaps)
    reachable = 2 / factorial(len(x)) <= LEVEL
    return float(found.statistic), float(found.pvalue) if reachable else None

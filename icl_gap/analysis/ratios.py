"""Fieller's interval of a ratio of two estimates."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from icl_gap.analysis.estimate import Estimate


def ratio(
    above: float, below: float, cov: NDArray[np.float64], confidence: float
) -> Estimate | None:
    """Return above / below with Fieller's interval (Fieller 1954, JRSS B 16(2), 175-185).

    Args:
        above: The numerator's estimate.
        below: The denominator's.
        cov: (2, 2): their covariance.
        confidence: Confidence of the interval.

    Returns:
        None if the interval is unbounded, because the denominator may be zero.
    """
    squared = float(stats.norm.ppf((1 + confidence) / 2)) ** 2
    a = below**2 - squared * float(cov[1, 1])
    if a <= 0:
        return None
    b = above * below - squared * float(cov[0, 1])
    c = above**2 - squared * float(cov[0, 0])
    root = sqrt(max(0.0, b * b - a * c))
    return Estimate(above / below, (b - root) / a, (b + root) / a)

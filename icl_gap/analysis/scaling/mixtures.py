"""Quantiles of mixtures of normal distributions."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from icl_gap.analysis.outcomes import Floats


def mixture_quantile(p: float, means: Floats, sds: Floats, weights: Floats) -> Floats:
    """Return quantiles of mixtures of T normal distributions, by bisection.

    Args:
        p: The probability.
        means: (..., T).
        sds: (..., T).
        weights: (T,): probabilities, which sum to 1.
    """
    ends = means + sds * ndtri(p)
    low, high = ends.min(axis=-1), ends.max(axis=-1)
    for _ in range(40):
        middle = (low + high) / 2
        short = ndtr((middle[..., None] - means) / sds) @ weights < p
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.asarray((low + high) / 2)

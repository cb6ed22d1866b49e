"""Estimates of accuracies and of the relative gap, and the rule by which a gap is resolved."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy import stats

from icl_gap.analysis.bootstrap import Draws, percentile_interval
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.analysis.small_counts import PairedCounts, exact_gap_interval, exact_share

MARGIN = 0.5
"""Share of A_id that the half-width of its interval has to stay below: z² Var(A_id) / A_id² <
0.25."""


def relative_gap(inside: Floats, outside: Floats) -> Floats:
    """Return (A_id - A_ood) / A_id; NaN where A_id is 0."""
    return 1 - outside / np.where(inside > 0, inside, np.nan)


def accuracy_estimate(
    value: float, drawn: Floats, n: int, *, few: bool, confidence: float
) -> Estimate:
    """Return an accuracy with its percentile interval, widened to exact bounds where few tell.

    Args:
        value: The accuracy.
        drawn: (B,) draws of it.
        n: Number of independent queries.
        few: True if few queries are right, or few are wrong.
        confidence: Confidence of the interval.
    """
    low, high = percentile_interval(drawn, confidence, worst=(0.0, 1.0))
    if few or low == high:
        exact = exact_share(value, n, confidence=confidence)
        low, high = min(low, exact[0]), max(high, exact[1])
    return Estimate(value, low, high)


def why_unresolved(
    parts: Sequence[PairedOutcomes], a_id: float, draws: Draws, n: int, *, confidence: float
) -> str | None:
    """Return the reason why a gap is unresolved; None if it is resolved.

    A gap divides by A_id. It is resolved if the half-width of the normal interval of A_id is below
    half of A_id, so that a ratio of the two accuracies has a distribution that is not far from
    normal (Fieller's g, z² Var(A_id) / A_id², is below 0.25).

    Args:
        parts: One side, or both with equal weights.
        a_id: The accuracy ID.
        draws: Draws of these sides, averaged.
        n: Number of independent queries.
        confidence: Confidence of the analysis.
    """
    hits = sum(int(part.hits_id.sum()) for part in parts)
    answered = sum(int(part.answered.sum()) for part in parts)
    text = f"A_id not resolved from 0: {hits} of {answered} requests right"
    if hits == 0:
        return text
    # Without spread between queries, the variance is that of independent queries.
    variance = float(np.nanvar(draws.a_id, ddof=1)) or a_id * (1 - a_id) / n
    margin = float(stats.norm.ppf((1 + confidence) / 2)) * sqrt(variance) / a_id
    if margin >= MARGIN:
        return (
            f"{text}; the half-width of its {confidence:.0%} interval is {margin:.0%} of it"
            f" (allowed: below {MARGIN:.0%})"
        )
    without = np.count_nonzero(~(draws.a_id > 0))
    if percentile_interval(draws.a_id, confidence, worst=(0.0, 0.0))[0] <= 0:
        return f"{text}, and none in {without} of {len(draws.a_id)} resamples"
    return None


def gap_estimate(
    a_id: float, a_ood: float, draws: Draws, counts: PairedCounts, *, confidence: float
) -> tuple[Estimate, bool]:
    """Return a resolved gap with its percentile interval, and whether that has exact bounds.

    Where few queries differ between the conditions, or the resamples agree, the interval is widened
    to exact bounds. So it always has a width.
    """
    drawn = relative_gap(draws.a_id, draws.a_ood)
    low, high = percentile_interval(drawn, confidence, worst=(-np.inf, np.inf))
    exact = counts.few_differing or low == high
    if exact and (ends := exact_gap_interval(counts, confidence=confidence)):
        low, high = min(low, ends[0]), max(high, ends[1])
    return Estimate(1 - a_ood / a_id, low, high), exact

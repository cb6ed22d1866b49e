"""Evidence beside a gap's bootstrap interval: Fieller, bounds, power, the smooth gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from icl_gap.analysis.bootstrap import Draws, percentile_interval
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.analysis.ratios import ratio
from icl_gap.analysis.resolution import relative_gap

POWER = 0.8
"""Power at which detectable gaps and sample sizes are stated."""


def standard_errors_to_detect(confidence: float) -> float:
    """Return the effect, in standard errors, whose interval excludes zero with probability `POWER`.

    z_{(1 + confidence) / 2} + z_{POWER} (Cohen 1988, "Statistical Power Analysis for the Behavioral
    Sciences", ch. 2).
    """
    return float(stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(POWER))


def fieller(
    a_id: float, a_ood: float, draws: Draws, *, confidence: float
) -> tuple[float, float] | None:
    """Return Fieller's interval for 1 - A_ood / A_id.

    It holds all ratios r for which A_ood - r A_id does not differ significantly from zero (Fieller
    1954, "Some problems in interval estimation", JRSS B 16(2), 175-185), with the covariance of the
    bootstrap draws.

    Returns:
        The ends; None if the interval is unbounded because A_id may be zero.
    """
    known = ~np.isnan(draws.a_id)
    cov = np.cov(np.stack([draws.a_ood[known], draws.a_id[known]]))
    kept = ratio(a_ood, a_id, cov, confidence)
    return None if kept is None else (1 - kept.high, 1 - kept.low)


def detectable_gap(gap: Estimate, draws: Draws, *, exact: bool, confidence: float) -> float:
    """Return the smallest gap that an experiment of this size would detect with power `POWER`.

    The standard error times `standard_errors_to_detect`; it assumes that a smaller gap has the same
    standard error. That of the bootstrap; with exact bounds, at least that of an interval of the
    same width.

    Args:
        gap: The gap.
        draws: Its draws.
        exact: True if the gap has exact bounds.
        confidence: Confidence of the interval that has to exclude zero.
    """
    error = float(np.nanstd(relative_gap(draws.a_id, draws.a_ood), ddof=1))
    if exact:
        z = float(stats.norm.ppf((1 + confidence) / 2))
        error = max(error, (gap.high - gap.low) / (2 * z))
    return standard_errors_to_detect(confidence) * error


def bounds_from_unanswered(
    parts: Sequence[PairedOutcomes],
) -> tuple[float | None, float | None] | None:
    """Return the lowest and the highest gap that the unanswered requests allow.

    At the high end they all count as right ID and wrong OOD, at the low end the reverse (worst-case
    bounds: Manski 1989, Journal of Human Resources 24(3)). If a request failed under one condition
    alone, the answer under the other condition counts as it is.

    Args:
        parts: One side, or both with equal weights.

    Returns:
        The ends, each None if no request would be right ID; None if all requests are answered.
    """
    left = np.array([(part.skipped + part.failed).sum() for part in parts])
    if not left.any():
        return None
    total = np.array([part.answered.sum() for part in parts]) + left
    inside = np.array([part.hits_id.sum() + part.unpaired_hits_id.sum() for part in parts])
    outside = np.array([part.hits_ood.sum() + part.unpaired_hits_ood.sum() for part in parts])
    unanswered_id = np.array([part.unanswered_id.sum() for part in parts])
    unanswered_ood = np.array([part.unanswered_ood.sum() for part in parts])

    def gap(right_id: Floats, right_ood: Floats) -> float | None:
        a_id, a_ood = np.mean(right_id / total), np.mean(right_ood / total)
        return float(1 - a_ood / a_id) if a_id > 0 else None

    return gap(inside, outside + unanswered_ood), gap(inside + unanswered_id, outside)


def smooth_gap(
    parts: Sequence[PairedOutcomes], draws: Draws, *, confidence: float
) -> Estimate | None:
    """Return the smooth gap: the relative fall of the gold tokens' likelihood from ID to OOD.

    1 - exp(L_ood - L_id), where L is the mean over requests of the mean log-likelihood of the gold
    target's tokens. It changes with scale before accuracy does.

    Args:
        parts: One side, or both with equal weights.
        draws: Draws of these sides, averaged.
        confidence: Confidence of the interval.

    Returns:
        None if a side has no request whose log-likelihood is known under both conditions.
    """
    if not all(part.has_logprob.any() for part in parts):
        return None
    difference = np.mean(
        [(part.logprob_ood - part.logprob_id).sum() / part.has_logprob.sum() for part in parts]
    )
    drawn = 1 - np.exp(draws.logprob_ood - draws.logprob_id)
    ends = percentile_interval(drawn, confidence, worst=(-np.inf, 1.0))
    return Estimate(float(1 - np.exp(difference)), *ends)

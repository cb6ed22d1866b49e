"""The rule that allows a claim about the gap and scale.

`narrows` or `widens`: the slope's 95% interval excludes 0; the permutation test has p <= 0.05; the
slope without any one model has the same sign; and so have at least two of three scales (relative
gap, difference of accuracies, log-odds ratio). `no change beyond margin`: the 90% interval of the
change between the smallest and the largest model lies within the margin (two one-sided tests at 5%:
Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15(6), 657-680). Else
`undetermined`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from icl_gap.analysis.scaling.slopes import Closed, Verdict
from icl_gap.analysis.scaling.trends import LEVEL, PermutationTest
from icl_gap.text import signed_interval

EQUIVALENCE = 0.9
"""Confidence of an interval that has to lie within the margin, for a test at 5%."""


@dataclass(frozen=True, slots=True)
class SlopeEvidence:
    """All that the verdict on a slope depends on."""

    slope: float
    interval: tuple[float, float]
    """95%; infinite where the accuracies do not bound it."""
    change: tuple[float, float]
    """90% interval of the change between the smallest and the largest model."""
    permutation: PermutationTest
    n_models: int
    leave_one_out: Sequence[float]
    other_scales: Mapping[str, float]
    doubts: Sequence[str] = field(default=())
    """Further reasons to give no verdict."""


def judge(evidence: SlopeEvidence, margin: float) -> tuple[Verdict, str]:
    """Return the verdict on a slope, and the reason for it."""
    low, high = evidence.change
    if evidence.doubts:
        return "undetermined", "; ".join(evidence.doubts)
    within = -margin <= low and high <= margin
    reasons = _against_a_trend(evidence)
    if not reasons:
        verdict: Verdict = "narrows" if evidence.slope < 0 else "widens"
        return verdict, (
            f"the 95% interval of the slope, {signed_interval(evidence.interval, 3)}, excludes 0,"
            f" and the permutation test has p = {evidence.permutation.p_value:.3f}"
        )
    if within:
        return "no change beyond margin", (
            f"the 90% interval of the change between the smallest and the largest model, "
            f"{signed_interval(evidence.change, 3)}, lies within {margin:g}"
        )
    return "undetermined", "; ".join(reasons)


def _against_a_trend(evidence: SlopeEvidence) -> list[str]:
    """Return the conditions of `narrows` and `widens` that are not met."""
    reasons = []
    low, high = evidence.interval
    if low <= 0 <= high:
        reasons.append(
            f"the 95% interval of the slope, {signed_interval(evidence.interval, 3)}, holds 0"
        )
    p, least = evidence.permutation.p_value, evidence.permutation.least
    if least > LEVEL:
        reasons.append(
            f"{evidence.n_models} models are too few for the permutation test: its smallest"
            f" p-value is {least:.3f}"
        )
    elif p > LEVEL:
        reasons.append(f"the permutation test has p = {p:.3f}")
    signs = {slope > 0 for slope in (evidence.slope, *evidence.leave_one_out)}
    if len(signs) > 1:
        reasons.append("the sign of the slope depends on one model")
    agreeing = sum((slope > 0) == (evidence.slope > 0) for slope in evidence.other_scales.values())
    if agreeing < 1:
        reasons.append("the difference of accuracies and the log-odds ratio go the other way")
    return reasons


def judge_closed(interval: tuple[float, float] | None, margin: float) -> Closed:
    """Return whether a gap is closed within a margin.

    Args:
        interval: Its 90% interval; None if it is unresolved.
        margin: The margin.
    """
    if interval is None:
        return "undetermined"
    low, high = interval
    if -margin <= low and high <= margin:
        return "closed"
    return "open" if low > margin or high < -margin else "undetermined"

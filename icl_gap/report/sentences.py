"""The conclusion of a report, in sentences made from the numbers of an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from icl_gap.analysis import (
    SCALES,
    Analysis,
    Estimate,
    GapFit,
    GapPoint,
    QuerySplit,
    size_text,
)
from icl_gap.text import shots_text

Verdict = Literal["narrows", "widens", "open", "no line"]
"""Verdict of a fit: `open` if the interval of its slope holds zero, `no line` without a slope."""
SIDES: tuple[QuerySplit, ...] = ("pooled", "test", "train")
"""Query splits in the order of preference: the conclusion is about the first with gaps."""


@dataclass(frozen=True, slots=True)
class FitConclusion:
    """The conclusion about one family on one benchmark at one number of shots."""

    place: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The conclusion: a sentence, the evidence for it, and the conclusion of each fit."""

    lead: str
    support: tuple[str, ...]
    findings: tuple[FitConclusion, ...]


def conclude(analysis: Analysis) -> Conclusion:
    """Conclude from an analysis whether scale closes the gap.

    Args:
        analysis: Gaps and fits, of which the pooled ones are used if there are any.
    """
    have = {point.query_split for point in analysis.points}
    side: QuerySplit = next((each for each in SIDES if each in have), "pooled")
    points = [point for point in analysis.points if point.query_split == side]
    fits = [fit for fit in analysis.fits if fit.query_split == side]
    findings = tuple(_conclude_fit(fit, points) for fit in fits)
    verdicts = [finding.verdict for finding in findings if finding.verdict != "no line"]
    return Conclusion(
        lead=_lead(verdicts),
        support=tuple(_support(analysis, side, points, fits, verdicts)),
        findings=findings,
    )


def verdict_of(fit: GapFit) -> Verdict:
    """Return the verdict of a fit on the gap as models grow."""
    if fit.unsupported is not None:
        return "no line"
    if fit.slope_interval is None or fit.slope_interval[0] <= 0 <= fit.slope_interval[1]:
        return "open"
    return "narrows" if fit.slope_interval[1] < 0 else "widens"


def signed_number(value: float, digits: int = 2) -> str:
    """Format a change with its sign and a proper minus; zero has a plus."""
    text = f"{value:+.{digits}f}"
    return (f"+{text[1:]}" if not float(text) else text).replace("-", "\u2212")


def plain_number(value: float, digits: int = 2) -> str:
    """Format a number with a proper minus."""
    text = f"{value:.{digits}f}"
    return (text.removeprefix("-") if not float(text) else text).replace("-", "\u2212")


def with_interval(estimate: Estimate) -> str:
    """Format an estimate with its interval."""
    value, low, high = map(plain_number, (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _lead(verdicts: Sequence[Verdict]) -> str:
    n = len(verdicts)
    counts = {each: verdicts.count(each) for each in get_args(Verdict)}
    narrows, widens, unclear = counts["narrows"], counts["widens"], counts["open"]
    if not n:
        return "These results cannot tell: no family has enough sizes with a resolved gap."
    if unclear == n:
        lines = "the one fitted line" if n == 1 else f"all {n} fitted lines"
        return f"These results do not tell: {lines} could be level, or go either way."
    if narrows == n:
        return f"The gap narrows with scale {_everywhere(n)}."
    if widens == n:
        return f"No: the gap widens with scale {_everywhere(n)}."
    parts = [
        f"{name} with scale in {count}"
        for name, count in (("narrows", narrows), ("widens", widens))
        if count
    ]
    if unclear:
        parts.append(f"cannot be distinguished from level in {unclear}")
    start = "It depends" if narrows and widens else "Only in part"
    if not narrows:
        start = "These results give no sign that it does"
    return f"{start}: of {n} fitted lines, the gap {', and '.join(parts)}."


def _everywhere(n: int) -> str:
    return "in the one case that could be fitted" if n == 1 else f"in all {n} cases fitted"


def _support(
    analysis: Analysis,
    side: QuerySplit,
    points: Sequence[GapPoint],
    fits: Sequence[GapFit],
    verdicts: Sequence[Verdict],
) -> list[str]:
    """Return the evidence for the conclusion, and its limits."""
    queries = "test and train queries pooled" if side == "pooled" else f"{side} queries"
    sentences = [_resolved(points, queries)]
    known = [point for point in points if point.gap is not None]
    if known:
        sentences.append(_extremes(known))
    unsupported = sum(fit.unsupported is not None for fit in fits)
    if unsupported:
        sentences.append(f"{_count(unsupported, 'family and setting')} support no line; see below.")
    untrained = sorted({point.model for point in points if not point.trained})
    if untrained:
        sentences.append(
            f"Untrained models are in the table and in no line: {', '.join(untrained)}."
        )
    if known:
        sentences.append(
            f"Intervals are {analysis.confidence:.0%} intervals of a bootstrap with "
            f"{analysis.resamples:,} resamples"
            + (
                ", each by itself: they allow for one line, not for many."
                if len(verdicts) > 1
                else "."
            )
        )
    return sentences


def _resolved(points: Sequence[GapPoint], queries: str) -> str:
    if not points:
        return "No model has both its ID and its OOD cells, so there is no gap."
    known = [point.gap for point in points if point.gap is not None]
    above = sum(gap.low > 0 for gap in known)
    below = sum(gap.high < 0 for gap in known)
    text = (
        f"{_count(len(points), 'gap')} measured ({queries}): {len(known)} resolved, of which "
        f"{above} are above zero"
    )
    text += f" and {below} below" if below else ""
    if len(known) < len(points):
        text += (
            f"; {len(points) - len(known)} unresolved, because the accuracy under ID could not be "
            "distinguished from zero"
        )
    return f"{text}."


def _extremes(points: Sequence[GapPoint]) -> str:
    ordered = sorted(points, key=lambda point: point.gap.value if point.gap else 0.0)
    low, high = ordered[0], ordered[-1]
    if low is high:
        return f"The resolved gap is {_gap_of(low)}."
    return f"The smallest resolved gap is {_gap_of(low)}, the largest {_gap_of(high)}."


def _gap_of(point: GapPoint) -> str:
    return "unknown" if point.gap is None else f"{with_interval(point.gap)} ({point.label})"


def _conclude_fit(fit: GapFit, points: Sequence[GapPoint]) -> FitConclusion:
    found = verdict_of(fit)
    here = [p for p in points if (p.benchmark, p.shots) == (fit.benchmark, fit.shots)]
    text = _no_line(fit) if found == "no line" else _line(fit, found, here)
    return FitConclusion(
        f"{fit.benchmark}, {shots_text(fit.shots)}, family {fit.family}", found, " ".join(text)
    )


def _no_line(fit: GapFit) -> list[str]:
    left = "".join(f" {each.model} is left out: {each.reason}." for each in fit.left_out)
    return [f"No line is drawn: {fit.unsupported}.{left}"]


def _line(fit: GapFit, found: Verdict, points: Sequence[GapPoint]) -> list[str]:
    change = (
        f"For ten times the {SCALES[fit.against].label} the {_side(fit)} relative gap changes by "
    )
    if fit.slope_interval is None:
        sentences = [f"{change}{signed_number(fit.slope)}; its interval is not resolved."]
    else:
        low, high = fit.slope_interval
        sentences = [
            f"{change}{signed_number(fit.slope)} [{signed_number(low)}, {signed_number(high)}]."
        ]
    grows = "models grow" if fit.against.startswith("n_params") else "training grows"
    match found:
        case "narrows":
            sentences.append(f"It narrows as {grows}.")
        case "widens":
            sentences.append(f"It widens as {grows}.")
        case _:
            sentences.append("This cannot be distinguished from no change.")
    sentences.extend(_doubts(fit))
    sizes = [point for point in points if point.model in fit.models]
    if sizes:
        largest = max(sizes, key=lambda point: point.n_params or 0)
        sentences.append(_at_largest(largest))
    left = [f"{each.model} is left out: {each.reason}." for each in fit.left_out]
    return [*sentences, *left]


def _doubts(fit: GapFit) -> list[str]:
    """Return the reasons not to rely on a line."""
    sentences = []
    signs = {each.slope > 0 for each in fit.leave_one_out}
    if len(signs) > 1:
        sentences.append("The sign of the slope depends on a single size.")
    best = fit.best
    if best is not None and best.form == "constant" and verdict_of(fit) != "open":
        sentences.append("By AICc a constant gap fits as well or better.")
    if fit.sample_size is not None:
        sentences.append(
            f"Were the slope as fitted, about {fit.sample_size.queries:,} queries, or "
            f"{fit.sample_size.sizes:,} sizes over the same range, would distinguish it from zero."
        )
    return sentences


def _at_largest(point: GapPoint) -> str:
    name = f"At the largest size, {point.model} ({size_text(point)})"
    if point.gap is None:
        return f"{name}, the gap is unresolved."
    left = "still above zero"
    if point.gap.low <= 0:
        left = "not distinguishable from zero" if point.gap.high >= 0 else "below zero"
    return f"{name}, it is {with_interval(point.gap)}, {left}."


def _side(fit: GapFit) -> str:
    return "pooled" if fit.query_split == "pooled" else f"{fit.query_split} queries'"


def _count(n: int, noun: str) -> str:
    if n == 1:
        return f"1 {noun}"
    plural = {"family and setting": "families and settings"}.get(noun, f"{noun}s")
    return f"{n:,} {plural}"

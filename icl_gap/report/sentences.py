"""The question and its answer, in sentences made from the numbers of an analysis."""

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
"""What a fit says: `open` where its interval holds zero, `no line` where it supports none."""
SIDES: tuple[QuerySplit, ...] = ("pooled", "test", "train")
"""The side of which the answer speaks: the first that there are gaps of."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one family shows on one benchmark at one number of shots."""

    place: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer: a sentence, what it rests on, and each finding."""

    lead: str
    support: tuple[str, ...]
    findings: tuple[Finding, ...]


def answer(analysis: Analysis) -> Answer:
    """Say what an analysis tells of the question whether scale closes the gap.

    Args:
        analysis: Gaps and fits; the pooled ones are spoken of where there are some.
    """
    have = {point.query_split for point in analysis.points}
    side: QuerySplit = next((each for each in SIDES if each in have), "pooled")
    points = [point for point in analysis.points if point.query_split == side]
    fits = [fit for fit in analysis.fits if fit.query_split == side]
    findings = tuple(_finding(fit, points) for fit in fits)
    verdicts = [finding.verdict for finding in findings if finding.verdict != "no line"]
    return Answer(
        lead=_lead(verdicts),
        support=tuple(_support(analysis, side, points, fits, verdicts)),
        findings=findings,
    )


def verdict(fit: GapFit) -> Verdict:
    """What a fit says of the gap as models grow."""
    if fit.unsupported is not None:
        return "no line"
    if fit.slope_interval is None or fit.slope_interval[0] <= 0 <= fit.slope_interval[1]:
        return "open"
    return "narrows" if fit.slope_interval[1] < 0 else "widens"


def signed(value: float, digits: int = 2) -> str:
    """A change, with its sign; zero has a plus."""
    text = f"{value:+.{digits}f}"
    return (f"+{text[1:]}" if not float(text) else text).replace("-", "\u2212")


def plain(value: float, digits: int = 2) -> str:
    """A number, with a proper minus."""
    text = f"{value:.{digits}f}"
    return (text.removeprefix("-") if not float(text) else text).replace("-", "\u2212")


def within(estimate: Estimate) -> str:
    """A number with its interval."""
    return f"{plain(estimate.value)} [{plain(estimate.low)}, {plain(estimate.high)}]"


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
        parts.append(f"is not told from level in {unclear}")
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
    """What the answer rests on, and what it does not."""
    queries = "test and train queries pooled" if side == "pooled" else f"{side} queries"
    said = [_resolved(points, queries)]
    known = [point for point in points if point.gap is not None]
    if known:
        said.append(_extremes(known))
    unsupported = sum(fit.unsupported is not None for fit in fits)
    if unsupported:
        said.append(f"{_count(unsupported, 'family and setting')} support no line; see below.")
    untrained = sorted({point.model for point in points if not point.trained})
    if untrained:
        said.append(f"Untrained models are in the table and in no line: {', '.join(untrained)}.")
    if known:
        said.append(
            f"Intervals are {analysis.confidence:.0%} intervals of a bootstrap with "
            f"{analysis.resamples:,} resamples"
            + (
                ", each by itself: they allow for one line, not for many."
                if len(verdicts) > 1
                else "."
            )
        )
    return said


def _resolved(points: Sequence[GapPoint], queries: str) -> str:
    if not points:
        return "No model has both its ID and its OOD cells, so there is no gap."
    known = [point.gap for point in points if point.gap is not None]
    told = sum(gap.low > 0 for gap in known)
    below = sum(gap.high < 0 for gap in known)
    text = (
        f"{_count(len(points), 'gap')} measured ({queries}): {len(known)} resolved, of which "
        f"{told} are above zero"
    )
    text += f" and {below} below" if below else ""
    if len(known) < len(points):
        text += (
            f"; {len(points) - len(known)} unresolved, because the accuracy under ID could not be "
            "told from zero"
        )
    return f"{text}."


def _extremes(points: Sequence[GapPoint]) -> str:
    ordered = sorted(points, key=lambda point: point.gap.value if point.gap else 0.0)
    low, high = ordered[0], ordered[-1]
    if low is high:
        return f"The resolved gap is {_gap_of(low)}."
    return f"The smallest resolved gap is {_gap_of(low)}, the largest {_gap_of(high)}."


def _gap_of(point: GapPoint) -> str:
    return "unknown" if point.gap is None else f"{within(point.gap)} ({point.label})"


def _finding(fit: GapFit, points: Sequence[GapPoint]) -> Finding:
    found = verdict(fit)
    here = [p for p in points if (p.benchmark, p.shots) == (fit.benchmark, fit.shots)]
    said = _no_line(fit) if found == "no line" else _line(fit, found, here)
    return Finding(
        f"{fit.benchmark}, {shots_text(fit.shots)}, family {fit.family}", found, " ".join(said)
    )


def _no_line(fit: GapFit) -> list[str]:
    left = "".join(f" {each.model} is left out: {each.reason}." for each in fit.left_out)
    return [f"No line is drawn: {fit.unsupported}.{left}"]


def _line(fit: GapFit, found: Verdict, points: Sequence[GapPoint]) -> list[str]:
    change = (
        f"For ten times the {SCALES[fit.against].label} the {_side(fit)} relative gap changes by "
    )
    if fit.slope_interval is None:
        said = [f"{change}{signed(fit.slope)}, with an interval that is not resolved."]
    else:
        low, high = fit.slope_interval
        said = [f"{change}{signed(fit.slope)} [{signed(low)}, {signed(high)}]."]
    grows = "models grow" if fit.against.startswith("n_params") else "training grows"
    match found:
        case "narrows":
            said.append(f"It narrows as {grows}.")
        case "widens":
            said.append(f"It widens as {grows}.")
        case _:
            said.append("That is not told from no change.")
    said.extend(_doubts(fit))
    sizes = [point for point in points if point.model in fit.models]
    if sizes:
        largest = max(sizes, key=lambda point: point.n_params or 0)
        said.append(_at_largest(largest))
    left = [f"{each.model} is left out: {each.reason}." for each in fit.left_out]
    return [*said, *left]


def _doubts(fit: GapFit) -> list[str]:
    """What speaks against leaning on a line."""
    said = []
    signs = {each.slope > 0 for each in fit.leave_one_out}
    if len(signs) > 1:
        said.append("Whether it rises or falls hangs on a single size.")
    best = fit.best
    if best is not None and best.form == "constant" and verdict(fit) != "open":
        said.append("By AICc a constant gap fits as well or better.")
    if fit.sample_size is not None:
        said.append(
            f"Were the slope as fitted, about {fit.sample_size.queries:,} queries, or "
            f"{fit.sample_size.sizes:,} sizes over the same range, would tell it from zero."
        )
    return said


def _at_largest(point: GapPoint) -> str:
    name = f"At the largest size, {point.model} ({size_text(point)})"
    if point.gap is None:
        return f"{name}, the gap is unresolved."
    left = "still above zero"
    if point.gap.low <= 0:
        left = "not told from zero" if point.gap.high >= 0 else "below zero"
    return f"{name}, it is {within(point.gap)}, {left}."


def _side(fit: GapFit) -> str:
    return "pooled" if fit.query_split == "pooled" else f"{fit.query_split} queries'"


def _count(n: int, noun: str) -> str:
    if n == 1:
        return f"1 {noun}"
    plural = {"family and setting": "families and settings"}.get(noun, f"{noun}s")
    return f"{n:,} {plural}"

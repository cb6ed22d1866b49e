"""The answer of an analysis in sentences: does scale close the gap?

A question is one family on one benchmark. No sentence claims more than the rule of
`icl_gap.analysis.verdicts` allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import get_args

from icl_gap.analysis.analyze import Analysis
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import GapPoint
from icl_gap.analysis.scale import SCALES
from icl_gap.analysis.slopes import Closed, CommonSlope, GapFit, Verdict
from icl_gap.text import plain_number, shots_text, signed_number

_CLOSED: Mapping[Closed, str] = MappingProxyType(
    {"closed": "closed", "open": "open", "undetermined": "neither closed nor open"}
)
QUESTION = "Does scale close the compositional generalization gap?"


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """The answer of one fit: a family on one side of a benchmark with one number of shots."""

    place: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    """The answer for one family on one benchmark, over all its shots and single sides."""

    family: str
    benchmark: str
    verdict: Verdict
    sentence: str
    """The verdict with its numbers."""
    because: str
    """The reason for the verdict."""
    largest: str
    """The gap at the largest size, on each side, and whether it is closed."""
    fits: tuple[FitAnswer, ...]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The answer of an analysis: a sentence, an answer for each question, and the evidence."""

    lead: str
    answers: tuple[QuestionAnswer, ...]
    support: tuple[str, ...]


def conclude(analysis: Analysis) -> Conclusion:
    """Conclude from an analysis whether scale closes the gap."""
    groups: dict[tuple[str, str], list[GapFit]] = {}
    for fit in analysis.fits:
        groups.setdefault((fit.family, fit.benchmark), []).append(fit)
    common = {
        (fit.families[0], fit.benchmark): fit for fit in analysis.common if len(fit.families) == 1
    }
    answers = tuple(_answer(analysis, fits, common.get(key)) for key, fits in groups.items())
    return Conclusion(_lead(answers, analysis.margin), answers, tuple(_support(analysis)))


def telling_points(analysis: Analysis) -> Mapping[str, tuple[GapPoint, ...]]:
    """Return, for each benchmark, the gaps of the shots and side that tell most.

    These are the shots and side with the most resolved gaps, and of equal ones those with the
    narrowest intervals. Single sides come before pooled ones.
    """
    groups: dict[str, dict[tuple[int, str], list[GapPoint]]] = {}
    for point in analysis.points:
        cells = groups.setdefault(point.benchmark, {})
        cells.setdefault((point.shots, point.query_split), []).append(point)

    def rank(points: Iterable[GapPoint]) -> tuple[bool, int, float]:
        points = tuple(points)
        gaps = [point.gap for point in points if point.gap]
        width = sum(gap.high - gap.low for gap in gaps) / max(1, len(gaps))
        return points[0].query_split != "pooled", len(gaps), -width

    return {name: tuple(max(cells.values(), key=rank)) for name, cells in groups.items()}


def with_interval(estimate: Estimate) -> str:
    """Format an estimate with its interval."""
    value, low, high = map(plain_number, (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _lead(answers: Sequence[QuestionAnswer], margin: float) -> str:
    if not answers:
        return "These results cannot tell: no family has gaps at two or more sizes."
    if len(answers) == 1:
        return answers[0].sentence
    counts = {
        verdict: sum(each.verdict == verdict for each in answers) for verdict in get_args(Verdict)
    }
    names = {
        "narrows": "narrows with scale in",
        "widens": "widens with scale in",
        "no change beyond margin": f"does not change beyond {margin:g} in",
        "undetermined": "is undetermined in",
    }
    if counts["undetermined"] == len(answers):
        return f"Undetermined in all {len(answers)} cases (a case is a family on a benchmark)."
    parts = [f"{names[verdict]} {n}" for verdict, n in counts.items() if n]
    listed = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    return f"Of {len(answers)} cases (a family on a benchmark), the gap {listed}."


def _answer(
    analysis: Analysis, fits: Sequence[GapFit], common: CommonSlope | None
) -> QuestionAnswer:
    single = [fit for fit in fits if fit.query_split != "pooled"]
    slope = common or next(iter(single or fits))
    return QuestionAnswer(
        family=fits[0].family,
        benchmark=fits[0].benchmark,
        verdict=slope.verdict,
        sentence=_sentence(slope, fits[0].family, analysis.margin),
        because=slope.because,
        largest=_at_largest(single or fits),
        fits=tuple(_fit_answer(fit) for fit in fits),
    )


def _sentence(slope: GapFit | CommonSlope, family: str, margin: float) -> str:
    """Return the verdict on a slope with its numbers."""
    about = f"the gap of {family} on {slope.benchmark}"
    change = f"{_change(slope)} for ten times the {SCALES[slope.against].label}"
    if isinstance(slope, GapFit) and slope.unsupported is not None:
        return f"No line is drawn for {about}: {slope.unsupported}."
    match slope.verdict:
        case "narrows" | "widens":
            return f"{about[0].upper()}{about[1:]} {slope.verdict} with scale: {change}."
        case "no change beyond margin":
            return f"{about[0].upper()}{about[1:]} does not change beyond {margin:g}: {change}."
        case "undetermined":
            return f"Undetermined whether {about} changes with scale: {change}."


def _change(slope: GapFit | CommonSlope) -> str:
    if slope.slope_interval is None:
        return f"{signed_number(slope.slope)} [not resolved]"
    low, high = slope.slope_interval
    return f"{signed_number(slope.slope)} [{signed_number(low)}, {signed_number(high)}]"


def _at_largest(fits: Sequence[GapFit]) -> str:
    """Return the gaps of the largest model at the most shots, and whether they are closed."""
    shots = max(fit.shots for fit in fits)
    here = [fit for fit in fits if fit.shots == shots]
    gaps = "; ".join(
        f"{fit.query_split} {with_interval(fit.largest_gap)}, {_CLOSED[fit.closed]}"
        if fit.largest_gap
        else f"{fit.query_split} unresolved"
        for fit in here
    )
    return f"At {here[0].largest}, {shots_text(shots)}: {gaps}."


def _fit_answer(fit: GapFit) -> FitAnswer:
    place = f"{fit.benchmark}, {shots_text(fit.shots)}, {fit.query_split} queries, {fit.family}"
    return FitAnswer(place, fit.verdict, " ".join(_fit_sentences(fit)))


def _fit_sentences(fit: GapFit) -> Iterable[str]:
    """Yield the sentences on one fit: its line, the scatter, the reason, the largest model."""
    if fit.unsupported is not None:
        yield f"No line is drawn: {fit.unsupported}."
    else:
        yield (
            f"For ten times the {SCALES[fit.against].label} the relative gap changes by "
            f"{_change(fit)}; the verdict is `{fit.verdict}`: {fit.because}."
        )
        yield f"Models scatter about the line by {with_interval(fit.between_model_sd)}."
        if fit.forms_rejected:
            yield "Without that scatter, all forms are rejected."
    yield _at_largest([fit])
    for each in fit.predicted:
        yield (
            f"For a new model with {each.scale:.3g} {SCALES[fit.against].label} the line predicts "
            f"{with_interval(each.gap)}: {each.closed}."
        )
    for left in fit.left_out:
        yield f"{left.model} is left out: {left.reason}."


def _support(analysis: Analysis) -> Iterable[str]:
    """Yield what was measured, and the limits of it."""
    if not analysis.points:
        yield "No model has both its ID and its OOD cells, so there is no gap."
        return
    points = [p for p in analysis.points if p.query_split != "pooled"] or analysis.points
    yield _resolved(points)
    known = [point for point in points if point.gap is not None]
    if known:
        yield _extremes(known)
    untrained = sorted({point.model for point in points if not point.trained})
    if untrained:
        yield f"Untrained models are in the table and in no line: {', '.join(untrained)}."
    if known:
        yield (
            f"Intervals of gaps are {analysis.confidence:.0%} intervals of a bootstrap with "
            f"{analysis.resamples:,} resamples, each by itself; intervals of slopes include the "
            "scatter between models."
        )


def _resolved(points: Sequence[GapPoint]) -> str:
    known = [point.gap for point in points if point.gap is not None]
    above = sum(gap.low > 0 for gap in known)
    below = sum(gap.high < 0 for gap in known)
    noun = "gap" if len(points) == 1 else "gaps"
    text = f"{len(points):,} {noun} measured: {len(known)} resolved, of which {above} above zero"
    text += f" and {below} below" if below else ""
    if len(known) < len(points):
        text += f"; {len(points) - len(known)} unresolved, as the ID accuracy is too near zero"
    return f"{text}."


def _extremes(points: Sequence[GapPoint]) -> str:
    ordered = sorted(points, key=lambda point: point.gap.value if point.gap else 0.0)
    low, high = ordered[0], ordered[-1]
    if low is high:
        return f"The resolved gap is {_gap_of(low)}."
    return f"The smallest resolved gap is {_gap_of(low)}, the largest {_gap_of(high)}."


def _gap_of(point: GapPoint) -> str:
    if point.gap is None:
        return "unknown"
    return f"{with_interval(point.gap)} ({point.label}, {point.query_split} queries)"

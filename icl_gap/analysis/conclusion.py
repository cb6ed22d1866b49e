"""The answer of an analysis in sentences: does scale close the gap?

A question is one family on one benchmark. No sentence claims more than the rule of
`icl_gap.analysis.scaling.verdicts` allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, get_args

from icl_gap.analysis.analyze import Analysis
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import GapPoint
from icl_gap.analysis.scaling.scale import SCALES
from icl_gap.analysis.scaling.slopes import CommonSlope, GapFit, Verdict
from icl_gap.text import plain_number, shots_text, signed_interval, signed_number

if TYPE_CHECKING:
    from icl_gap.analysis.power import Remedy

REMEDY_SLOPE = -0.1
"""Slope that a remedy is to detect: a tenth of the gap for ten times the scale."""
TOO_FEW_MODELS = "It takes models of at least three sizes that solve some queries."
"""Remedy where there are too few models to say more."""
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
    sides: str
    """The contrast of the two sides there; empty if a side is unresolved."""
    remedy: str
    """The cheapest way to detect a slope of `REMEDY_SLOPE`; empty if the verdict is determined."""
    fits: tuple[FitAnswer, ...]
    slope: GapFit | CommonSlope
    """The slope that the verdict is on."""
    curves: tuple[GapFit, ...]
    """The fits that `fits` tells of."""
    needed: Remedy | None
    """The numbers of `remedy`; None if there is none, or too few models to say."""


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
    lead = _lead(answers, analysis.margin) if answers else _without_answers(analysis)
    return Conclusion(lead, answers, tuple(_support(analysis)))


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


def _without_answers(analysis: Analysis) -> str:
    n = len({point.model for point in analysis.points if point.size_unknown})
    sizes = "the size of one model is" if n == 1 else f"the sizes of {n} models are"
    lacking = f"; {sizes} not known" if n else ""
    return f"These results cannot tell: no family has gaps at two or more sizes{lacking}."


def _lead(answers: Sequence[QuestionAnswer], margin: float) -> str:
    if len(answers) == 1:
        return f"{answers[0].sentence[0].upper()}{answers[0].sentence[1:]}"
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
        cases = "both" if len(answers) == 2 else f"all {len(answers)}"
        return f"Undetermined in {cases} cases (a family on a benchmark each)."
    parts = [f"{names[verdict]} {n}" for verdict, n in counts.items() if n]
    listed = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    return f"Of {len(answers)} cases (a family on a benchmark), the gap {listed}."


def _answer(
    analysis: Analysis, fits: Sequence[GapFit], common: CommonSlope | None
) -> QuestionAnswer:
    single = [fit for fit in fits if fit.query_split != "pooled"]
    slope = common or next(iter(single or fits))
    undetermined = slope.verdict == "undetermined"
    needed = _find_remedy(analysis, single or fits) if undetermined else None
    return QuestionAnswer(
        family=fits[0].family,
        benchmark=fits[0].benchmark,
        verdict=slope.verdict,
        sentence=_sentence(slope, fits[0].family, analysis.margin),
        because=slope.because,
        largest=_at_largest(single or fits),
        sides=" ".join(_between_sides(analysis, single)),
        remedy=(needed.sentence if needed else TOO_FEW_MODELS) if undetermined else "",
        fits=tuple(_fit_answer(fit) for fit in fits),
        slope=slope,
        curves=tuple(fits),
        needed=needed,
    )


def _sentence(slope: GapFit | CommonSlope, family: str, margin: float) -> str:
    """Return the verdict on a slope with its numbers."""
    start = f"{family} on {slope.benchmark}"
    if isinstance(slope, GapFit) and slope.unsupported is not None:
        return f"{start}: no line is drawn, {slope.unsupported}."
    verdicts: Mapping[Verdict, str] = {
        "narrows": "the gap narrows",
        "widens": "the gap widens",
        "no change beyond margin": f"no change beyond {margin:g}",
        "undetermined": "undetermined",
    }
    return (
        f"{start}: {verdicts[slope.verdict]}, {_change(slope)} per 10x "
        f"{SCALES[slope.against].short}."
    )


def _change(slope: GapFit | CommonSlope) -> str:
    if slope.slope_interval is None:
        return f"{signed_number(slope.slope)} [not resolved]"
    return f"{signed_number(slope.slope)} {signed_interval(slope.slope_interval)}"


def _at_largest(fits: Sequence[GapFit]) -> str:
    """Return whether the gaps of the largest model at the most shots are closed."""
    shots = max(fit.shots for fit in fits)
    here = [fit for fit in fits if fit.shots == shots]
    gaps = ", ".join(
        f"{fit.query_split} {with_interval(fit.largest_gap)} {fit.closed}"
        if fit.largest_gap
        else f"{fit.query_split} unresolved"
        for fit in here
    )
    return f"Closed at {here[0].largest}, {shots_text(shots)}? {gaps}."


def _between_sides(analysis: Analysis, fits: Sequence[GapFit]) -> Iterable[str]:
    """Yield the contrast of the sides at the largest model and the most shots, if there is one."""
    shots = max((fit.shots for fit in fits), default=0)
    for fit in fits[:1]:
        for side in analysis.sides:
            here = (side.model, side.benchmark, side.shots) == (fit.largest, fit.benchmark, shots)
            if here and side.contrast is not None:
                ends = signed_interval((side.contrast.low, side.contrast.high))
                yield f"Test less train: {signed_number(side.contrast.value)} {ends}."


def _find_remedy(analysis: Analysis, fits: Sequence[GapFit]) -> Remedy | None:
    """Return what it would take to detect a slope of `REMEDY_SLOPE` on the curve that tells most.

    The standard error of a gap is taken from the median width of the resolved gaps' intervals.
    Returns None with too few models.
    """
    from statistics import NormalDist, median

    from icl_gap.analysis.power import FEWEST_MODELS, find_remedy

    widths: dict[int, list[float]] = {n: [] for n in range(len(fits))}
    n_queries = 0
    for number, fit in enumerate(fits):
        for point in analysis.points:
            place = (point.benchmark, point.shots, point.query_split)
            if place == (fit.benchmark, fit.shots, fit.query_split) and point.model in fit.models:
                n_queries = max(n_queries, point.n_queries)
                widths[number] += [point.gap.high - point.gap.low] if point.gap else []
    number = max(widths, key=lambda n: (len(widths[n]), -sum(widths[n])))
    fit, known = fits[number], widths[number]
    if len(set(fit.scales)) < FEWEST_MODELS or not known:
        return None
    error = median(known) / (2 * NormalDist().inv_cdf((1 + analysis.confidence) / 2))
    return find_remedy(
        [log10(scale) for scale in fit.scales],
        error,
        n_queries,
        slope=REMEDY_SLOPE,
        between_model_sd=round(fit.between_model_sd.value, 2),
    )


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
        if fit.trend.kendall_tau is not None and fit.trend.kendall_p is None:
            yield f"Kendall's test cannot reach 0.05 with {fit.n_points} models."
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

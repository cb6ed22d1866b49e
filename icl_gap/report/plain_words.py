"""The answer in the words of a reader who does not know the rule of verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from icl_gap.analysis.conclusion import (
    TOO_FEW_MODELS,
    Conclusion,
    QuestionAnswer,
    with_interval,
)
from icl_gap.analysis.power import Remedy
from icl_gap.analysis.scaling.scale import SCALES
from icl_gap.analysis.scaling.slopes import CommonSlope, GapFit
from icl_gap.text import shots_text, signed_interval, signed_number

PLAIN_VERDICTS: Mapping[str, str] = MappingProxyType(
    {"undetermined": "inconclusive", "no change beyond margin": "no change"}
)
"""Verdicts that have another name on the page."""
MOST_NAMED = 3
"""Cases that the sentence at the top names, at most."""


@dataclass(frozen=True, slots=True)
class CurveText:
    """The fit of one curve in words."""

    place: str
    verdict: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseText:
    """The answer for one family on one benchmark, as named facts."""

    title: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    curves: tuple[CurveText, ...]


def plain_verdict(verdict: str) -> str:
    """Return a verdict, or the state of a gap, in plain words."""
    return PLAIN_VERDICTS.get(verdict, verdict)


def plain_rows(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return rows of a table with plain verdicts."""
    named = {"verdict", "at the largest"}
    return [
        {key: plain_verdict(value) if key in named else value for key, value in row.items()}
        for row in rows
    ]


def verdict_sentence(conclusion: Conclusion, margin: float) -> str:
    """Return the answer as one sentence."""
    answers = conclusion.answers
    if not answers:
        return conclusion.lead
    if len(answers) == 1:
        return _single(answers[0], margin)
    if len({each.verdict for each in answers}) == 1:
        return _unanimous(answers, margin)
    counts = {
        "narrows with scale": sum(each.verdict == "narrows" for each in answers),
        "widens with scale": sum(each.verdict == "widens" for each in answers),
        f"changes by no more than {margin:g}": sum(
            each.verdict == "no change beyond margin" for each in answers
        ),
    }
    known = [f"{text} in {n}" for text, n in counts.items() if n]
    rest = len(answers) - sum(counts.values())
    end = f"; the other {rest} {'is' if rest == 1 else 'are'} inconclusive" if rest else ""
    return f"Of {len(answers)} cases, the gap {' and '.join(known)}{end}."


def case_texts(conclusion: Conclusion) -> list[CaseText]:
    """Return the answer for each family on each benchmark."""
    return [
        CaseText(
            f"{each.family} on {each.benchmark}",
            plain_verdict(each.verdict),
            tuple(_facts(each)),
            tuple(map(_curve, each.curves)),
        )
        for each in conclusion.answers
    ]


def _single(answer: QuestionAnswer, margin: float) -> str:
    where = f"{answer.family} on {answer.benchmark}"
    slope = answer.slope
    if isinstance(slope, GapFit) and slope.unsupported is not None:
        return f"Inconclusive for {where}: no line is drawn, as {slope.unsupported}."
    steps = f"ten times the {SCALES[slope.against].label}"
    match answer.verdict:
        case "narrows" | "widens":
            return f"The gap of {where} {answer.verdict}: {_change(slope)} for {steps}."
        case "no change beyond margin":
            start = f"The gap of {where} changes by no more than {margin:g} over these sizes"
            return f"{start}: {_change(slope)} for {steps}."
        case "undetermined":
            return f"Inconclusive for {where}: {_change(slope)} for {steps}."


def _unanimous(answers: Sequence[QuestionAnswer], margin: float) -> str:
    texts = {
        "narrows": "The gap narrows with scale",
        "widens": "The gap widens with scale",
        "no change beyond margin": f"The gap changes by no more than {margin:g}",
        "undetermined": "Inconclusive",
    }
    start, n = texts[answers[0].verdict], len(answers)
    if n > MOST_NAMED:
        return f"{start} in all {n} cases (a family on a benchmark each)."
    names = [f"{each.family} on {each.benchmark}" for each in answers]
    return f"{start} in {'both' if n == 2 else f'all {n}'} cases: {_joined(names)}."


def _joined(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _change(slope: GapFit | CommonSlope) -> str:
    if slope.slope_interval is None:
        return f"{signed_number(slope.slope)}, with an interval that the accuracies do not bound"
    return f"{signed_number(slope.slope)} {signed_interval(slope.slope_interval)}"


def _facts(answer: QuestionAnswer) -> Iterable[tuple[str, str]]:
    slope, singles = answer.slope, _single_sides(answer.curves)
    if not (isinstance(slope, GapFit) and slope.unsupported):
        name = f"Change of the gap for ten times the {SCALES[slope.against].label}"
        yield name, _change(slope)
    shots = max(fit.shots for fit in singles)
    here = [fit for fit in singles if fit.shots == shots]
    largest = f"Gap of the largest model, {here[0].largest}, {shots_text(shots)}"
    yield largest, "; ".join(f"{fit.query_split} queries {_at_largest(fit)}" for fit in here)
    if answer.sides:
        yield "Difference of the sides there", answer.sides.rstrip(".")
    yield "Why", answer.because
    if answer.verdict == "undetermined":
        yield _needed(answer.needed)


def _single_sides(curves: Sequence[GapFit]) -> Sequence[GapFit]:
    return [fit for fit in curves if fit.query_split != "pooled"] or curves


def _at_largest(fit: GapFit) -> str:
    if fit.largest_gap is None:
        return "unresolved"
    return f"{with_interval(fit.largest_gap)}, {plain_verdict(fit.closed)}"


def _needed(remedy: Remedy | None) -> tuple[str, str]:
    """Return the name and the text of the fact that says what it takes."""
    if remedy is None:
        return "Needed", TOO_FEW_MODELS.removeprefix("It takes ").rstrip(".")
    slope = signed_number(remedy.slope, 1)
    name = f"Needed to detect a change of {slope} for ten times the size"
    scatter = f"where models scatter about their line by {remedy.between_model_sd:g}"
    ways = []
    if remedy.queries is not None:
        few = "" if remedy.available is None else f" (the benchmark has {remedy.available:,})"
        ways.append(f"{remedy.queries:,} queries a side{few}")
    if remedy.models is not None:
        ways.append(f"{remedy.models} models over the same sizes")
    if not ways:
        return name, f"more than any number of queries or models tried, {scatter}"
    more = "" if remedy.queries is not None else "; more queries alone do not do"
    return name, f"{' or '.join(ways)}, {scatter}{more}"


def _curve(fit: GapFit) -> CurveText:
    place = f"{fit.benchmark}, {shots_text(fit.shots)}, {fit.query_split} queries"
    return CurveText(place, plain_verdict(fit.verdict), tuple(_curve_sentences(fit)))


def _curve_sentences(fit: GapFit) -> Iterable[str]:
    label = SCALES[fit.against].label
    if fit.unsupported is not None:
        yield f"No line is drawn: {fit.unsupported}."
    else:
        yield f"For ten times the {label} the gap changes by {_change(fit)}: {fit.because}."
        yield f"Models scatter about the line by {with_interval(fit.between_model_sd)}."
    yield f"Gap of the largest model, {fit.largest}: {_at_largest(fit)}."
    for each in fit.predicted:
        yield (
            f"For a new model with {each.scale:.3g} {label} the line predicts "
            f"{with_interval(each.gap)}: {plain_verdict(each.closed)}."
        )
    for left in fit.left_out:
        yield f"{left.model} is left out: {left.reason}."

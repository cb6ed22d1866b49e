"""The three numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from icl_gap.analysis import Analysis, GapPoint
from icl_gap.analysis.conclusion import Conclusion, QuestionAnswer, telling_points
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.scaling.scale import SCALES
from icl_gap.text import plain_number, shots_text, signed_interval, signed_number


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """A number, its interval and what it is of."""

    value: str
    interval: str
    label: str


def key_numbers(analysis: Analysis, conclusion: Conclusion) -> list[KeyNumber]:
    """Return three numbers: the trend, the gap at the largest size, and how many gaps are resolved.

    Where there is no trend or no gap, its accuracies and its number of queries stand in their
    place. Results without a pair of cells have no numbers.
    """
    if not analysis.points:
        return []
    return [*islice(_first_numbers(analysis, conclusion.answers), 2), _resolved(analysis)]


def _first_numbers(analysis: Analysis, answers: Sequence[QuestionAnswer]) -> Iterable[KeyNumber]:
    if len(answers) == 1 and answers[0].slope.slope_interval is not None:
        yield _trend(answers[0])
    elif answers:
        yield _conclusive(answers)
    point = _largest(analysis)
    where = f"{point.model} on {point.benchmark}, {shots_text(point.shots)}"
    where += f", {point.query_split} queries"
    if point.gap is not None:
        yield KeyNumber(plain_number(point.gap.value), _ends(point.gap), f"gap of {where}")
    yield KeyNumber(
        f"{plain_number(point.a_id.value)} → {plain_number(point.a_ood.value)}",
        "",
        f"accuracy with ID → with OOD exemplars{'' if point.gap else f' of {where}'}",
    )
    seeds = f"{point.n_seeds} seed{'' if point.n_seeds == 1 else 's'}"
    yield KeyNumber(f"{point.n_queries:,}", "", f"queries there, {seeds}")


def _trend(answer: QuestionAnswer) -> KeyNumber:
    slope = answer.slope
    interval = "" if slope.slope_interval is None else signed_interval(slope.slope_interval)
    label = f"change of the gap for ten times the {SCALES[slope.against].label}"
    return KeyNumber(signed_number(slope.slope), interval, label)


def _conclusive(answers: Sequence[QuestionAnswer]) -> KeyNumber:
    known = sum(each.verdict != "undetermined" for each in answers)
    noun = "trend is" if len(answers) == 1 else "trends are"
    label = f"{noun} conclusive (a family on a benchmark each)"
    return KeyNumber(f"{known} of {len(answers)}", "", label)


def _largest(analysis: Analysis) -> GapPoint:
    """Return the largest trained model's point where most gaps are resolved.

    Of models whose gap is unresolved, the one that is right most often.
    """

    def resolved(points: Sequence[GapPoint]) -> int:
        return sum(point.gap is not None for point in points)

    points = max(telling_points(analysis).values(), key=resolved)
    return max(
        points,
        key=lambda p: (p.gap is not None, p.trained, p.n_params or 0, p.a_id.value),
    )


def _resolved(analysis: Analysis) -> KeyNumber:
    points = [p for p in analysis.points if p.query_split != "pooled"] or analysis.points
    known = sum(point.gap is not None for point in points)
    label = "gaps could be measured"
    if known < len(points):
        label += "; for the others the ID accuracy is too near zero"
    return KeyNumber(f"{known} of {len(points)}", "", label)


def _ends(estimate: Estimate) -> str:
    return f"[{plain_number(estimate.low)}, {plain_number(estimate.high)}]"

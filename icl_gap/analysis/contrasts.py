"""Differences of gaps under the same resamples: of two sides, models, shots or selections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from math import hypot
from typing import Literal, NamedTuple, get_args

import numpy as np

from icl_gap.analysis.bootstrap import percentile_interval
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.gaps import ResampledGap
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.points import GapDifference, GapPoint, Setting, SideContrast
from icl_gap.errors import AnalysisError, InputError
from icl_gap.text import shots_text

Varied = Literal["model", "shots", "selection"]
_SETTING_FIELDS = tuple(field.name for field in fields(Setting))


def side_contrasts(
    measured: Sequence[ResampledGap], *, confidence: float
) -> tuple[SideContrast, ...]:
    """Return g_test - g_train of each setting that has both sides.

    Args:
        measured: Gaps with their draws, all with the same number of resamples.
        confidence: Confidence of the intervals.
    """
    by_side = {(_coordinates(each.point), each.point.query_split): each for each in measured}
    found = []
    for (coordinates, query_split), test in by_side.items():
        train = by_side.get((coordinates, "train"))
        if query_split == "test" and train is not None:
            setting = {name: getattr(test.point, name) for name in _SETTING_FIELDS}
            contrast, why = _difference(test, train, confidence)
            found.append(SideContrast(**setting, contrast=contrast, unresolved_because=why))
    return tuple(found)


class Comparison(NamedTuple):
    """A request to compare the gaps of two values of a field."""

    varied: Varied
    first: str
    second: str


def parse_comparison(first: str, second: str) -> Comparison:
    """Read both sides of a comparison: names of models, or `model=`, `shots=` or `selection=`.

    Raises:
        InputError: A field is unknown, both are the same, or each is of another field.
    """
    allowed = "two models, `shots=5 shots=10`, or `selection=random selection=bm25`"
    sides = []
    for text in (first, second):
        field, equals, value = text.partition("=")
        sides.append((field, value) if equals else ("model", text))
    (varied, one), (other, two) = sides
    for field in (varied, other):
        if field not in get_args(Varied):
            raise InputError("no field to compare gaps by", value=field, allowed=get_args(Varied))
    if varied != other:
        raise InputError(
            "the two sides of a comparison differ in one field",
            value=f"{first} {second}",
            allowed=allowed,
        )
    if one == two:
        raise InputError("a gap is compared with itself", value=one, allowed=allowed)
    return Comparison(varied, one, two)  # type: ignore[arg-type]


def compare_gaps(
    measured: Sequence[ResampledGap], comparison: Comparison, *, confidence: float
) -> tuple[GapDifference, ...]:
    """Return the difference of two gaps for each setting and query split that both have.

    Args:
        measured: Gaps with their draws, all with the same number of resamples.
        comparison: The field that differs, and its two values.
        confidence: Confidence of the intervals.

    Raises:
        InputError: There is no gap with one of the values.
        AnalysisError: The two have no setting in common.
    """
    varied = comparison.varied
    values = [str(getattr(each.point, varied)) for each in measured]
    for wanted in (comparison.first, comparison.second):
        if wanted not in values:
            known = dict.fromkeys(values)
            raise InputError(f"no gap has this `{varied}`", value=wanted, allowed=known)
    by_value: dict[str, dict[tuple[object, ...], ResampledGap]] = {}
    for value, each in zip(values, measured, strict=True):
        by_value.setdefault(value, {})[_coordinates(each.point, without=varied)] = each
    first, second = by_value[comparison.first], by_value[comparison.second]
    found = tuple(
        _compared(comparison, each, second[at], confidence)
        for at, each in first.items()
        if at in second
    )
    if not found:
        raise AnalysisError(
            f"`{comparison.first}` and `{comparison.second}` have no gap in a common setting: "
            "the same benchmark, query split, model, shots and selection otherwise"
        )
    return found


def _coordinates(point: GapPoint, without: str | None = None) -> tuple[object, ...]:
    """Return what identifies a gap, without a field; its query split only if it lacks a field."""
    names = ("dataset", "split", "model", "shots", "selection")
    kept = tuple(getattr(point, name) for name in names if name != without)
    return kept if without is None else (*kept, point.query_split)


def _compared(
    comparison: Comparison, first: ResampledGap, second: ResampledGap, confidence: float
) -> GapDifference:
    difference, why = _difference(first, second, confidence)
    point, varied = first.point, comparison.varied
    return GapDifference(
        varied=varied,
        first=comparison.first,
        second=comparison.second,
        dataset=point.dataset,
        split=point.split,
        query_split=point.query_split,
        model=None if varied == "model" else point.model,
        shots=None if varied == "shots" else point.shots,
        selection=None if varied == "selection" else point.selection,
        difference=difference,
        unresolved_because=why,
    )


def _difference(
    first: ResampledGap, second: ResampledGap, confidence: float
) -> tuple[Estimate | None, str | None]:
    """Return the difference of two gaps, or the reason why there is none."""
    one, other = first.point.gap, second.point.gap
    if one is None or other is None:
        reasons = [
            f"{_described(each.point)}: {each.point.unresolved_because}"
            for each in (first, second)
            if each.point.gap is None
        ]
        return None, "; ".join(reasons)
    exact = first.point.exact or second.point.exact
    drawn = first.gaps - second.gaps
    return difference_of(one, other, drawn, exact=exact, confidence=confidence), None


def _described(point: GapPoint) -> str:
    return f"{point.model}, {shots_text(point.shots)}, {point.query_split} queries"


def difference_of(
    first: Estimate, second: Estimate, drawn: Floats, *, exact: bool, confidence: float
) -> Estimate:
    """Return the difference of two gaps, first less second.

    The interval is the percentile interval of the shared draws. If one of the gaps has exact
    bounds, or the draws agree, it is widened by the squared and added distances of both gaps' ends
    (MOVER: Zou & Donner 2008, Statistics in Medicine 27(10), 1693-1702, without a correlation).

    Args:
        first: The first gap.
        second: The second gap.
        drawn: (B,) differences of their draws.
        exact: True if one of the gaps has exact bounds.
        confidence: Confidence of the interval.
    """
    value = first.value - second.value
    low, high = percentile_interval(drawn, confidence, worst=(-np.inf, np.inf))
    if exact or low == high or not np.isfinite([low, high]).all():
        down = value - hypot(first.value - first.low, second.high - second.value)
        up = value + hypot(first.high - first.value, second.value - second.low)
        low, high = (
            (min(low, down), max(high, up)) if np.isfinite([low, high]).all() else (down, up)
        )
    return Estimate(value, low, high)

"""Two sides of a benchmark: their order, their contrast, and what a pooled gap hides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.synthetic import analyze, cell

from icl_gap.analysis import Analysis, GapPoint
from icl_gap.analysis.table import gap_table, side_table
from icl_gap.schema import CellResult, Split

Rates = tuple[float, float]
"""Accuracies ID and OOD."""


def side(query_split: Split, rates: Rates, *, queries: int = 100) -> list[CellResult]:
    """The cells of one side; queries right OOD are among those right ID, if there are enough."""
    return [
        cell(condition, [n < rate * queries for n in range(queries)], query_split=query_split)
        for condition, rate in zip(("id", "ood"), rates, strict=True)
    ]


def analyzed(test: Rates, train: Rates, **options: object) -> Analysis:
    return analyze([*side("train", train), *side("test", test)], resamples=1000, **options)


def pooled(test: Rates, train: Rates) -> GapPoint:
    return analyzed(test, train).points[-1]


def test_the_sides_come_first() -> None:
    points = analyzed((0.6, 0.4), (0.8, 0.7)).points
    assert [point.query_split for point in points] == ["test", "train", "pooled"]


def test_the_contrast_of_the_sides() -> None:
    analysis = analyzed((0.6, 0.3), (0.8, 0.6))
    (found,) = analysis.sides
    test, train, _ = (point.gap for point in analysis.points)
    assert found.contrast is not None
    assert test is not None
    assert train is not None
    assert found.contrast.value == pytest.approx(0.5 - 0.25)
    # The sides have queries of their own, so their variances add up.
    widths = [gap.high - gap.low for gap in (test, train)]
    assert found.contrast.high - found.contrast.low == pytest.approx(np.hypot(*widths), rel=0.1)
    assert side_table(analysis)[0]["g_test - g_train"].startswith("+0.250 [+0.0")


def test_a_contrast_of_few_counts_is_as_wide_as_both_exact_intervals() -> None:
    analysis = analyzed((0.6, 0.6), (0.8, 0.8))
    (found,) = analysis.sides
    test, train, _ = (point.gap for point in analysis.points)
    assert found.contrast is not None
    assert test is not None
    assert train is not None
    assert found.contrast.high == pytest.approx(np.hypot(test.high, train.low))
    assert found.contrast.low == pytest.approx(-np.hypot(test.low, train.high))


def test_an_unresolved_side_has_no_contrast_and_flags_the_pooled_gap() -> None:
    analysis = analyzed((0.02, 0.01), (0.8, 0.6))
    (found,) = analysis.sides
    assert found.contrast is None
    assert found.unresolved_because is not None
    assert found.unresolved_because.startswith("opt-350m, 5 shots, test queries: A_id not resolved")
    point = analysis.points[-1]
    assert point.gap is not None
    (flag,) = point.flags
    assert flag.startswith("the test side is unresolved (A_id not resolved from 0: 2 of 100")
    assert side_table(analysis)[0]["g_test - g_train"] == "unresolved"


def test_a_single_side_has_neither_contrast_nor_flags() -> None:
    analysis = analyze(side("test", (0.6, 0.0)))
    assert analysis.sides == ()
    assert [point.flags for point in analysis.points] == [()]


def test_sides_that_agree_raise_no_flag() -> None:
    assert pooled((0.6, 0.4), (0.8, 0.7)).flags == ()


def test_sides_of_different_signs_flag_the_pooled_gap() -> None:
    analysis = analyzed((0.6, 0.3), (0.6, 0.75))
    point = analysis.points[-1]
    assert point.flags == ("the sides' gaps have different signs (test +0.500, train -0.250)",)
    assert gap_table(analysis)[-1]["queries"] == "pooled (flagged)"
    (note,) = (
        n for n in analysis.notes if n.text.startswith("the pooled gap hides its sides; see them")
    )
    assert "different signs" in note.where[0]


@pytest.mark.parametrize(
    ("test", "flag"),
    [
        ((0.6, 0.0), "the test side is at its floor: 0 of 100 OOD requests right"),
        ((1.0, 0.6), "the test side is at its ceiling: 100 of 100 ID requests right"),
    ],
)
def test_floors_and_ceilings_flag_the_pooled_gap(test: Rates, flag: str) -> None:
    assert pooled(test, (0.8, 0.7)).flags == (flag,)


def has_logprob(result: CellResult, low: float) -> CellResult:
    values = np.linspace(low, low / 2, len(result.records))
    records = zip(result.records, values, strict=True)
    return replace(result, records=tuple(replace(r, gold_logprob=float(v)) for r, v in records))


@pytest.mark.parametrize("train", [(0.8, 0.0), (0.0, 0.0), (0.8, 0.6)])
def test_the_smooth_gap_is_not_pooled_over_a_floor(train: Rates) -> None:
    cells = [*side("test", (0.6, 0.4)), *side("train", train)]
    analysis = analyze(
        [has_logprob(each, -1.0 if each.info.condition == "id" else -2.0) for each in cells],
        resamples=100,
    )
    *sides, last = analysis.points
    assert all(point.smooth is not None for point in sides)
    noted = [n for n in analysis.notes if n.text == "no pooled smooth gap: a side is at its floor"]
    assert (last.smooth is None) == bool(noted) == (0.0 in train)

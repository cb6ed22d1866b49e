"""The frame holds what the points hold."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from analysis.synthetic import analyze, sweep

from icl_gap.analysis import Analysis, Estimate, GapPoint

MODELS = [("opt-s", "opt", 10**8, True), ("opt-l", "opt", 10**9, True), ("none", "x", None, False)]


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    def chance(model: str, shots: int, condition: str) -> float:
        del shots
        return 0.0 if model == "none" else 0.8 if condition == "id" else 0.4

    return analyze(sweep(MODELS, chance, shots=(1, 5)), resamples=200)


def test_every_number_of_a_point_is_in_its_row(analysis) -> None:
    frame = analysis.to_frame()
    assert len(frame) == len(analysis.points) > 10
    for point, (_, row) in zip(analysis.points, frame.iterrows(), strict=True):
        assert (row.model, row.shots, row.query_split) == (
            point.model,
            point.shots,
            point.query_split,
        )
        for name in ("a_id", "a_ood", "gap", "smooth"):
            estimate: Estimate | None = getattr(point, name)
            if estimate is None:
                assert math.isnan(row[name])
            else:
                assert [row[name], row[f"{name}_low"], row[f"{name}_high"]] == [
                    estimate.value,
                    estimate.low,
                    estimate.high,
                ]
        assert row.p_value == point.test.p_value
        assert row["flags"] == "; ".join(point.flags)


def test_an_unresolved_gap_has_its_reason_and_a_resolved_one_none(analysis) -> None:
    frame = analysis.to_frame()
    assert frame.gap.isna().sum() == (frame.model == "none").sum() > 0
    assert (frame.gap.isna() == frame.unresolved_because.notna()).all()


def test_every_field_of_a_point_has_a_column(analysis) -> None:
    columns = set(analysis.to_frame())
    for field in fields(GapPoint):
        found = {field.name, f"{field.name}_low", f"{field.name}_high"} & columns
        assert found or field.name in {"test", "accuracies"}, field.name


def test_types_do_not_depend_on_what_is_missing(analysis) -> None:
    frame = analysis.to_frame()
    for points in (analysis.points[:1], analysis.points[-1:], ()):
        assert (replace(analysis, points=points).to_frame().dtypes == frame.dtypes).all()
    assert str(frame.dtypes["n_params"]) == "Int64"
    assert str(frame.dtypes["bounds_low"]) == "float64"


def test_a_notebook_shows_the_answer_and_the_gaps_that_tell_most(analysis) -> None:
    shown = analysis._repr_html_()
    assert "to_frame() has all" in shown
    assert shown.count("<tr>") == 1 + len(MODELS)
    assert "none (untrained)" in shown
    assert "unresolved" in shown

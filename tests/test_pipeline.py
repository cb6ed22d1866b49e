"""A sweep from Python: its figures are drawn as `icl-gap run` draws them."""

from __future__ import annotations

import logging

import pytest
from toys import sweep

import icl_gap
from icl_gap.errors import InputError


def test_the_figures_of_a_sweep_are_drawn(toy_card, tmp_path) -> None:
    spec = sweep(toy_card, figures=["accuracy_vs_shots", "gap_vs_scale"])
    results = icl_gap.run_sweep(spec, tmp_path / "out")
    assert len(results) == 16
    drawn = {path.name for path in (tmp_path / "out" / "figures").iterdir()}
    assert {"accuracy_vs_shots.png", "accuracy_vs_shots.csv"} <= drawn


def test_a_figure_with_nothing_to_show_is_left_out_with_a_warning(
    toy_card, tmp_path, caplog
) -> None:
    recipe = tmp_path / "own.yaml"
    recipe.write_text("{name: own, x: shots, y: gap, query_split: train}")
    figures = ["gap_vs_shots", str(recipe)]
    spec = sweep(toy_card, figures=figures, query_splits=["test"])
    with caplog.at_level(logging.WARNING):
        results = icl_gap.run_sweep(spec, tmp_path / "out")
    assert len(results) == 8
    assert "own is not drawn: figure `own` draws `query_split: train`" in caplog.text
    assert (tmp_path / "out" / "figures" / "gap_vs_shots.png").is_file()


def test_without_a_gap_the_results_come_all_the_same(toy_card, tmp_path, caplog) -> None:
    spec = sweep(toy_card, conditions=["id"])
    with caplog.at_level(logging.WARNING):
        results = icl_gap.run_sweep(spec, tmp_path / "out")
    assert len(results) == 8
    assert "gap_vs_scale is not drawn" in caplog.text


def test_no_figures_are_drawn_where_none_are_wanted(toy_card, tmp_path) -> None:
    icl_gap.run_sweep(sweep(toy_card, figures=[]), tmp_path / "out")
    assert not (tmp_path / "out" / "figures").exists()


def test_a_recipe_that_is_not_there_stops_the_run_before_it_begins(toy_card, tmp_path) -> None:
    with pytest.raises(InputError, match=r"figures\[1\]"):
        icl_gap.run_sweep(sweep(toy_card, figures=["gap_vs_scale", "none"]), tmp_path / "out")
    assert not (tmp_path / "out").exists()

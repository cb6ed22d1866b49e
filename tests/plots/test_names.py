"""Models of unknown size: by name, in the order of the sweep, without a line."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import Body, Connection, chat_only, query_of, serving
from toys import sweep, write_toy

from icl_gap.analysis import Analysis, analyze
from icl_gap.analysis.conclusion import conclude
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.plots import CurveRecipe, nothing_to_draw, plot, read_recipe
from icl_gap.plots.content import make_marks, make_panels
from icl_gap.specs import shipped

GAP = read_recipe(shipped("plots") / "gap_vs_scale.yaml")


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Two hosted models of one family, in no order of names, one with a size, and a baseline."""
    place, dice = tmp_path_factory.mktemp("named"), random.Random(0)  # noqa: S311 (no secret)

    def respond(connection: Connection, body: Body) -> None:
        target = query_of(body).splitlines()[0].removeprefix("Q: ").upper()
        connection.send_message(target if dice.random() < 0.8 else "no")

    with serving(chat_only(respond)) as server:
        about = {"kind": "openai", "base_url": server.url, "api": "chat", "thinking_tokens": 0}
        models: list[Any] = [
            {**about, "model": "turbo", "family": "gpt"},
            {**about, "model": "alpha", "family": "gpt"},
            {**about, "model": "open", "n_params": 10**9},
            "nearest",
        ]
        spec = sweep(write_toy(place), models=models, shots=[2], seeds=[0], limit=20)
        results = evaluate_sweep(spec, place / "r")
    return analyze(results, resamples=200)


def without(analysis: Analysis, *models: str) -> Analysis:
    return replace(
        analysis, points=tuple(p for p in analysis.points if p.model not in models), fits=()
    )


def test_only_models_of_servers_have_an_unknown_size(analysis) -> None:
    unknown = {point.model for point in analysis.points if point.size_unknown}
    assert unknown == {"turbo", "alpha"}
    assert analysis.model_order == ("turbo", "alpha", "open", "nearest")


def test_they_have_a_panel_by_name_in_the_order_of_the_sweep(analysis) -> None:
    assert isinstance(GAP, CurveRecipe)
    recipe = GAP.model_copy(update={"query_split": "pooled"})
    points = [point for point in analysis.points if point.query_split == "pooled"]
    marks = make_marks(points, recipe, "raw", analysis.model_order)
    ((sized, named),) = make_panels(marks, analysis, recipe)
    assert (sized.names, named.names) == ((), ("turbo", "alpha"))
    assert {mark.point.model for mark in sized.marks} == {"open", "nearest"}
    places = {mark.point.model: mark.x.value for mark in named.marks if mark.x}
    assert places == {"turbo": 0.0, "alpha": 1.0}
    assert {mark.series for mark in named.marks} == {"gpt"}
    assert named.fits == ()
    assert not any(mark.estimated for mark in named.marks)


def test_the_figure_names_them_and_draws_no_line_through_them(analysis, tmp_path) -> None:
    only = GAP.model_copy(update={"formats": ("svg",)})
    svg = plot(analysis, only, tmp_path)[0].read_text()
    comments = [text.strip() for text in re.findall(">([^<>]+)<", svg)]
    assert comments.index("turbo") < comments.index("alpha")
    assert "model (size not known)" in comments
    assert "parameters" in comments
    assert any("models of unknown size" in text for text in comments)
    again = plot(analysis, only, tmp_path / "again")[0].read_text()
    assert svg == again


def test_hosted_models_alone_make_a_figure_with_one_panel(analysis, tmp_path) -> None:
    hosted = without(analysis, "open")
    assert nothing_to_draw(hosted, GAP) is None
    compute = read_recipe(shipped("plots") / "gap_vs_compute.yaml")
    assert "no model has a number of" in str(nothing_to_draw(hosted, compute))
    assert nothing_to_draw(without(hosted, "turbo", "alpha"), GAP) is not None
    only = GAP.model_copy(update={"formats": ("svg",)})
    svg = Path(plot(hosted, only, tmp_path)[0]).read_text()
    comments = [text.strip() for text in re.findall(">([^<>]+)<", svg)]
    assert "parameters" not in comments
    assert comments.count("toy plain") == 1


@pytest.mark.parametrize(
    "recipe", ["accuracy_vs_scale", "gap_vs_ood", "ood_vs_id", "accuracy_vs_shots", "cells"]
)
def test_other_figures_draw_them_too(analysis, tmp_path, recipe) -> None:
    found = read_recipe(shipped("plots") / f"{recipe}.yaml")
    if nothing_to_draw(analysis, found) is None:
        csv = plot(analysis, found.model_copy(update={"formats": ("svg",)}), tmp_path)[-1]
        assert ",gpt," in csv.read_text()


def test_the_analysis_says_so(analysis) -> None:
    (note,) = [str(note) for note in analysis.notes if "by name" in str(note)]
    assert note.startswith("no fit: sizes of models are not known")
    assert note.endswith(": gpt on toy/plain")
    assert conclude(analysis).lead == (
        "These results cannot tell: no family has gaps at two or more sizes; "
        "the sizes of 2 models are not known."
    )


def test_the_order_alone_depends_on_the_order_of_the_results(analysis) -> None:
    assert replace(analysis, model_order=("alpha", "turbo")) == analysis
    recipe = GAP.model_copy(update={"query_split": "pooled"})
    points = [point for point in analysis.points if point.query_split == "pooled"]
    marks = make_marks(points, recipe, "raw", ("alpha",))
    places = {mark.point.model: mark.x.value for mark in marks if mark.named and mark.x}
    assert places == {"alpha": 0.0, "turbo": 1.0}

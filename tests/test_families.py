"""Families of the zoo in a sweep: planned, run, analyzed and drawn."""

from __future__ import annotations

import pytest
from toys import sweep

import icl_gap
from icl_gap.analysis import Analysis
from icl_gap.errors import InputError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models.zoo import members
from icl_gap.plots import nothing_to_draw, read_recipe
from icl_gap.results import open_results
from icl_gap.specs import check_spec

FIRST = {"training_seeds": [0]}
LEARNED = 1
"""The training seed with which all sizes but the smallest learned."""


def test_models_of_a_family_are_planned_at_the_place_of_their_entry() -> None:
    named = ["nearest", {"family": "nano-codegen", "sizes": ["xxs", "m"], **FIRST, "shots": [2]}]
    plan = plan_sweep(sweep("scan", models=named, seeds=[0]))
    named = {cell.info.model: cell.model for cell in plan.cells}
    assert list(named) == ["nearest", "nano-codegen-xxs", "nano-codegen-m"]
    assert [each.place for each in named.values()] == ["models[0]", "models[1]", "models[1]"]
    assert named["nano-codegen-m"].shots_place == "models[1].shots"


def test_a_model_named_by_itself_and_by_its_family_is_refused(toy_card) -> None:
    named = [{"family": "nano-codegen", "sizes": ["xs", "m"]}, "nearest", "nano-codegen-m"]
    with pytest.raises(InputError, match="duplicate cells") as caught:
        plan_sweep(sweep(toy_card, models=named))
    assert "models[0] and models[2]" in str(caught.value)
    assert caught.value.place.key == "models[2]"


def test_a_fault_of_one_model_is_on_the_line_of_its_entry(toy_card, tmp_path) -> None:
    from icl_gap.cli.sweeps import faults_in
    from icl_gap.evaluation.config import read_sweep

    path = tmp_path / "sweep.yaml"
    path.write_text(
        f"name: s\ndatasets: [{toy_card}]\nmodels:\n  - nearest\n"
        "  - family: nano-codegen\n    sizes: [xxs]\n    revision: main\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="no revisions") as caught, faults_in(path):
        plan_sweep(read_sweep(path))
    assert (caught.value.place.line, caught.value.place.key) == (7, "models[1].revision")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Analysis:
    """A little study of the models that ship, whose manifest names their family."""
    fields = {
        "name": "s",
        "datasets": [{"name": "scan", "split": "simple"}],
        "models": [
            {"family": "nano-codegen", "sizes": ["xs", "m", "l"], "training_seeds": [LEARNED]}
        ],
        "query_splits": ["test"],
        "shots": [10],
        "seeds": [0],
        "limit": 40,
    }
    folder = tmp_path_factory.mktemp("study") / "results"
    evaluate_sweep(check_spec(fields, SweepSpec), folder)
    results = open_results(folder)
    assert results.sweep["models"] == [{"kind": "zoo", **fields["models"][0]}]
    return icl_gap.analyze(results.frame(), resamples=100, against="training_flops")


def test_results_know_what_the_zoo_knows(study) -> None:
    zoo = {each.named(LEARNED): each for each in members("nano-codegen")}
    names = {f"nano-codegen-{size}-seed{LEARNED}" for size in ("xs", "m", "l")}
    assert {point.model for point in study.points} == names
    assert {point.training_seed for point in study.points} == {LEARNED}
    for point in study.points:
        each = zoo[point.model]
        assert (point.n_params, point.training_tokens) == (each.n_params, each.training_tokens)
        assert (point.family, point.size_source) == ("nano-codegen", "counted")


def test_the_gap_is_fitted_and_drawn_against_compute(study, tmp_path) -> None:
    (fit,) = study.fits
    assert fit.n_points == 3
    flops = []
    for each in members("nano-codegen"):
        assert each.n_params_non_embedding is not None
        assert each.training_tokens is not None
        if each.size in ("xs", "m", "l"):
            flops.append(6 * each.n_params_non_embedding * each.training_tokens)
    ends = [fit.band[0].scale, fit.band[-1].scale]
    assert ends == pytest.approx([min(flops), max(flops)])
    recipe = read_recipe("gap_vs_compute")
    assert nothing_to_draw(study, recipe) is None
    svg = next(path for path in icl_gap.plot(study, recipe, tmp_path) if path.suffix == ".svg")
    assert "random-effects" in svg.read_text(encoding="utf-8")

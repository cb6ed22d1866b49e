"""The public names: they stay, and cost nothing until they are used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from geography import LONGEST, RIVERS, save_geography
from studies import save_card, save_study

import icl_gap
from icl_gap.errors import InputError
from icl_gap.evaluation.planning import Plan
from icl_gap.evaluation.precision import PrecisionCheck
from icl_gap.schema import CellInfo
from icl_gap.scoring import score_predictions

NAMES = {
    "Benchmark",
    "Example",
    "Score",
    "SweepSpec",
    "analyze",
    "cite",
    "diagnose",
    "exact_match",
    "exact_match_batch",
    "load_benchmark",
    "load_results",
    "no_progress",
    "open_results",
    "plan_sweep",
    "plot",
    "read_recipe",
    "read_sweep",
    "resplit",
    "run_sweep",
    "sample_exemplars",
    "show_progress",
    "write_report",
}


def test_the_public_names_stay() -> None:
    assert set(icl_gap.__all__) == NAMES
    for name in NAMES:
        assert getattr(icl_gap, name).__name__ == name
    with pytest.raises(AttributeError):
        icl_gap.no_such_name  # noqa: B018 (the access is the test)


@pytest.mark.parametrize("use", ["", "icl_gap.exact_match('a', 'a', dataset='scan')"])
def test_neither_torch_nor_matplotlib_comes_in(use) -> None:
    code = (
        f"import icl_gap, sys\n{use}\n"
        "print([n for n in ('torch', 'transformers', 'matplotlib', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_benchmark_has_two_sides_and_a_fingerprint() -> None:
    scan = icl_gap.load_benchmark("scan", split="mcd1")
    assert (len(scan.train), len(scan.test)) == (8365, 1045)
    example = scan.test[0]
    assert example.id
    assert example.source
    assert example.target
    assert len(scan.fingerprint) == 64
    prefixed = icl_gap.load_benchmark("scan", split="mcd1", action_prefix=True)
    assert prefixed.fingerprint != scan.fingerprint


def test_exemplars_are_drawn_for_every_query() -> None:
    scan = icl_gap.load_benchmark("scan")
    drawn = icl_gap.sample_exemplars(
        scan, query_split="test", condition="ood", shots=10, seed=0, limit=3
    )
    assert len(drawn) == 3
    for each in drawn:
        assert len(each.examples) == 10
        assert len(each.coverage) == 11
        assert each.coverage[-1] == 1


def test_scores_know_each_dataset_s_normal_form() -> None:
    assert icl_gap.exact_match("A  B", "A B", dataset="scan").canonical
    score = icl_gap.exact_match(
        "answer ( intersection ( b , a ) )", "answer ( intersection ( a , b ) )", dataset="geoquery"
    )
    assert (score.raw, score.canonical, score.reason) == (False, True, "argument order")
    assert not icl_gap.exact_match("b a", "a b", dataset="scan").canonical
    batch = icl_gap.exact_match_batch(["A", "B"], ["A", "A"], dataset="scan")
    assert [score.raw for score in batch] == [True, False]


def test_scores_tell_what_programs_do() -> None:
    left, right = "I_TURN_LEFT I_TURN_LEFT I_TURN_LEFT", "I_TURN_RIGHT"
    assert icl_gap.exact_match(left, right, dataset="scan").execution
    assert icl_gap.exact_match("a", "a", dataset="cogs").execution is None


@pytest.mark.usefixtures("data_root")
def test_scores_tell_what_published_programs_do() -> None:
    longest, rivers = "answer ( longest ( river ) )", "answer ( river )"
    asked = icl_gap.exact_match(longest, rivers, dataset="geoquery", example_id="geo-0")
    assert asked.execution is False
    assert icl_gap.exact_match(longest, rivers, dataset="geoquery").execution is None
    assert icl_gap.exact_match(longest, longest, dataset="geoquery").execution is True


def test_scores_tell_what_programs_of_a_database_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ICL_GAP_DATA", str(save_geography(tmp_path / "data")))
    ids = ["geo-1", "geo-0", None, "geo-1"]
    predictions = [LONGEST] * 3 + ["answer ( nothing )"]
    found = icl_gap.exact_match_batch(
        predictions, [RIVERS] * 4, dataset="geoquery", example_ids=ids
    )
    assert [score.execution for score in found] == [True, False, None, False]
    with pytest.raises(InputError, match=r"no examples of 7 of the ids: 'x0', .* and 2 more"):
        icl_gap.exact_match_batch(
            [LONGEST] * 8,
            [RIVERS] * 8,
            dataset="geoquery",
            example_ids=["geo-0", *(f"x{n}" for n in range(7))],
        )


def test_scores_need_no_files(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ICL_GAP_DATA", str(tmp_path))
    monkeypatch.setenv("ICL_GAP_CACHE", str(tmp_path))
    found = icl_gap.exact_match("a ( b )", "a ( b )", dataset="geoquery", example_id="geo-0")
    assert (found.raw, found.execution) == (True, None)


def within(value: object) -> Iterator[object]:
    """A value and all dataclass instances that it holds."""
    if is_dataclass(value):
        yield value
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple | frozenset):
        for each in value:
            yield from within(each)


def save_predictions(folder: Path) -> Path:
    """Write a file of two predictions, one of them right."""
    path = folder / "predictions.jsonl"
    path.write_text('{"prediction": "A", "target": "A"}\n{"prediction": "B", "target": "A"}\n')
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """What the public functions give, of models whose names are no short line."""
    folder = tmp_path_factory.mktemp("x" * 250)
    card = save_card(folder / "data")
    models = [f"{size}\n{'m' * 300}" for size in "sml"]
    study = save_study(folder / "s", card, models=models, seeds=range(40), limit=3)
    (folder / "sweep.yaml").write_text(
        json.dumps({"name": "n" * 300, "datasets": ["scan"], "models": ["nearest"]}).replace(
            '"datasets"', f'"seeds": {list(range(900))}, "datasets"'
        )
    )
    (folder / "recipe.yaml").write_text(json.dumps({"name": "n" * 300, "x": "shots", "y": "gap"}))
    return [
        study,
        icl_gap.analyze(icl_gap.load_results(folder / "s"), resamples=200),
        icl_gap.diagnose(study),
        icl_gap.cite(study),
        icl_gap.plan_sweep({"name": "n" * 300, "datasets": [card], "models": ["nearest"]}),
        score_predictions(save_predictions(folder), dataset="scan")[0],
        icl_gap.read_sweep(folder / "sweep.yaml"),
        icl_gap.read_recipe(folder / "recipe.yaml"),
        icl_gap.exact_match("a", "b", dataset="scan"),
        PrecisionCheck("m" * 300, "bfloat16", ()),
    ]


def test_what_comes_back_is_shown_as_one_short_line(results) -> None:
    found = [
        each
        for result in results
        for each in (result, *(() if isinstance(result, Plan) else within(result)))
        if not isinstance(each, CellInfo)
    ]
    kinds = {type(each).__name__ for each in found}
    assert {"Results", "Analysis", "GapPoint", "GapFit", "CommonSlope", "Diagnosis"} <= kinds
    assert {"Citation", "Plan", "Summary"} <= kinds
    for each in found:
        shown = repr(each)
        assert len(shown) < 200, type(each)
        assert "\n" not in shown
        assert type(each).__name__ in shown


def test_a_notebook_shows_a_small_table_of_what_comes_back(results) -> None:
    """Names of models hold 300 letters, which are cut."""
    shown = {
        type(each).__name__: each._repr_html_()
        for each in (*results, icl_gap.load_benchmark("scan"))
        if hasattr(each, "_repr_html_")
    }
    assert shown.keys() == {"Analysis", "Benchmark", "Diagnosis", "Plan", "Results", "Summary"}
    for kind, html in shown.items():
        assert html.startswith("<div>"), kind
        assert html.endswith("</table>"), kind
        assert len(html) < 20_000, kind
        assert html.count("<tr>") >= 2, kind


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: icl_gap.plan_sweep({"name": "s", "datasets": ["scna"], "models": ["nearest"]}),
         "did you mean `scan`"),
        (lambda: icl_gap.run_sweep("quickstrat"), "did you mean `quickstart`"),
        (lambda: icl_gap.read_recipe("gap_vs_scael"), "did you mean `gap_vs_scale`"),
        (lambda: icl_gap.read_recipe({"name": "r", "x": "shots", "y": "gapp"}),
         "y: not one of the possible values; did you mean `gap`"),
        (lambda: icl_gap.resplit("scan", "lenght", "out"), "did you mean `length`"),
    ],
)  # fmt: skip
def test_python_has_the_errors_of_files(call, said) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert said in str(caught.value)


def test_functions_take_a_folder_by_its_path(results) -> None:
    study = results[0]
    assert icl_gap.open_results(study) is study
    by_path = icl_gap.analyze(str(study.folder), resamples=200)
    assert by_path == icl_gap.analyze(study, resamples=200)
    assert icl_gap.cite(study.folder) == icl_gap.cite(study)

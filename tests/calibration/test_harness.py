"""Truths of pooled sides, measures of rows, bars, and runs that go on where they stopped."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from calibration import harness, runs
from calibration.bars import BARS, Miss, allowed, misses
from calibration.harness import Row, analyze_study, described, measure, truths
from calibration.measures import Measured, measures, rate
from calibration.runs import Run, complete
from calibration.settings import SimulatedSetting, family, in_cells
from calibration.simulator import simulate
from calibration.tables import group_rows, setting_rows

SMALL = SimulatedSetting("group", "name", family(queries=20))


def row(**changes: object) -> Row:
    plain: Row = {
        "study": 0,
        "shots": 5,
        "side": "test",
        "true_slope": 0.0,
        "true_change": 0.0,
        "true_scatter": 0.05,
        "true_largest": 0.3,
        "true_unseen": [0.3, 0.3],
        "slope": 0.01,
        "low": -0.1,
        "high": 0.12,
        "verdict": "undetermined",
        "closed": "open",
        "permutation_p": 0.05,
        "kendall_p": None,
        "between": 0.05,
        "between_low": 0.0,
        "between_high": 0.1,
        "unseen_held": [True, None],
    }
    return plain | changes


def test_the_truth_of_pooled_sides_is_that_of_their_mean_accuracies() -> None:
    truth = in_cells(family(slope=-0.1), shots=(5,), slope=0.3)
    gaps = simulate(truth, np.random.default_rng(0), 1).gaps[0]
    found = truths(truth, gaps)
    assert list(found) == [(5, "test"), (5, "train"), (5, "pooled")]
    assert found[5, "pooled"]["true_slope"] == pytest.approx(0.1)
    assert found[5, "pooled"]["true_change"] == pytest.approx(0.2)
    assert found[5, "pooled"]["true_scatter"] == pytest.approx(0.05 * np.sqrt(0.75))
    assert found[5, "pooled"]["true_largest"] == pytest.approx(gaps[:, 4].mean())


def test_sides_of_unequal_accuracy_pool_to_no_line() -> None:
    truth = in_cells(family(), shots=(5,), a_id=(0.3,) * 5)
    gaps = np.array([[0.4] * 7, [0.1] * 7])
    pooled = truths(truth, gaps)[5, "pooled"]
    assert pooled["true_slope"] is None
    assert pooled["true_largest"] == pytest.approx(1 - (0.6 * 0.6 + 0.3 * 0.9) / (0.6 + 0.3))


def test_what_an_analysis_finds_stands_in_its_rows() -> None:
    truth = in_cells(family(slope=-0.1, queries=100), shots=(5,))
    studies = simulate(truth, np.random.default_rng(0), 2)
    rows = measure(studies, resamples=40, seed=7)
    assert [(each["study"], each["side"]) for each in rows] == [
        (study, side) for study in (7, 8) for side in ("test", "train", "pooled")
    ]
    fits = {
        fit.query_split: fit for fit in analyze_study(truth, studies.hits[1], resamples=40, seed=8)
    }
    for each in rows[3:]:
        assert each["slope"] == fits[each["side"]].slope
        assert (each["low"], each["high"]) == fits[each["side"]].slope_interval
        assert each["kendall_p"] == fits[each["side"]].trend.kendall_p


def test_claims_of_a_fit_are_read_and_held_against_unseen_models() -> None:
    truth = family()
    gaps = np.array([[0.4] * 5 + [0.5, 0.9]])
    (known,) = truths(truth, gaps).values()
    asked = []

    def predict(n_params: int) -> tuple[float, float]:
        asked.append(n_params)
        return 0.3, 0.6

    fit: Any = SimpleNamespace(
        slope=-0.1,
        slope_interval=(-0.2, 0.0),
        verdict=None,
        closed="open",
        trend=SimpleNamespace(permutation_p=0.2, kendall_p=None),
        between_model_sd=SimpleNamespace(value=0.05, low=0.0, high=0.1),
        prediction_interval=predict,
    )
    found = described(fit, truth, known)
    assert found["unseen_held"] == [True, False]
    assert asked == [round(10**9.3), 10**11]
    assert (found["verdict"], found["closed"], found["permutation_p"]) == ("withheld", "open", 0.2)
    assert (found["between"], found["between_low"], found["between_high"]) == (0.05, 0.0, 0.1)
    fit.prediction_interval = lambda _: None
    assert described(fit, truth, known)["unseen_held"] == [None, None]
    nothing = described(None, truth, known)
    assert nothing.pop("unseen_held") == [None, None]
    assert set(nothing.values()) == {None}


def test_no_measure_depends_on_the_functions_that_are_left_out(monkeypatch) -> None:
    truth = in_cells(family(slope=-0.3, queries=100), shots=(5,))
    studies = simulate(truth, np.random.default_rng(0), 3)
    rows = measure(studies, resamples=40, seed=0)
    assert len(harness.SKIPPED) > 0
    monkeypatch.setattr(harness, "SKIPPED", {})
    assert measure(studies, resamples=40, seed=0) == rows


@pytest.mark.parametrize(
    ("changes", "measured", "value"),
    [
        ({}, "slope held", 1),
        ({"low": 0.001}, "slope held", 0),
        ({"low": 0.001}, "excludes 0", 1),
        ({"true_slope": -0.1, "high": -0.01}, "power", 1),
        ({"true_slope": -0.1, "low": 0.01}, "power", 0),
        ({"true_slope": 0.1, "low": 0.01}, "power", 1),
        ({"verdict": "narrows"}, "false verdict", 1),
        ({"verdict": "narrows", "true_slope": -0.1}, "false verdict", 0),
        ({"verdict": "widens", "true_slope": -0.1}, "false trend", 1),
        ({"verdict": "no change beyond margin"}, "false verdict", 0),
        ({"verdict": "no change beyond margin", "true_change": -0.11}, "false no change", 1),
        ({"verdict": "no change beyond margin", "true_change": -0.1}, "false no change", 0),
        ({}, "false verdict", 0),
        ({"closed": "closed"}, "false closed", 1),
        ({"closed": "closed", "true_largest": -0.05}, "false closed", 0),
        ({"true_largest": -0.05}, "false open", 1),
        ({}, "scatter held", 1),
        ({"between_high": 0.04}, "scatter held", 0),
        ({"verdict": "narrows"}, "false of given", 1),
        ({"verdict": "withheld"}, "undetermined", 1),
        ({"verdict": "withheld", "side": "pooled"}, "pooled verdict", 0),
        ({"verdict": "widens", "side": "pooled"}, "pooled verdict", 1),
        ({}, "permutation", 1),
        ({"permutation_p": 0.051}, "permutation", 0),
        ({}, "new model within", 1),
    ],
)
def test_measures_of_one_fit(changes: dict[str, object], measured: str, value: float) -> None:
    assert measures([row(**changes)])[measured].value == value


def test_fits_that_do_not_say_have_no_say() -> None:
    nothing = dict.fromkeys(
        ("slope", "low", "high", "verdict", "closed", "permutation_p", "between")
    )
    found = measures([row(**nothing), row(study=1)])
    assert found["slope held"] == measures([row(study=1)])["slope held"]
    assert found["fitted"].value == 0.5
    assert "kendall" not in found
    assert "new model beyond" not in found
    assert "false of given" not in found
    assert "pooled verdict" not in found


def test_fits_of_one_study_count_as_one_observation() -> None:
    rng = np.random.default_rng(0)
    each = (rng.random(400) < 0.3).astype(float)
    alone = rate(each, np.arange(400))
    sixfold = rate(np.repeat(each, 6), np.repeat(np.arange(400), 6))
    assert alone.error == pytest.approx(np.sqrt(0.3 * 0.7 / 400), rel=0.1)
    assert sixfold.value == pytest.approx(alone.value)
    assert sixfold.error == pytest.approx(alone.error)
    assert sixfold.studies == 400


def test_bars_tell_a_miss_from_chance() -> None:
    held = BARS[0]
    assert held.measure == "slope held"
    near, far = Measured(0.92, 0.009, 1000), Measured(0.80, 0.013, 1000)
    assert allowed(held, Measured(0.93, 0.008, 1000), 0.025)
    assert not Miss("here", held, near).certain
    assert Miss("here", held, far).certain
    assert allowed(held, near, 1e-3)
    assert not allowed(held, far, 1e-3)
    (missed,) = misses([(SMALL, {"slope held": far})])
    assert str(missed) == "group, name: slope held 0.800 ± 0.013, bar 0.93 to 1"


def test_the_average_over_settings_has_a_bar_of_its_own() -> None:
    results = [(SMALL, {"slope held": Measured(1.0, 0.001, 1000)})] * 3
    (missed,) = misses(results)
    assert missed.bar.averaged
    assert missed.where == "mean of 3 settings"
    assert missed.certain


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(runs, "CHUNK", 2)
    run = Run(tmp_path, studies=4, resamples=20)
    assert list(complete(run, [SMALL], workers=1)) == ["group, name"]
    whole = run.rows(SMALL)
    assert [each["study"] for each in whole] == [0, 1, 2, 3]
    lines = run.path(SMALL).read_text(encoding="utf-8").splitlines()
    kept = next(line for line in lines if json.loads(line)["chunk"] == 1)
    run.path(SMALL).write_text(f"{kept}\n{lines[0][:40]}\n", encoding="utf-8")
    assert [each["study"] for each in run.rows(SMALL)] == [2, 3]
    assert list(complete(run, [SMALL], workers=1)) == ["group, name"]
    assert run.rows(SMALL) == whole
    assert list(complete(run, [SMALL], workers=1)) == []


def test_other_code_or_truth_is_computed_anew(tmp_path: Path, monkeypatch) -> None:
    run = Run(tmp_path, studies=4, resamples=20)
    before = run.path(SMALL)
    assert run.path(SimulatedSetting("group", "name", family(queries=21))) != before
    monkeypatch.setattr(runs, "_code", lambda: "other")
    assert run.path(SMALL) != before


def test_tables_mark_what_misses_its_bar() -> None:
    results = [
        (SMALL, {"slope held": Measured(0.8, 0.013, 1000), "bias": Measured(0.002, 0.001, 9)})
    ]
    head, line = setting_rows(results)
    assert head.split()[:2] == ["setting", "held"]
    assert "80.0±1.3!" in line
    assert "0.002±0.001 " in line
    assert "n/a" in line
    assert list(group_rows(results))[2].startswith("| group | 1 | 80.0% | 0.002 | n/a |")

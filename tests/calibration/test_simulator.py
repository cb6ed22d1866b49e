"""The simulator does what its truth says, whatever estimators make of it."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calibration import simulator
from calibration.settings import SETTINGS, family, in_cells
from calibration.simulator import log_odds_level, simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import expit


def test_it_shares_no_code_with_the_estimators() -> None:
    tree = ast.parse(Path(simulator.__file__).read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or node.names[0].name]
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy"}


@settings(max_examples=20)
@given(st.floats(0.001, 0.999), st.floats(0.1, 4))
def test_the_level_gives_the_accuracy(accuracy: float, sd: float) -> None:
    level = float(log_odds_level(np.array(accuracy), sd))
    mean = integrate.quad(
        lambda z: expit(level + sd * z) * stats.norm.pdf(z),
        -10,
        10,
        points=[-level / sd],
        limit=200,
    )[0]
    assert mean == pytest.approx(accuracy, abs=2e-6)


@pytest.mark.parametrize("sd", [0.5, 3.0])
def test_models_are_right_as_often_as_their_truth_says(sd: float) -> None:
    truth = in_cells(family(slope=-0.1, scatter=0.1, difficulty_sd=sd), shots=(5,), level=0.1)
    studies = simulate(truth, np.random.default_rng(0), 200)
    a_id, gaps = truth.all_a_id()[:, :5], studies.gaps[:, :, :5]
    expected = np.stack([np.broadcast_to(a_id, gaps.shape), (1 - gaps) * a_id], axis=-1)
    # Requests of one query are not independent, and studies are.
    difference = (studies.hits.mean(axis=(-1, -2)) - expected).reshape(200, -1)
    error = difference.std(axis=0) / np.sqrt(200)
    assert (np.abs(difference.mean(axis=0)) < 4 * error).all()
    assert error.max() < 0.005


def test_gaps_scatter_about_their_lines_and_alike_in_all_cells() -> None:
    truth = in_cells(family(slope=-0.1, scatter=0.05, common=0.6), slope=0.2)
    gaps = simulate(replace(truth, queries=1), np.random.default_rng(0), 4000).gaps
    x = np.array(truth.all_sizes()) - truth.centre
    left = gaps - np.array([cell.level + cell.slope * x for cell in truth.cells])
    assert left.mean() == pytest.approx(0, abs=0.001)
    assert left.std(axis=0) == pytest.approx(0.05, rel=0.05)
    between_cells = np.corrcoef(left[:, :, 0].T)
    assert between_cells[np.triu_indices(6, 1)] == pytest.approx(0.6, abs=0.05)
    between_models = np.corrcoef(left[:, 0].T)
    assert between_models[np.triu_indices(7, 1)] == pytest.approx(0, abs=0.06)


def test_a_hard_query_is_hard_for_all_models_and_under_both_conditions() -> None:
    truth = family(scatter=0.0, difficulty_sd=3.0, queries=2000)
    (hits,) = simulate(truth, np.random.default_rng(0), 1).hits
    solved = hits[0].mean(axis=2)
    between = np.corrcoef(solved.reshape(10, -1))
    assert between.min() > 0.4
    light = simulate(replace(truth, difficulty_sd=0.1), np.random.default_rng(0), 1).hits[0, 0]
    assert np.corrcoef(light.mean(axis=2).reshape(10, -1)).min() < 0.2


def test_draws_are_reproducible() -> None:
    first, again = (simulate(family(), np.random.default_rng(3), 2) for _ in range(2))
    np.testing.assert_array_equal(first.hits, again.hits)
    np.testing.assert_array_equal(first.gaps, again.gaps)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each.name)
def test_hardly_any_gap_is_cut_off(setting) -> None:
    """A gap that is cut would move the line that the models scatter about."""
    truth = replace(setting.truth, queries=1)
    gaps = simulate(truth, np.random.default_rng(0), 2000).gaps
    a_id = truth.all_a_id()
    cut = (gaps <= 1 - simulator.MOST / a_id) | (gaps >= 1 - simulator.LEAST / a_id)
    assert cut.mean() < 0.02


def test_names_of_settings_are_unique() -> None:
    names = [(setting.group, setting.name) for setting in SETTINGS]
    assert len(set(names)) == len(names)

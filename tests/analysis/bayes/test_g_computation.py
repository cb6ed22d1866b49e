"""Accuracies from draws, against the formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.bayes.posteriors import X, counts, posterior
from scipy.special import expit

from icl_gap.analysis.bayes import g_computation
from icl_gap.analysis.bayes.g_computation import marginal_accuracies

NOTHING = counts(np.zeros((2, 3, 40)), 2)


def test_without_spread_accuracies_are_those_of_the_log_odds() -> None:
    made = posterior(trend=0.3)
    these, typical = marginal_accuracies(made, NOTHING, seed=0)
    alpha = np.array([0.0, 0.5, 1.0])
    expected = expit([alpha, alpha - 1 + 0.3 * X])
    assert these.shape == (300, 2, 3)
    assert these == pytest.approx(np.tile(expected, (300, 1, 1)))
    assert typical == pytest.approx(these)


def test_typical_models_lack_the_effect_of_a_single_one() -> None:
    made = posterior(sd_model=0.7)
    these, typical = marginal_accuracies(made, NOTHING, seed=0)
    alpha = np.array([0.0, 0.5, 1.0])
    assert (these[:, 0] == typical[:, 0]).all()
    assert these[:, 1] == pytest.approx(expit(alpha - 1 + 0.7 * made.z_model))
    assert typical[:, 1] == pytest.approx(np.tile(expit(alpha - 1), (300, 1)))


def test_a_spread_between_queries_is_averaged_over_and_not_put_at_its_mean() -> None:
    made = posterior(alpha=(2.0, 2.0, 2.0), queries=4000, draws=20, sd_query=3.0)
    these, _ = marginal_accuracies(made, counts(np.zeros((2, 3, 4000)), 2), seed=0)
    grid = np.random.default_rng(9).normal(size=200_000)
    assert these[:, 0].mean() == pytest.approx(expit(2 + 3 * grid).mean(), abs=0.005)
    assert these[:, 1].mean() == pytest.approx(expit(1 + 3 * grid).mean(), abs=0.005)


def test_weights_add_the_variance_of_a_sample_of_queries() -> None:
    made = posterior(sd_query=2.0, draws=4000)
    made = replace(made, z_query=np.tile(made.z_query[:1], (4000, 1)))
    these, _ = marginal_accuracies(made, NOTHING, seed=0)
    chances = expit(2 * made.z_query[0])
    assert these[:, 0, 0].mean() == pytest.approx(chances.mean(), abs=0.01)
    assert these[:, 0, 0].var() == pytest.approx(chances.var() / 41, rel=0.1)
    gaps = these[:, 0, 1] - these[:, 0, 0]
    assert gaps.var() < these[:, 0, 0].var() / 5  # the same weights for all models


def test_draws_are_taken_in_parts_to_the_same_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    made = posterior(sd_query=1.0, sd_query_model=1.0, sd_query_shift=1.0, sd_model=1.0)
    whole = marginal_accuracies(made, NOTHING, seed=3)
    monkeypatch.setattr(g_computation, "_CHUNK", 7)
    parts = marginal_accuracies(made, NOTHING, seed=3)
    assert np.array(parts) == pytest.approx(np.array(whole))

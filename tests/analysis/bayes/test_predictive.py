"""Predictive checks find what the model lacks, and nothing where it lacks nothing."""

from __future__ import annotations

import numpy as np
import pytest
from analysis.bayes.posteriors import counts, posterior
from scipy.special import expit

from icl_gap.analysis.bayes.predictive import PredictiveCheck, check_predictions
from icl_gap.analysis.outcomes import Floats

MODELS = ("small", "middle", "large")
SEEDS, QUERIES = 3, 150


def made(sd_query: float, sd_query_model: float, sd_query_shift: float) -> Floats:
    """Hits of models with the log-odds of `posterior`, on queries with these spreads."""
    rng = np.random.default_rng(4)
    alpha = np.array([0.0, 0.5, 1.0])[:, None]
    inside = alpha + sd_query * rng.normal(size=QUERIES)
    inside = inside + sd_query_model * rng.normal(size=(3, QUERIES))
    log_odds = np.stack([inside, inside - 1 + sd_query_shift * rng.normal(size=QUERIES)])
    return rng.binomial(SEEDS, expit(log_odds)).astype(float)


def checks(hits: Floats, **sds: float) -> dict[str, PredictiveCheck]:
    found = check_predictions(
        posterior(queries=QUERIES, draws=1000, **sds), counts(hits, SEEDS), MODELS, seed=0
    )
    return {check.name: check for check in found}


def test_a_model_that_is_right_is_not_doubted() -> None:
    found = checks(made(1.0, 0.5, 0.5), sd_query=1.0, sd_query_model=0.5, sd_query_shift=0.5)
    assert len(found) == 10
    assert min(check.p_value for check in found.values()) > 0.05
    for check in found.values():
        assert check.low <= check.observed <= check.high


@pytest.mark.parametrize(
    ("truth", "name"),
    [
        ((1.5, 0.0, 0.0), "variance between queries, ID"),
        ((0.0, 0.0, 1.5), "variance between queries of ID - OOD"),
        ((0.0, 1.5, 0.0), "variance between models within queries"),
    ],
)
def test_a_spread_that_the_model_lacks_is_found(truth, name: str) -> None:
    assert checks(made(*truth))[name].p_value < 0.01


def test_an_accuracy_that_the_model_does_not_make_is_found() -> None:
    hits = made(0.0, 0.0, 0.0)
    hits[1, 2] = SEEDS
    found = checks(hits)
    assert found["A_ood of large"].observed == 1
    assert found["A_ood of large"].p_value < 0.01
    assert found["A_id of large"].p_value > 0.01


def test_ties_count_by_half() -> None:
    found = check_predictions(
        posterior(alpha=(40.0, 40.0, 40.0), shift=0.0, queries=QUERIES),
        counts(np.full((2, 3, QUERIES), float(SEEDS)), SEEDS),
        MODELS,
        seed=0,
    )
    assert {check.p_value for check in found} == {1.0}

"""The gap at equal coverage, on simulated pairs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from icl_gap.diagnosis import FACTORS, MEASURES, RequestPairs, decompose_gap
from icl_gap.diagnosis.decomposition import _RIDGE, _fit, _Rows

STRUCTURE = MEASURES.index("structure_coverage")


def simulated(
    *, by_structure: float, by_condition: float, n: int = 600, seeds: int = 3
) -> RequestPairs:
    """Queries of differing ease; half of the OOD requests miss half of their structures."""
    rng = np.random.default_rng(1)
    query = np.repeat(np.arange(n), seeds)
    measures = np.ones((2, n * seeds, len(MEASURES)))
    measures[1, :, STRUCTURE] -= 0.5 * (rng.random(n * seeds) < 0.5)
    ease = rng.normal(1.0, 1.0, n)[query]
    logits = ease - by_structure * (1 - measures[:, :, STRUCTURE])
    logits[1] -= by_condition
    right = (rng.random(logits.shape) < expit(logits)).astype(float)
    return RequestPairs(right, measures, query)


def test_a_gap_that_is_all_of_coverage_is_explained_and_gone_where_it_is_equal() -> None:
    found = decompose_gap(simulated(by_structure=4.0, by_condition=0.0), resamples=200)
    assert found.gap is not None
    assert found.gap.low > 0.1
    structures = found.explained["structures"]
    assert structures.low < found.gap.value < structures.high
    assert found.matched is not None
    assert found.matched.low < 0 < found.matched.high
    assert 0.4 * found.n < found.n_matched < 0.6 * found.n


def test_a_gap_that_has_nothing_to_do_with_coverage_is_not_explained() -> None:
    found = decompose_gap(simulated(by_structure=0.0, by_condition=1.5), resamples=200)
    assert found.gap is not None
    assert found.gap.low > 0.1
    assert found.explained["structures"].low < 0 < found.explained["structures"].high
    assert found.matched is not None
    assert found.matched.low < found.gap.value < found.matched.high


def test_what_does_not_vary_explains_nothing() -> None:
    found = decompose_gap(simulated(by_structure=2.0, by_condition=0.0), resamples=50)
    for name in ("words and tokens", "length"):
        assert found.explained[name].value == pytest.approx(0, abs=1e-12)
    assert found.explained["all of them"].value == pytest.approx(
        found.explained["structures"].value, abs=1e-9
    )


def test_where_next_to_nothing_is_right_there_is_no_gap_to_explain() -> None:
    pairs = simulated(by_structure=0.0, by_condition=0.0, n=20)
    none = RequestPairs(np.zeros_like(pairs.right), pairs.measures, pairs.query)
    found = decompose_gap(none, resamples=20)
    assert found.gap is found.matched is None
    assert found.explained == {}
    assert found.n == 60


def test_the_same_seed_gives_the_same_numbers() -> None:
    pairs = simulated(by_structure=1.0, by_condition=0.5, n=50)
    assert decompose_gap(pairs, resamples=20) == decompose_gap(pairs, resamples=20)
    assert set(decompose_gap(pairs, resamples=20).explained) == set(FACTORS)


def test_the_fit_is_the_maximum_of_its_penalised_likelihood() -> None:
    rng = np.random.default_rng(0)
    query = np.tile(np.arange(12), 4)
    design = np.column_stack([np.ones(48), rng.normal(size=(48, 2))])
    right = (rng.random(48) < 0.6).astype(float)
    draw = rng.integers(0, 3, 12).astype(float)

    def loss(at: np.ndarray) -> float:
        slopes, effects = at[:3], at[3:]
        margin = design @ slopes + effects[query]
        likelihood = draw[query] * (right * margin - np.logaddexp(0, margin))
        prior = np.where(draw > 0, draw, 1.0) * effects**2
        return float(-likelihood.sum() + prior.sum() / 2 + _RIDGE * (slopes**2).sum() / 2)

    best = minimize(loss, np.zeros(15), method="BFGS", options={"gtol": 1e-8})
    slopes, effects = _fit(_Rows(design, query, right), draw, None, 25)
    assert np.concatenate([slopes, effects]) == pytest.approx(best.x, abs=1e-4)

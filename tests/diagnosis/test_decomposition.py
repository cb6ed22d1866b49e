"""The gap at equal coverage, on simulated pairs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from icl_gap.diagnosis import FACTORS, MEASURES, RequestPairs, decompose_gap

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
    assert structures.part is not None
    assert structures.share is not None
    assert structures.part.low < found.gap.value < structures.part.high
    assert 0.7 < structures.share.low < 1 < structures.share.high
    assert structures.query_sd == pytest.approx(1, abs=0.25)
    assert found.matched is not None
    assert found.matched.low < 0 < found.matched.high
    assert 0.4 * found.n < found.n_matched < 0.6 * found.n


def test_a_gap_that_has_nothing_to_do_with_coverage_is_not_explained() -> None:
    found = decompose_gap(simulated(by_structure=0.0, by_condition=1.5), resamples=200)
    assert found.gap is not None
    assert found.gap.low > 0.1
    structures = found.explained["structures"]
    assert structures.part is not None
    assert structures.part.low < 0 < structures.part.high
    assert structures.e_value == 1
    assert found.matched is not None
    assert found.matched.low < found.gap.value < found.matched.high


def test_what_does_not_vary_cannot_be_told() -> None:
    found = decompose_gap(simulated(by_structure=2.0, by_condition=0.0), resamples=50)
    for name in ("words and tokens", "length"):
        assert found.explained[name].part is found.explained[name].share is None
        assert found.explained[name].cannot_tell == "it is the same in all requests"
    assert found.explained["all of them"] == found.explained["structures"]


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

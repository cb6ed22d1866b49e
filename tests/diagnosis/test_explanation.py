"""The part of a gap that coverage explains, on simulated pairs whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from diagnosis.confounded import DESIGNS, Design, calibrate, simulate, true_share

from icl_gap.diagnosis import Explanation, e_value, explain

EFFECT = Design(queries=1500, effect=4.0, shift=-0.4)


def explained(design: Design) -> Explanation:
    pairs = simulate(design, (0,))
    return explain(pairs.right, pairs.measures, pairs.query)


def test_confounding_between_queries_explains_nothing() -> None:
    found = explained(Design(queries=1500, confounding=2.0))
    assert found.share is not None
    assert found.share.low < 0 < found.share.high
    assert abs(found.share.value) < 0.15
    assert found.e_value == 1


def test_an_effect_within_queries_is_found() -> None:
    found, truth = explained(EFFECT), true_share(EFFECT)
    assert found.share is not None
    assert found.part is not None
    assert found.share.low < truth < found.share.high
    assert found.share.high - found.share.low < 0.4
    assert found.part.low > 0
    assert found.e_value is not None
    assert found.e_value > 1.2
    assert found.cannot_tell is None


def test_the_order_of_pairs_and_the_scale_of_measures_do_not_matter() -> None:
    pairs = simulate(EFFECT, (0,))
    found = explain(pairs.right, pairs.measures, pairs.query)
    order = np.random.default_rng(0).permutation(len(pairs.query))
    moved = explain(pairs.right[:, order], 5 - 3 * pairs.measures[:, order], pairs.query[order])
    assert found.share is not None
    assert moved.share is not None
    assert moved.share.value == pytest.approx(found.share.value, abs=1e-3)
    assert moved.share.low == pytest.approx(found.share.low, abs=1e-3)


def test_a_second_measure_of_the_same_changes_nothing() -> None:
    pairs = simulate(EFFECT, (0,))
    found = explain(pairs.right, pairs.measures, pairs.query)
    twice = explain(pairs.right, pairs.measures.repeat(2, axis=2), pairs.query)
    assert found.share is not None
    assert twice.share is not None
    assert twice.share.value == pytest.approx(found.share.value, abs=1e-3)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_factor_that_is_the_condition_cannot_be_told(noise) -> None:
    pairs = simulate(Design(), (0,))
    rng = np.random.default_rng(0)
    measures = np.array([1.0, 0.4])[:, None, None] + noise * rng.normal(size=pairs.measures.shape)
    found = explain(pairs.right, measures, pairs.query)
    assert found.part is found.share is found.e_value is None
    assert found.cannot_tell is not None
    assert "goes with the condition" in found.cannot_tell


def test_two_factors_that_are_the_condition_together_cannot_be_told() -> None:
    pairs = simulate(Design(), (0,))
    one = np.random.default_rng(0).random(pairs.measures.shape)
    other = np.array([1.0, 0.0])[:, None, None] - one
    found = explain(pairs.right, np.concatenate([one, other], axis=2), pairs.query)
    assert "goes with the condition" in (found.cannot_tell or "")


def test_a_factor_that_is_constant_cannot_be_told() -> None:
    pairs = simulate(Design(), (0,))
    same = np.ones_like(pairs.measures)
    assert explain(pairs.right, same, pairs.query).cannot_tell == "it is the same in all requests"
    equal = np.stack([pairs.measures[0]] * 2)
    why = "it is the same under both conditions"
    assert explain(pairs.right, equal, pairs.query).cannot_tell == why
    ood = pairs.measures.copy()
    ood[1] = 0.8
    why = "it does not vary among the OOD requests"
    assert explain(pairs.right, ood, pairs.query).cannot_tell == why


def test_few_queries_cannot_tell() -> None:
    found = explained(replace(EFFECT, queries=12))
    assert "too few queries" in (found.cannot_tell or "")
    pairs = simulate(EFFECT, (0,))
    none = explain(np.zeros_like(pairs.right), pairs.measures, pairs.query)
    assert none.cannot_tell == "no ID answer is right"


def test_an_e_value() -> None:
    """VanderWeele & Ding 2017: a risk ratio of 3.9 has the E-value 7.26."""
    assert e_value(3.9) == pytest.approx(7.26, abs=5e-3)
    assert e_value(1 / 3.9) == pytest.approx(7.26, abs=5e-3)
    assert e_value(1.0) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", DESIGNS)
def test_intervals_hold_the_truth_as_often_as_they_say(name) -> None:
    """A short form of `confounded.py`, with room for the error of 150 studies."""
    found = calibrate(DESIGNS[name], 150)
    assert found.told > 135
    assert found.median == pytest.approx(found.truth, abs=0.03 + 2.5 * found.error)
    assert 0.90 - 0.05 < found.covered <= 1.0

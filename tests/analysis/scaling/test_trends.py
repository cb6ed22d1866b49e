"""Tests of a trend: exact, joint over curves, and aware of what they can reach."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from analysis.scaling.test_regression import curve

from icl_gap.analysis.scaling.regression import CurveAccuracies, CurveRegression
from icl_gap.analysis.scaling.trends import ORDERS, kendall, permutation_test


def first(data: CurveAccuracies, models: int) -> CurveAccuracies:
    """The first models of a curve."""
    for row in reversed(range(models, len(data.x))):
        data = data.without(row)
    return data


def test_all_orders_are_counted() -> None:
    regression = CurveRegression(curve())
    found = permutation_test([[regression]], 0.05)
    z = regression.deviations(0.05)
    x = regression.accuracies.x - regression.accuracies.x.mean()
    totals = np.array([np.array(order) @ z for order in permutations(x)])
    tails = [np.mean(totals >= x @ z - 1e-9), np.mean(totals <= x @ z + 1e-9)]
    assert found.p_value == pytest.approx(min(1.0, 2 * min(tails)))
    assert found.least == pytest.approx(2 / 120)


@pytest.mark.parametrize("models", [3, 4])
def test_fewer_than_five_models_cannot_reach_the_level(models: int) -> None:
    data = first(curve(slope=-0.3), models)
    assert permutation_test([[CurveRegression(data)]], 0.0).least > 0.05


def test_a_steep_line_reaches_the_smallest_p_value() -> None:
    found = permutation_test([[CurveRegression(curve(slope=-0.3))]], 0.0)
    assert found.p_value == found.least


def test_the_sign_of_the_trend_does_not_matter() -> None:
    data = curve(4)
    mirrored = replace(data, x=-data.x)
    one, two = (permutation_test([[CurveRegression(each)]], 0.05) for each in (data, mirrored))
    assert one.p_value == pytest.approx(two.p_value)


def test_cells_add_up() -> None:
    """Weak trends of several curves make a strong one; opposite ones cancel."""
    curves = [CurveRegression(curve(n, slope=-0.05)) for n in range(6)]
    alone = [permutation_test([[each]], 0.0).p_value for each in curves]
    together = permutation_test([curves], 0.0)
    assert together.p_value <= np.median(alone)
    down, up = (CurveRegression(curve(0, slope=slope)) for slope in (-0.2, 0.2))
    opposite = permutation_test([[down, up]], 0.0)
    assert opposite.p_value > 0.1


def test_many_models_have_random_orders_the_same_each_time() -> None:
    rng = np.random.default_rng(0)
    data = curve()
    wide = replace(
        data,
        x=np.linspace(8, 10, 10),
        models=tuple(f"m{n}" for n in range(10)),
        a_id=np.full(10, 0.6),
        a_ood=0.4 + 0.02 * rng.normal(size=10),
        draws=0.5 + 0.03 * rng.normal(size=(20, 500)),
        least=np.full(10, 1e-6),
    )
    one, two = (permutation_test([[CurveRegression(wide)]], 0.0) for _ in range(2))
    assert one == two
    assert one.least <= 4 / ORDERS


@pytest.mark.parametrize(("models", "known"), [(4, False), (5, True)])
def test_kendall_is_given_only_where_it_can_reach_the_level(models: int, known: bool) -> None:
    tau, p = kendall(np.arange(models), -np.arange(models))
    assert tau == pytest.approx(-1)
    assert (p is not None) is known


def test_gaps_that_do_not_vary_have_no_tau() -> None:
    assert kendall(np.arange(6), np.zeros(6)) == (None, None)

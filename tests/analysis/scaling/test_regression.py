"""The regression of one curve on scale, against direct computations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.scaling.regression import CurveAccuracies, CurveRegression

TAUS = np.array([0.0, 0.05, 0.3])


def curve(
    seed: int = 0, models: int = 5, noise: float = 0.03, slope: float = -0.1
) -> CurveAccuracies:
    """Accuracies about a line of the gap, with draws that share noise between models."""
    rng = np.random.default_rng(seed)
    models, noise = 5, 0.03
    x = np.linspace(8, 10, models)
    a_id = np.linspace(0.3, 0.8, models)
    truth = np.concatenate([a_id, (1 - 0.4 - slope * (x - 9)) * a_id])
    mixed = noise * (np.eye(2 * models) + 0.3)
    seen = truth + mixed @ rng.normal(size=2 * models)
    return CurveAccuracies(
        x=x,
        models=tuple(f"m{n}" for n in range(models)),
        a_id=seen[:models],
        a_ood=seen[models:],
        draws=seen[:, None] + mixed @ rng.normal(size=(2 * models, 4000)),
        least=np.full(models, 1e-6),
        queries="q",
    )


def direct_q(data: CurveAccuracies, gaps: Floats, tau: float) -> float:
    """Q from its definition, by an explicit matrix of contrasts."""
    m, kept = len(data.x), 1 - gaps
    contrast = np.hstack([-np.diag(kept), np.eye(m)])
    value = contrast @ np.concatenate([data.a_id, data.a_ood])
    cov = contrast @ data.cov @ contrast.T + tau**2 * np.diag(data.a_id**2)
    return float(value @ np.linalg.solve(cov, value))


@given(st.integers(0, 50), st.floats(-0.5, 0.9), st.floats(-0.4, 0.4), st.sampled_from(TAUS))
@settings(max_examples=30)
def test_contrasts_are_those_of_the_definition(
    seed: int, level: float, slope: float, tau: float
) -> None:
    data = curve(seed)
    gaps = level + slope * (data.x - data.x.mean())
    found = CurveRegression(data).contrasts(gaps[None], np.array([tau]))
    assert found.q[0] == pytest.approx(direct_q(data, gaps, tau), rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_the_line_is_where_q_is_least(seed: int) -> None:
    data = curve(seed)
    fits = CurveRegression(data).line(TAUS)
    away = data.x - data.x.mean()
    for tau, (level, slope), q in zip(TAUS, fits.coefficients, fits.q, strict=True):
        best = optimize.minimize(
            lambda p, tau=tau: direct_q(data, p[0] + p[1] * away, tau),
            [0.4, -0.1],
            method="Nelder-Mead",
            options={"xatol": 1e-7, "fatol": 1e-9},
        )
        assert q == pytest.approx(best.fun, abs=1e-4)
        assert [level, slope] == pytest.approx(best.x, abs=2e-3)


def test_without_scatter_the_slope_s_interval_is_that_of_the_profile() -> None:
    data = curve(3)
    away = data.x - data.x.mean()
    found = CurveRegression(data).slope(np.zeros(1), np.ones(1))

    def profile(slope: float) -> float:
        return float(optimize.minimize_scalar(lambda a: direct_q(data, a + slope * away, 0.0)).fun)

    least = CurveRegression(data).line(np.zeros(1)).q[0]
    for end in found.interval(0.95):
        assert profile(end) - least == pytest.approx(stats.chi2.ppf(0.95, 1), abs=0.15)


def test_scatter_widens_the_slope_s_interval() -> None:
    regression = CurveRegression(curve())
    widths = [np.ptp(regression.slope(np.array([tau]), np.ones(1)).interval(0.95)) for tau in TAUS]
    assert widths == sorted(widths)
    assert widths[-1] > 2 * widths[0]


@given(st.permutations(range(5)), st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_the_order_of_models_does_not_matter(order: list[int], seed: int) -> None:
    data, rows = curve(seed), np.array(order)
    other = replace(
        data,
        x=data.x[rows],
        models=tuple(data.models[n] for n in order),
        a_id=data.a_id[rows],
        a_ood=data.a_ood[rows],
        draws=data.draws[np.concatenate([rows, rows + 5])],
    )
    weights = np.full(3, 1 / 3)
    one, two = (CurveRegression(each).slope(TAUS, weights) for each in (data, other))
    assert one.interval(0.95) == pytest.approx(two.interval(0.95), abs=1e-6)


def test_a_model_without_hits_changes_nothing() -> None:
    data = curve(1)
    silent = replace(
        data,
        x=np.append(data.x, 7.0),
        models=(*data.models, "silent"),
        a_id=np.append(data.a_id, 0.0),
        a_ood=np.append(data.a_ood, 0.0),
        draws=np.insert(data.draws, [5, 10], 0.0, axis=0),
        least=np.append(data.least, 1e-6),
    )
    one, two = (CurveRegression(each).line(TAUS) for each in (data, silent))
    slopes = [each.coefficients[:, 1] for each in (one, two)]
    assert slopes[0] == pytest.approx(slopes[1], abs=1e-3)


def test_accuracies_near_zero_leave_the_slope_unbounded() -> None:
    data = curve()
    faint = replace(data, a_id=data.a_id / 200, a_ood=data.a_ood / 200)
    low, high = CurveRegression(faint).slope(TAUS, np.full(3, 1 / 3)).interval(0.95)
    assert (low, high) == (-np.inf, np.inf)


def test_paule_and_mandel_make_q_equal_to_its_degrees_of_freedom() -> None:
    scattered = curve(2)
    scattered = replace(scattered, a_ood=scattered.a_ood + np.array([0.1, -0.1, 0.1, -0.1, 0.1]))
    regression = CurveRegression(scattered)
    slope, (low, high), tau = regression.paule_mandel(0.95)
    assert regression.line(np.array([tau])).q[0] == pytest.approx(3, rel=0.1)
    line = regression.line(np.array([tau]))
    half = stats.t.ppf(0.975, 3) * np.sqrt(line.cov[0, 1, 1])
    assert (low, high) == pytest.approx((slope - half, slope + half))


def test_deviations_are_counted_in_their_standard_errors() -> None:
    found = np.array([CurveRegression(curve(n, slope=0.0)).deviations(0.0) for n in range(200)])
    assert np.abs(found.mean(axis=0)).max() < 0.25
    assert found.std(axis=0) == pytest.approx(np.ones(5), abs=0.35)

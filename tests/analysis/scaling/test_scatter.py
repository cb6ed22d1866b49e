"""The scatter of models about their lines, and the slope that is common to curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.scaling.test_regression import curve
from scipy import stats

from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.scaling.regression import CurveAccuracies, CurveRegression
from icl_gap.analysis.scaling.scatter import (
    PRIOR_SD,
    RHOS,
    TAUS,
    joint_slope,
    posterior,
    scatter_likelihood,
    slope_without,
)


def scattered(seed: int, tau: float, *, common: Floats | None = None) -> CurveAccuracies:
    """A curve whose models deviate from the line by tau, or as others do."""
    data = curve(seed)
    moved = np.random.default_rng(seed + 100).normal(size=5) if common is None else common
    return replace(data, a_ood=data.a_ood - tau * moved * data.a_id)


def direct_likelihood(data: CurveAccuracies, tau: float) -> float:
    """Restricted likelihood of one curve's contrasts, by the textbook formula."""
    regression = CurveRegression(data)
    gaps = regression.fitted(np.array([PRIOR_SD / 2]))
    found = regression.contrasts(gaps, np.array([PRIOR_SD / 2]))
    kept, m = 1 - gaps[0], 5
    drawn = data.draws[m:] - kept[:, None] * data.draws[:m]
    loading = found.purified[0]
    cov = np.cov(drawn) + 2 * np.diag(data.least) + tau**2 * np.diag(loading**2)
    design = loading[:, None] * np.column_stack([np.ones(m), data.x - data.x.mean()])
    weight = np.linalg.inv(cov)
    normal = design.T @ weight @ design
    value = found.value[0]
    left = value - design @ np.linalg.solve(normal, design.T @ weight @ value)
    logs = np.linalg.slogdet(cov)[1] + np.linalg.slogdet(normal)[1]
    return float(-0.5 * (logs + left @ weight @ left))


@pytest.mark.parametrize("seed", range(4))
def test_the_likelihood_is_the_restricted_one(seed: int) -> None:
    data = scattered(seed, 0.1)
    found = scatter_likelihood([CurveRegression(data)])[:, 0]
    expected = np.array([direct_likelihood(data, tau) for tau in TAUS])
    assert found - found[0] == pytest.approx(expected - expected[0], abs=1e-4)


def test_the_posterior_is_prior_times_likelihood() -> None:
    flat = posterior(np.zeros((len(TAUS), 1)), prior_sd=0.1)
    assert flat.weights.sum() == pytest.approx(1)
    assert flat.mean == pytest.approx(stats.halfnorm.mean(scale=0.1), rel=0.02)
    assert flat.quantile(0.5) == pytest.approx(stats.halfnorm.ppf(0.5, scale=0.1), rel=0.05)


def test_more_cells_know_tau_better() -> None:
    curves = [CurveRegression(replace(scattered(n, 0.15), queries=n)) for n in range(6)]
    one, six = (posterior(scatter_likelihood(curves[:n])) for n in (1, 6))
    assert six.quantile(0.975) - six.quantile(0.025) < one.quantile(0.975) - one.quantile(0.025)
    assert six.quantile(0.025) < 0.15 < six.quantile(0.975)


def test_a_scatter_that_cells_share_raises_rho() -> None:
    common = np.array([1.0, -1.0, 0.5, -1.2, 0.7])
    together, apart = (
        posterior(
            scatter_likelihood(
                [
                    CurveRegression(replace(scattered(n, 0.3, common=moved), queries=n))
                    for n in range(4)
                ]
            )
        )
        for moved in (common, None)
    )
    assert together.mean_rho > 0.8
    assert apart.mean_rho < together.mean_rho
    assert together.joint.shape == (len(TAUS), len(RHOS))


def test_one_slope_for_one_cell_is_its_own() -> None:
    regression = CurveRegression(curve())
    scatter = posterior(scatter_likelihood([regression]))
    common = joint_slope([regression], scatter)
    own = regression.slope(scatter.taus, scatter.weights)
    assert common.slope == pytest.approx(own.quantile(0.5), abs=0.01)
    assert common.interval(0.95) == pytest.approx(own.interval(0.95), abs=0.03)
    assert common.differ_p == 1.0


def test_cells_of_equal_slopes_narrow_the_common_one_and_others_differ() -> None:
    curves = [CurveRegression(replace(curve(n), queries=n)) for n in range(4)]
    scatter = posterior(scatter_likelihood(curves))
    one, four = (joint_slope(curves[:n], scatter) for n in (1, 4))
    assert np.ptp(four.interval(0.95)) < np.ptp(one.interval(0.95))
    assert four.differ_p > 0.01
    steep = CurveRegression(replace(curve(9, slope=-0.3), queries=9))
    assert joint_slope([curves[0], steep], posterior(scatter_likelihood(curves))).differ_p < 0.01


def test_scatter_from_replicates_ignores_the_line() -> None:
    """Two trainings of each size agree, and the sizes lie on no line."""
    data = curve(0, slope=0.0)
    x = np.array([8.0, 8.0, 9.0, 9.0, 10.0])
    gaps = np.array([0.2, 0.2, 0.6, 0.6, 0.2])
    bent = replace(data, x=x, a_id=np.full(5, 0.6), a_ood=(1 - gaps) * 0.6)
    regression = CurveRegression(bent)
    by_line, by_size = (
        posterior(scatter_likelihood([regression], by_size=replicated)).mean
        for replicated in (False, True)
    )
    assert by_size < 0.06
    assert by_line > 0.1


def test_a_model_left_out_no_longer_moves_the_slope() -> None:
    data = curve(0)
    moved = replace(data, a_ood=data.a_ood * np.array([1, 1, 1, 1, 0.5]))
    scatter = posterior(scatter_likelihood([CurveRegression(data)]))
    before, after = (
        slope_without([CurveRegression(each)], "m4", scatter) for each in (data, moved)
    )
    assert before == pytest.approx(after)

"""Planned power against simulated studies, which share no code with the formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from icl_gap.analysis.power import MOST_MODELS, Design, find_remedy, slope_error, slope_power

FIVE = tuple(np.linspace(8, 10, 5))


def simulate(
    rng: np.random.Generator, design: Design, n: int, *, slope: float = 0.0, tau: float = 0.0
) -> np.ndarray:
    """Return the (n, M) gaps of n studies whose hits come from thresholds on normal variables.

    A query's difficulty is common to its requests, and partly to those of one condition. At an
    accuracy of 0.5 two hits have the correlation (2 / pi) arcsin(r) of their variables' r.
    """
    seeds, conditions = (
        np.sin(np.pi / 2 * c) for c in (design.seed_correlation, design.condition_correlation)
    )
    x = np.asarray(design.scales)
    truth = slope * (x - x.mean()) + rng.normal(0, 1, (n, len(x))) * tau
    cut = stats.norm.ppf(np.stack([np.full_like(truth, design.a_id), design.a_id * (1 - truth)]))
    hits = []
    for queries in design.queries:
        shape = (2, n, len(x), queries, design.seeds)
        common = rng.standard_normal((1, *shape[1:4], 1)) * np.sqrt(conditions)
        own = rng.standard_normal((*shape[:4], 1)) * np.sqrt(seeds - conditions)
        noise = rng.standard_normal(shape) * np.sqrt(1 - seeds)
        hits.append((common + own + noise < cut[..., None, None]).mean(axis=(3, 4)))
    inside, outside = np.mean(hits, axis=0)
    return 1 - outside / inside


def found(x: np.ndarray, gaps: np.ndarray) -> float:
    """Return the share of studies whose regression line has a slope with p < 0.05."""
    return float(np.mean([stats.linregress(x, each).pvalue < 0.05 for each in gaps]))


@pytest.mark.parametrize("seeds", [1, 4])
@pytest.mark.parametrize("queries", [(150,), (60, 200)])
def test_the_error_of_a_gap_is_that_of_simulated_studies(seeds, queries) -> None:
    design = Design((9.0,), queries, seeds)
    gaps = simulate(np.random.default_rng(0), design, 3000)
    assert np.std(gaps) == pytest.approx(design.gap_error, rel=0.08)


def test_the_smallest_gap_is_detected_in_four_of_five_studies() -> None:
    design = Design((9.0,), (200, 200), 2)
    shift = replace(design, scales=(0.0, 2.0))
    gaps = simulate(np.random.default_rng(1), shift, 4000, slope=design.smallest_gap)[:, 1]
    assert np.mean(gaps / design.gap_error > 1.96) == pytest.approx(0.8, abs=0.05)


def check_power(design: Design, tau: float, n: int, *, within: float) -> None:
    x, slope = np.asarray(design.scales), design.smallest_slope(tau)
    assert slope is not None
    if slope * np.ptp(x) / 2 + 2 * tau > 0.6:  # the delta method is for gaps near 0
        return
    gaps = simulate(np.random.default_rng(2), design, n, slope=-slope, tau=tau)
    assert found(x, gaps) == pytest.approx(0.8, abs=within)
    half = slope_power(x, design.gap_error, slope=slope / 2, between_model_sd=tau)
    gaps = simulate(np.random.default_rng(3), design, n, slope=slope / 2, tau=tau)
    assert found(x, gaps) == pytest.approx(half, abs=within)


@pytest.mark.parametrize("tau", [0.0, 0.05])
def test_the_smallest_slope_is_detected_in_four_of_five_studies(tau) -> None:
    check_power(Design(FIVE, (100, 100), 2), tau, 1000, within=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("models", [3, 4, 5, 8])
@pytest.mark.parametrize("tau", [0.0, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("queries", [50, 200, 500])
def test_power_is_that_of_simulated_studies(models, tau, queries) -> None:
    design = Design(tuple(np.linspace(8, 10, models)), (queries, queries), 2)
    check_power(design, tau, 1000, within=0.05)


@pytest.mark.parametrize("df", [1, 2, 3, 6])
def test_power_is_that_of_the_noncentral_t(df) -> None:
    x = np.linspace(0, 2, df + 2)
    error = slope_error(x, 0.05, 0.02)
    critical = stats.t.ppf(0.975, df)
    for effect in (0.0, 1.0, 3.0):
        upper, lower = stats.nct.sf(critical, df, effect), stats.nct.cdf(-critical, df, effect)
        power = slope_power(x, 0.05, slope=effect * error, between_model_sd=0.02)
        assert power == pytest.approx(upper + lower, abs=1e-4)


def test_a_slope_takes_three_models_of_two_sizes() -> None:
    for scales in ((), (9.0,), (8.0, 10.0), (9.0, 9.0, 9.0)):
        design = Design(scales, (100,), 1)
        assert slope_error(scales, 0.1, 0.0) is None
        assert design.smallest_slope(0.0) is None
        assert slope_power(scales, 0.1, slope=1.0, between_model_sd=0.0) == 0
        with pytest.raises(ValueError, match="no slope"):
            find_remedy(scales, 0.1, 100, slope=-0.1, between_model_sd=0.0)


def test_where_scatter_is_the_limit_no_number_of_queries_is_enough() -> None:
    design = Design(FIVE, (500, 500), 2)
    remedy = find_remedy(FIVE, design.gap_error, 500, slope=-0.1, between_model_sd=0.05)
    assert (remedy.queries, remedy.models) == (None, 9)
    assert remedy.sentence == (
        "With 5 models and τ = 0.05 no number of queries detects a slope of \N{MINUS SIGN}0.1; "
        "9 models would."
    )
    assert slope_power(FIVE, 0.0, slope=-0.1, between_model_sd=0.05) < 0.8
    assert find_remedy(FIVE, 0.1, 10, slope=-0.001, between_model_sd=0.1).models is None


def test_more_queries_are_as_many_as_it_takes() -> None:
    def design(queries: int) -> Design:
        return Design(FIVE, (queries, queries), 2)

    remedy = find_remedy(
        FIVE, design(50).gap_error, 50, slope=-0.1, between_model_sd=0.02, available=300
    )
    assert remedy.queries is not None
    assert f"it takes {remedy.queries:,} queries a side (the benchmark has 300)" in remedy.sentence
    powers = [
        slope_power(FIVE, design(queries).gap_error, slope=0.1, between_model_sd=0.02)
        for queries in (remedy.queries - 1, remedy.queries)
    ]
    assert powers[0] < 0.8 <= powers[1] + 1e-6


@settings(max_examples=40)
@given(
    st.integers(3, 12),
    st.floats(0.5, 3),
    st.floats(0.001, 0.3),
    st.floats(0.01, 0.5),
    st.floats(0, 0.2),
)
def test_a_remedy_is_the_least_that_does(models, decades, error, slope, tau) -> None:
    x = np.linspace(8, 8 + decades, models)
    remedy = find_remedy(x, error, 100, slope=slope, between_model_sd=tau)
    if remedy.queries is not None:
        scaled = error * np.sqrt(100 / remedy.queries)
        assert slope_power(x, scaled, slope=-slope, between_model_sd=tau) >= 0.8 - 1e-6
        assert (remedy.queries <= 100) == (remedy.power >= 0.8 - 1e-9)
    else:
        assert slope_power(x, 0.0, slope=slope, between_model_sd=tau) <= 0.8 + 1e-6
    if remedy.models is not None:
        assert models < remedy.models <= MOST_MODELS
        more = np.linspace(x[0], x[-1], remedy.models)
        assert slope_power(more, error, slope=slope, between_model_sd=tau) >= 0.8 - 1e-6


@settings(max_examples=40)
@given(st.integers(1, 2000), st.integers(1, 10), st.floats(0.01, 0.2))
def test_more_of_anything_detects_less(queries, seeds, tau) -> None:
    one = Design(FIVE, (queries, queries), seeds)
    for more in (
        replace(one, queries=(queries * 2, queries * 2)),
        replace(one, seeds=seeds + 1),
        replace(one, scales=tuple(np.linspace(8, 10, 9))),
    ):
        assert more.gap_error <= one.gap_error
        assert (more.smallest_slope(tau) or 0) < (one.smallest_slope(tau) or 0)

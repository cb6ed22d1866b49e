"""The line through a family's gaps."""

from __future__ import annotations

import numpy as np
import pytest
from analysis.synthetic import Model, analyze, cell, sweep
from scipy import stats

from icl_gap.analysis.fit import fit_lines
from icl_gap.schema import CellResult, Condition

OPT: list[Model] = [
    ("opt-350m", "opt", 350_000_000, True),
    ("opt-1.3b", "opt", 1_300_000_000, True),
    ("opt-6.7b", "opt", 6_700_000_000, True),
]


def exact(model: Model, solved: int, kept: int, of: int = 40) -> list[CellResult]:
    """Cells with exact accuracies."""
    name, family, n_params, trained = model
    described = {"model": name, "family": family, "n_params": n_params, "trained": trained}
    return [
        cell("id", [n < solved for n in range(of)], **described),
        cell("ood", [n < kept for n in range(of)], **described),
    ]


def falling(model: str, _: int, condition: Condition) -> float:
    gap = {"opt-350m": 0.8, "opt-1.3b": 0.6, "opt-6.7b": 0.3}[model]
    return 0.7 if condition == "id" else 0.7 * (1 - gap)


def test_a_line_is_found_exactly() -> None:
    small, _, _ = OPT
    middle: Model = ("opt-1.1b", "opt", 1_106_797_181, True)  # half-way, in the logarithm
    large: Model = ("opt-3.5b", "opt", 3_500_000_000, True)
    cells = exact(small, 40, 10) + exact(middle, 40, 20) + exact(large, 40, 30)
    analysis = analyze(cells, resamples=400)
    (fit,) = analysis.fits
    # The gap falls from 3/4 to 1/4 over one factor of ten.
    assert fit.slope == pytest.approx(-0.5)
    assert fit.intercept == pytest.approx(0.75 + 0.5 * np.log10(3.5e8))
    assert fit.r_squared == pytest.approx(1)
    assert fit.models == ("opt-350m", "opt-1.1b", "opt-3.5b")
    assert (fit.n_points, fit.against) == (3, "n_params")
    assert fit.band[0].scale == pytest.approx(3.5e8)
    assert fit.band[-1].scale == pytest.approx(3.5e9)
    assert fit.band[-1].gap.value == pytest.approx(0.25)
    assert fit.slope_interval is not None
    assert fit.slope_interval[0] < -0.5 < fit.slope_interval[1] < 0


def test_every_resample_is_refitted_as_by_whitening_and_least_squares() -> None:
    rng = np.random.default_rng(0)
    x, gaps = np.array([-0.5, 0.1, 0.9]), rng.random((3, 50))
    mixed = rng.random((3, 3))
    precision = mixed @ mixed.T + np.eye(3)
    levels, slopes = fit_lines(x, gaps, precision)
    root = np.linalg.cholesky(precision).T
    design = root @ np.column_stack([np.ones(3), x])
    expected = np.linalg.lstsq(design, root @ gaps, rcond=None)[0]
    np.testing.assert_allclose([levels, slopes], expected)


def test_with_equal_weights_the_line_is_that_of_linregress() -> None:
    x, gaps = np.array([8.5, 9.1, 9.8, 10.0]), np.array([0.6, 0.5, 0.4, 0.1])
    (level,), (slope,) = fit_lines(x, gaps[:, None], np.eye(4))
    line = stats.linregress(x, gaps)
    assert (level, slope) == pytest.approx((line.intercept, line.slope))


def test_each_family_split_and_number_of_shots_has_a_fit_of_its_own() -> None:
    bloom: list[Model] = [
        (n.replace("opt", "bloom"), "bloom", p, t)
        for n, p, t in ((name, n_params, trained) for name, _, n_params, trained in OPT)
    ]
    results = sweep(
        OPT + bloom, lambda m, k, c: falling(m.replace("bloom", "opt"), k, c), shots=(1, 5)
    )
    fits = analyze(results, resamples=200).fits
    assert {(fit.family, fit.shots, fit.query_split) for fit in fits} == {
        (family, shots, split)
        for family in ("opt", "bloom")
        for shots in (1, 5)
        for split in ("train", "test", "pooled")
    }
    assert all(fit.slope < 0 for fit in fits)


def test_what_cannot_be_fitted_is_left_out_with_its_reason() -> None:
    extra: list[Model] = [
        ("opt-new", "opt", 125_000_000, False),
        ("opt-look-up", "opt", None, True),
        ("opt-125m", "opt", 125_000_000, True),
    ]
    results = [r for model in OPT for r in exact(model, 30, 20)]
    results += exact(extra[0], 30, 20) + exact(extra[1], 30, 20) + exact(extra[2], 0, 0)
    (fit,) = analyze(results, resamples=200).fits
    assert fit.models == ("opt-350m", "opt-1.3b", "opt-6.7b")
    reasons = {each.model: each.reason for each in fit.left_out}
    assert reasons["opt-new"] == "untrained"
    assert reasons["opt-look-up"] == "no parameter count"
    assert reasons["opt-125m"].startswith("A_id not resolved from 0: 0 of 40")


@pytest.mark.parametrize(
    "models",
    [
        [OPT[0]],
        [OPT[0], ("opt-copy", "opt", OPT[0][2], True)],
        [OPT[0], ("opt-new", "opt", 10, False)],
    ],
)
def test_fewer_than_two_sizes_make_no_fit(models: list[Model]) -> None:
    analysis = analyze([r for model in models for r in exact(model, 30, 20)], resamples=200)
    assert analysis.fits == ()
    note = next(note for note in analysis.notes if note.text.startswith("no fit"))
    assert note.where == ("opt on scan/mcd1, 5 shots, test queries",)


def test_a_baseline_is_not_said_to_lack_a_fit() -> None:
    analysis = analyze(exact(("nearest", "nearest", None, True), 30, 20), resamples=200)
    assert not any(note.text.startswith("no fit") for note in analysis.notes)


def test_gaps_that_do_not_vary_have_no_r_squared() -> None:
    (fit,) = analyze([r for m in OPT for r in exact(m, 20, 10)], resamples=200).fits
    assert fit.slope == pytest.approx(0)
    assert fit.r_squared is None


def test_models_that_fail_on_the_same_queries_have_a_sharp_slope() -> None:
    """All models share each resample, so what they have in common does not blur the slope."""
    (fit,) = analyze([r for m in OPT for r in exact(m, 20, 10)], resamples=200).fits
    assert fit.slope_interval == pytest.approx((0, 0))


def test_a_slope_has_no_interval_where_too_many_resamples_lack_a_gap() -> None:
    # 4 hits in 40 are missing from about 1.5 % of resamples; in three models, at other queries,
    # from about 4.5 %.
    results = []
    for n, (name, family, n_params, _) in enumerate(OPT):
        hits = [n * 4 <= q < n * 4 + 4 for q in range(40)]
        described = {"model": name, "family": family, "n_params": n_params}
        results += [cell("id", hits, **described), cell("ood", [False] * 40, **described)]
    analysis = analyze(results, resamples=4000)
    assert all(point.gap is not None for point in analysis.points)
    (fit,) = analysis.fits
    assert fit.slope_interval is None
    assert fit.band == ()


SIX: list[Model] = [(f"opt-{n}", "opt", 10**8 * 4**n, True) for n in range(6)]


def shrinking(results_of: int = 200) -> list[CellResult]:
    """A gap that falls by the same amount for each factor of four."""
    return [r for n, m in enumerate(SIX) for r in exact(m, 160, 60 + 10 * n, of=results_of)]


def test_forms_are_compared_and_the_best_one_is_named() -> None:
    (fit,) = analyze(shrinking(), resamples=400).fits
    aiccs = {form.form: form.aicc for form in fit.forms}
    assert set(aiccs) == {
        "constant",
        "linear",
        "power law",
        "power law with floor",
        "logistic accuracies",
    }
    assert fit.best is not None
    assert fit.best.form == "linear"
    assert fit.best.chi2 == pytest.approx(0, abs=1e-9)
    # k = 2, n = 6: chi2 + 4 + 12 / 3.
    assert fit.best.aicc == pytest.approx(8)
    assert aiccs["constant"] > 20
    names = [name for name, _ in fit.best.parameters]
    assert names == ["level", "slope"]
    assert dict(fit.best.parameters)["slope"] == pytest.approx(fit.slope)
    assert fit.best.intervals[1] == pytest.approx(fit.slope_interval, rel=1e-6)
    assert all(form.intervals == () for form in fit.forms if form is not fit.best)


def test_a_form_with_too_many_parameters_says_so() -> None:
    (fit,) = analyze([r for m in OPT for r in exact(m, 30, 20)], resamples=200).fits
    supported = {form.form for form in fit.forms if form.unsupported is None}
    assert supported == {"constant"}
    floor = next(form for form in fit.forms if form.form == "power law with floor")
    assert floor.unsupported == "3 models are too few for 3 parameters"
    assert (floor.chi2, floor.aicc, floor.parameters) == (None, None, ())


def test_two_sizes_have_a_slope_and_no_line() -> None:
    (fit,) = analyze([r for m in OPT[:2] for r in exact(m, 30, 20)], resamples=200).fits
    assert fit.slope_interval is not None
    assert fit.band == ()
    assert fit.unsupported == "fewer than 3 sizes, which always lie on a line"
    assert fit.best is None


def test_leaving_a_size_out_shows_what_the_slope_hangs_on() -> None:
    # One size, the largest, has another gap than all the others.
    results = [r for m in SIX[:5] for r in exact(m, 160, 80, of=200)]
    (fit,) = analyze(results + exact(SIX[5], 160, 140, of=200), resamples=400).fits
    slopes = {each.model: each.slope for each in fit.leave_one_out}
    assert slopes["opt-5"] == pytest.approx(0, abs=1e-9)
    assert all(slope < 0 for model, slope in slopes.items() if model != "opt-5")


def test_a_trend_is_told_by_ranks() -> None:
    (fit,) = analyze(shrinking(), resamples=100).fits
    assert fit.trend.kendall_tau == pytest.approx(-1)
    # Of 6! orders, two are as extreme.
    assert fit.trend.kendall_p == pytest.approx(2 / 720)
    assert fit.trend.page_p is not None
    assert fit.trend.page_p < 0.01


def test_gaps_that_do_not_vary_have_no_trend() -> None:
    (fit,) = analyze([r for m in OPT for r in exact(m, 20, 10)], resamples=100).fits
    assert (fit.trend.kendall_tau, fit.trend.kendall_p) == (None, None)
    assert fit.trend.page_p == pytest.approx(1, abs=0.05)


def test_what_would_resolve_a_slope_is_told_where_it_is_not() -> None:
    def nearly_flat(model: str, _: int, condition: Condition) -> float:
        return 0.7 if condition == "id" else 0.4 + 0.02 * int(model.removeprefix("opt-"))

    (fit,) = analyze(sweep(SIX, nearly_flat, splits=("test",), queries=60), resamples=400).fits
    assert fit.slope_interval is not None
    assert fit.slope_interval[0] < 0 < fit.slope_interval[1]
    assert fit.sample_size is not None
    assert fit.sample_size.queries > 60
    assert fit.sample_size.sizes > 6
    (sharp,) = analyze(shrinking(), resamples=400).fits
    assert sharp.sample_size is None


def families(*kept: tuple[str, int]) -> list[CellResult]:
    """Three sizes each; `kept` names a family and how many more each size keeps than the last."""
    return [
        r
        for family, more in kept
        for n in range(3)
        for r in exact((f"{family}-{n}", family, 10 ** (8 + n), True), 160, 60 + more * n, of=200)
    ]


def test_families_that_fall_alike_have_a_slope_in_common() -> None:
    (common,) = analyze(families(("opt", 20), ("bloom", 20)), resamples=400).common
    assert common.families == ("bloom", "opt")
    assert common.slope == pytest.approx(-20 / 160)
    assert common.slope_interval is not None
    assert common.slope_interval[0] < -20 / 160 < common.slope_interval[1] < 0
    assert common.intercepts[0] == pytest.approx(common.intercepts[1])
    assert common.differ_p == pytest.approx(1)


def test_families_that_fall_otherwise_are_told_apart() -> None:
    (common,) = analyze(families(("opt", 45), ("bloom", 0)), resamples=400).common
    assert common.differ_p < 0.001


def test_one_family_has_nothing_in_common() -> None:
    assert analyze(families(("opt", 20)), resamples=100).common == ()

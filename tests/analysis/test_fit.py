"""The line through a family's gaps."""

from __future__ import annotations

import numpy as np
import pytest
from analysis.synthetic import Model, cell, sweep
from scipy import stats

from icl_gap.analysis import analyze
from icl_gap.analysis.fit import refit
from icl_gap.analysis.gaps import measure
from icl_gap.analysis.pairing import pair
from icl_gap.records import CellResult, Condition

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
    large: Model = ("opt-3.5b", "opt", 3_500_000_000, True)
    analysis = analyze(exact(small, 40, 10) + exact(large, 40, 30), resamples=400)
    (fit,) = analysis.fits
    # The gap falls from 3/4 to 1/4 over one factor of ten.
    assert fit.slope == pytest.approx(-0.5)
    assert fit.intercept == pytest.approx(0.75 + 0.5 * np.log10(3.5e8))
    assert fit.r_squared == pytest.approx(1)
    assert fit.models == ("opt-350m", "opt-3.5b")
    assert (fit.n_points, fit.x) == (2, "log10(n_params)")
    assert fit.band[0].n_params == pytest.approx(3.5e8)
    assert fit.band[-1].n_params == pytest.approx(3.5e9)
    assert fit.band[-1].gap == pytest.approx(0.25)
    assert fit.slope_interval is not None
    assert fit.slope_interval[0] < -0.5 < fit.slope_interval[1] < 0


def test_every_resample_refits_what_linregress_fits() -> None:
    paired, _ = pair(sweep(OPT, falling, splits=("test",)), "raw")
    measured, _ = measure(paired, resamples=50, seed=0, confidence=0.9)
    x = np.log10([each.point.n_params or 0 for each in measured])
    gaps = np.stack([each.gaps for each in measured])
    slopes, intercepts = refit(x, gaps)
    for b in range(50):
        line = stats.linregress(x, gaps[:, b])
        assert slopes[b] == pytest.approx(line.slope)
        assert intercepts[b] == pytest.approx(line.intercept)


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

"""Fits against training tokens and compute, and sizes that are only estimated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.scaling.test_fit import families, shrinking
from analysis.synthetic import analyze

from icl_gap.analysis import format_count
from icl_gap.errors import InputError
from icl_gap.schema import CellResult


def trained_on(tokens: dict[str, int | None], results: list[CellResult]) -> list[CellResult]:
    """The same cells, their models trained on so many tokens."""
    return [
        replace(
            r,
            info=replace(
                r.info,
                training_tokens=tokens.get(r.info.model),
                n_params_non_embedding=(r.info.n_params or 0) // 2,
            ),
        )
        for r in results
    ]


SIX_TOKENS: dict[str, int | None] = {f"opt-{n}": 10 ** (9 + n) for n in range(6)}


def test_a_fit_against_another_scale_is_a_line_in_its_logarithm() -> None:
    results = trained_on(SIX_TOKENS, shrinking())
    (by_size,) = analyze(results, resamples=400).fits
    (by_tokens,) = analyze(results, resamples=400, against="training_tokens").fits
    (by_compute,) = analyze(results, resamples=400, against="training_flops").fits
    # The gap falls by 1/16 from model to model: over a factor of 4 in size, of 10 in tokens.
    assert by_size.slope == pytest.approx(-1 / 16 / np.log10(4))
    assert by_tokens.slope == pytest.approx(-1 / 16)
    assert by_compute.slope == pytest.approx(-1 / 16 / np.log10(40))
    assert by_tokens.band[0].scale == pytest.approx(1e9)
    assert by_compute.band[0].scale == pytest.approx(6 * 5e7 * 1e9)
    assert by_compute.against == "training_flops"
    assert by_compute.best is not None
    assert by_compute.best.chi2 == pytest.approx(by_size.best.chi2, abs=1e-9)


def test_a_model_without_the_scale_s_value_is_left_out_with_the_reason() -> None:
    tokens = SIX_TOKENS | {"opt-2": None}
    for against, reason in (
        ("training_tokens", "no number of training tokens"),
        ("training_flops", "no training tokens, or no parameter count without embeddings"),
    ):
        (fit,) = analyze(trained_on(tokens, shrinking()), resamples=100, against=against).fits
        assert [(each.model, each.reason) for each in fit.left_out] == [("opt-2", reason)]
        assert "opt-2" not in fit.models


def test_models_trained_on_as_many_tokens_have_no_fit_against_them() -> None:
    alike: dict[str, int | None] = dict.fromkeys(SIX_TOKENS, 10**9)
    analysis = analyze(trained_on(alike, shrinking()), resamples=100, against="training_tokens")
    assert analysis.fits == ()
    assert any("two numbers of training tokens" in note.text for note in analysis.notes)


def test_models_are_told_in_the_order_of_the_scale() -> None:
    backwards: dict[str, int | None] = {f"opt-{n}": 10 ** (15 - n) for n in range(6)}
    results = trained_on(backwards, shrinking())
    (fit,) = analyze(results, resamples=100, against="training_tokens").fits
    assert fit.models == tuple(f"opt-{n}" for n in reversed(range(6)))
    assert fit.slope == pytest.approx(1 / 16)
    assert fit.trend.kendall_tau == pytest.approx(1)


def test_families_compare_against_the_same_scale() -> None:
    tokens: dict[str, int | None] = {
        f"{family}-{n}": 10 ** (9 + 2 * n) for family in ("opt", "bloom") for n in range(3)
    }
    results = trained_on(tokens, families(("opt", 20), ("bloom", 20)))
    (common,) = analyze(results, resamples=200, against="training_tokens").common
    assert common.slope == pytest.approx(-20 / 160 / 2)
    assert common.against == "training_tokens"


def estimated(results: list[CellResult], *models: str) -> list[CellResult]:
    return [
        replace(r, info=replace(r.info, size_source="estimated")) if r.info.model in models else r
        for r in results
    ]


def test_a_size_that_is_only_estimated_is_left_out_unless_asked_for() -> None:
    results = estimated(trained_on(SIX_TOKENS, shrinking()), "opt-5")
    analysis = analyze(results, resamples=100)
    (fit,) = analysis.fits
    assert [(e.model, e.reason) for e in fit.left_out] == [("opt-5", "its size is only estimated")]
    assert any(note.where == ("opt-5",) and "estimated" in note.text for note in analysis.notes)
    asked = analyze(results, resamples=100, estimated_sizes=True)
    assert asked.fits[0].left_out == ()
    assert asked.fits[0].n_points == 6
    assert asked.to_json()["estimated_sizes"] is True
    # How many tokens a model saw does not hang on its size.
    (by_tokens,) = analyze(results, resamples=100, against="training_tokens").fits
    assert by_tokens.n_points == 6


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(InputError, match="unknown scale") as caught:
        analyze(shrinking(), resamples=100, against="layers")
    assert "training_flops" in str(caught.value)


def test_large_numbers_are_written_short() -> None:
    assert [format_count(n) for n in (1.8e11, 4e12, 1e15, 7.2e21)] == [
        "180B",
        "4T",
        "1e15",
        "7.2e21",
    ]

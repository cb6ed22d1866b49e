"""Figures against training tokens and compute, and of sizes that are only estimated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from plots.test_plot import ACCURACY, ANALYSIS, FIT, GAP, POINTS, changed, drawn_text, point

from icl_gap.analysis import Analysis, BandPoint, Estimate, gap_table
from icl_gap.plots import nothing_to_draw
from icl_gap.plots.figure import build

TRAINED = tuple(
    replace(p, training_tokens=tokens)
    for p, tokens in zip(POINTS[:2], (10**9, 10**11), strict=True)
)
BANDS = {
    "training_tokens": (1e9, 1e11),
    "training_flops": (6 * 315e6 * 1e9, 6 * 3.15e9 * 1e11),
}
CODEX = replace(point("davinci", "codex", 175_000_000_000, 0.3), size_source="estimated")


def against(key: str) -> Analysis:
    band = tuple(BandPoint(at, Estimate(0.5, 0.4, 0.6), (0.3, 0.7)) for at in BANDS[key])
    fit = replace(FIT, against=key, band=band)
    return replace(ANALYSIS, points=(*TRAINED, POINTS[4]), fits=(fit,), against=key)


@pytest.mark.parametrize(
    ("key", "label"), [("training_tokens", "training tokens"), ("training_flops", "training FLOPs")]
)
def test_a_figure_against_training_has_the_fits_against_it(key, label, tmp_path: Path) -> None:
    words = " ".join(drawn_text(against(key), changed(GAP, x=key), tmp_path).split())
    assert f"random-effects fit on log10({label})" in words
    assert f"nearest (no {label})" in words
    assert "random-effects" not in drawn_text(against(key), changed(GAP), tmp_path)


def test_compute_has_ticks_that_can_be_read() -> None:
    figure = build(against("training_flops"), changed(GAP, x="training_flops"), ["red"])
    ax = figure.axes[0]
    low, high = ax.get_xlim()
    marked = [line.get_xdata()[0] for line in ax.lines if line.get_gid()]
    assert [x for x in marked if low < x < high] == pytest.approx(BANDS["training_flops"])
    texts = [ax.xaxis.get_major_formatter()(tick) for tick in ax.get_xticks()]
    assert "1e20" in texts


def test_a_figure_against_what_no_model_has_is_not_drawn() -> None:
    for key in BANDS:
        reason = nothing_to_draw(ANALYSIS, changed(GAP, x=key)) or ""
        assert reason.startswith("no model has a number of training")


def rings(lines: list[Line2D]) -> list[Line2D]:
    return [line for line in lines if line.get_markerfacecolor() == "none"]


def test_an_estimated_size_is_hollow_with_a_ring_and_the_legend_says_so(tmp_path: Path) -> None:
    analysis = replace(ANALYSIS, points=(*POINTS[:2], CODEX), fits=())
    figure = build(analysis, changed(GAP), ["red", "blue"])
    lines = list(figure.axes[0].lines)
    (ring,) = rings(lines)
    assert ring.get_xdata()[0] == CODEX.n_params
    faces = {
        line.get_gid().split()[1]: to_rgb(line.get_markerfacecolor())
        for line in lines
        if line.get_gid()
    }
    assert faces == {
        "opt-350m": to_rgb("red"),
        "opt-3.5b": to_rgb("red"),
        "davinci": to_rgb("white"),
    }
    text = drawn_text(analysis, changed(GAP), tmp_path)
    assert "size estimated" in text
    assert "unresolved" not in text
    assert "size estimated" not in drawn_text(ANALYSIS, changed(GAP), tmp_path)


def test_an_unresolved_gap_of_an_estimated_size_has_its_ring_in_the_strip() -> None:
    lost = replace(CODEX, gap=None, unresolved_because="A_id is 0")
    figure = build(replace(ANALYSIS, points=(*POINTS[:2], lost), fits=()), changed(GAP), ["red"])
    panel, strip = figure.axes
    assert rings(list(panel.lines)) == []
    assert len(rings(list(strip.lines))) == 1


def test_where_size_is_not_drawn_it_is_still_said(tmp_path: Path) -> None:
    analysis = replace(ANALYSIS, points=(replace(CODEX, query_split="test"),), fits=())
    text = drawn_text(analysis, changed(ACCURACY), tmp_path)
    assert "size estimated" in text
    assert gap_table(analysis)[0]["params"] == "~175B"

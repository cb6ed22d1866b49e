"""What the shipped figures show, read from their artists and from the SVG."""

from __future__ import annotations

import csv
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text
from plots.test_plot import ANALYSIS, FIT, POINTS, point

from icl_gap.analysis import Analysis, Estimate, GapPoint
from icl_gap.plots import HeatmapRecipe, draw_svg, nothing_to_draw, plot, shipped_recipes
from icl_gap.plots.content import make_marks
from icl_gap.plots.draw import CARETDOWN, CARETUP
from icl_gap.plots.figure import build
from icl_gap.plots.figure_form import WEB_WIDTH
from icl_gap.plots.heatmap import BAR, CELL
from icl_gap.plots.series_style import bar_shifts
from icl_gap.plots.shades import SHARE_MAP, SIGNED_MAP, shades_of, short_number, text_colour
from icl_gap.plots.shades import to_rgb as cell_colour

RECIPES = {recipe.name: recipe for recipe in shipped_recipes()}
FAST = {"gap_vs_scale", "cells", "ood_vs_id"}
"""One recipe of each shape; the others are fitted to pages by the slow tests."""


def of_size(family: str, name: str, n_params: int | None, gap: float | None) -> list[GapPoint]:
    """A model at three numbers of shots, on each side and pooled."""
    smooth = None if n_params is None else Estimate(0.3, 0.25, 0.35)
    one = replace(
        point(name, family, n_params, gap),
        smooth=smooth,
        training_tokens=None if n_params is None else 10**11,
    )
    return [
        replace(one, shots=shots, query_split=split)
        for shots in (1, 5, 10)
        for split in ("test", "train", "pooled")
    ]


STUDY = replace(
    ANALYSIS,
    fits=(),
    points=(
        *of_size("bloom", "bloom-1b", 1_000_000_000, None),
        *of_size("opt", "opt-350m", 350_000_000, 0.75),
        *of_size("opt", "opt-3.5b", 3_500_000_000, -0.25),
        *of_size("nearest", "nearest", None, 0.9),
    ),
)


EVERY_CELL = RECIPES["cells"].model_copy(update={"query_split": "all", "panel_size": (6.0, 8.0)})


def drawn(name: str, analysis: Analysis = STUDY) -> Figure:
    return build(analysis, RECIPES[name], ["black", "blue", "red"])


def tips(figure: Figure) -> list[tuple[Line2D, str]]:
    """The markers of a figure, with their tooltips."""
    lines = [line for ax in figure.axes for line in ax.lines]
    return [(line, line.get_gid() or "") for line in lines if line.get_gid()]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def titles_of(text: str) -> list[str]:
    root = ET.fromstring(text)  # noqa: S314 (the package's own drawing)
    return [title.text or "" for title in root.findall(".//{*}title")]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_point_has_a_tooltip_in_the_svg(name: str) -> None:
    text = draw_svg(STUDY, RECIPES[name])
    assert text.startswith("<svg")
    titles = titles_of(text)
    ends = ", pooled queries"
    for each in STUDY.points:
        shots = "1 shot" if each.shots == 1 else f"{each.shots} shots"
        place = f"scan/mcd1, {shots}, {each.query_split} queries"
        about = [t for t in titles if t.startswith(f"{each.model} (") and place in t]
        known = name != "smooth_gap_vs_scale" or each.smooth is not None
        assert bool(about) == (place.endswith(ends) and known), (each.place, each.query_split)
    assert all(title.endswith("90 queries, 5 seeds") for title in titles)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_same_results_give_the_same_svg(name: str) -> None:
    assert draw_svg(STUDY, RECIPES[name]) == draw_svg(STUDY, RECIPES[name])


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_ids_are_the_figures_own_and_what_is_referred_to_is_there(name: str) -> None:
    text = draw_svg(STUDY, RECIPES[name])
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert all(each.startswith(f"{name}-") for each in ids)
    referred = re.findall(r'(?:url\(#|href="#)([^")]*)', text)
    assert referred
    assert set(referred) <= set(ids)


def test_a_name_cannot_leave_its_tooltip() -> None:
    evil = "<script>\"&'</title></g>"
    points = tuple(replace(each, model=evil, unresolved_because=evil) for each in POINTS)
    text = draw_svg(replace(ANALYSIS, points=points), RECIPES["gap_vs_scale"])
    assert "<script" not in text
    titles = titles_of(text)
    assert len(titles) >= 4
    assert all(title.startswith(evil) for title in titles)
    assert any(f"gap unresolved: {evil}" in title for title in titles)


def test_a_tooltip_tells_all_about_its_point() -> None:
    text = draw_svg(STUDY, RECIPES["ood_vs_id"])
    titles = titles_of(text)
    found = next(t for t in titles if t.startswith("bloom-1b") and "5 shots" in t)
    assert found.splitlines() == [
        "bloom-1b (bloom, 1B parameters)",
        "scan/mcd1, 5 shots, pooled queries",
        "exact match, ID: 0.500 [0.400, 0.600]",
        "exact match, OOD: 0.250 [0.167, 0.333]",
        "gap unresolved: A_id not resolved from 0: 0 of 9",
        "smooth gap: 0.300 [0.250, 0.350]",
        "90 queries, 5 seeds",
    ]


def test_ood_against_id_has_crosses_the_diagonal_and_lines_of_equal_gaps() -> None:
    figure = drawn("ood_vs_id")
    ax = figure.axes[0]
    assert ax.get_xlim() == ax.get_ylim()
    x, y = figure.get_size_inches() * ax.get_position().size
    assert x == pytest.approx(y)
    guides = [line for line in ax.lines if line.get_zorder() == 0]
    slopes = [line.get_ydata()[1] / line.get_xdata()[1] for line in guides]
    assert slopes == pytest.approx([1, 0.75, 0.5, 0.25])
    assert {"no gap", "25%", "50%", "75%"} <= {t.strip() for t in words(figure).split("\n")}
    points = [line for line, _ in tips(figure) if line.axes is ax]
    assert {(line.get_xdata()[0], line.get_ydata()[0]) for line in points} == {(0.5, 0.25)}
    bars = [path.vertices.tolist() for c in ax.collections for path in c.get_paths()]
    assert [[0.4, 0.25], [0.6, 0.25]] in bars
    assert any(bar[0] == pytest.approx([0.5, 1 / 6]) for bar in bars)


def test_larger_models_have_larger_markers() -> None:
    sizes = {tip.split()[1]: line.get_markersize() for line, tip in tips(drawn("ood_vs_id"))}
    assert sizes["opt-350m"] < sizes["nearest"] < sizes["opt-3.5b"]


@pytest.mark.parametrize("name", ["ood_vs_id", "smooth_gap_vs_scale", "gap_vs_ood", "gap_vs_shots"])
def test_what_has_no_gap_is_hollow_wherever_it_stands(name: str) -> None:
    found = {tip.split()[1]: line for line, tip in tips(drawn(name))}
    for model in ("bloom-1b", "opt-350m"):
        hollow = found[model].get_markerfacecolor() == "white"
        assert hollow == (model == "bloom-1b")


def test_gaps_against_shots_have_a_row_a_family_and_a_strip_for_the_unresolved() -> None:
    figure = drawn("gap_vs_shots")
    text = words(figure)
    for part in ("bloom", "opt", "nearest", "unresolved", "no resolved gap"):
        assert part in text, part
    resolved = [(line, tip) for line, tip in tips(figure) if "opt-3.5b" in tip]
    assert [line.get_xdata()[0] for line, _ in resolved] == [1, 5, 10]
    assert [line.get_ydata()[0] for line, _ in resolved] == [-0.25] * 3


def test_gaps_against_ood_accuracy_keep_the_unresolved_at_their_accuracy() -> None:
    (line, *_) = [line for line, tip in tips(drawn("gap_vs_ood")) if "bloom-1b" in tip]
    assert line.get_xdata()[0] == 0.25
    assert line.axes.get_xlim() == drawn("gap_vs_ood").axes[0].get_xlim()


def test_the_smooth_gap_has_no_fit_and_names_what_has_no_likelihoods() -> None:
    text = " ".join(words(drawn("smooth_gap_vs_scale", replace(STUDY, fits=ANALYSIS.fits))).split())
    assert "random-effects" not in text
    assert "not known (nearest)" in text
    assert "not known: no log-likelihoods" in text
    assert "gap unresolved" in text


def rectangles(figure: Figure) -> list[Rectangle]:
    return [patch for ax in figure.axes for patch in ax.patches if isinstance(patch, Rectangle)]


def test_the_heat_map_has_a_cell_a_point_and_marks_the_unresolved() -> None:
    figure = build(STUDY, EVERY_CELL, ["black"])
    cells = rectangles(figure)
    assert len(cells) == len(STUDY.points)
    assert sum(cell.get_hatch() is not None for cell in cells) == 9
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert texts.count("?") == 9
    assert texts.count("\N{MINUS SIGN}.25") == texts.count(".75") == texts.count(".90") == 9
    rows = [t for t in texts if t in {"bloom-1b", "opt-350m", "opt-3.5b", "nearest"}]
    assert rows == ["bloom-1b", "opt-350m", "opt-3.5b", "nearest"]
    order = [t for t in texts if t in {"test", "train", "pooled"}]
    assert order == ["test", "train", "pooled"]


def test_a_missing_cell_is_blank_and_the_caption_says_so() -> None:
    figure = build(replace(STUDY, points=STUDY.points[1:]), EVERY_CELL, ["black"])
    assert len(rectangles(figure)) == len(STUDY.points) - 1
    assert "blank: no results" in words(figure).replace("\n", " ")
    assert "blank" not in words(drawn("cells"))


def test_a_heat_map_of_accuracies_is_two() -> None:
    recipe = EVERY_CELL.model_copy(update={"y": "accuracy", "title": "Both"})
    figure = build(STUDY, recipe, ["black"])
    assert len(rectangles(figure)) == 2 * len(STUDY.points)
    assert {"ID", "OOD", "Both", "exact match"} <= set(words(figure).split("\n"))
    assert "?" not in words(figure)


def test_numbers_are_left_out_where_they_do_not_fit() -> None:
    recipe = RECIPES["cells"].model_copy(update={"panel_size": (0.6, 8.0)})
    figure = build(STUDY, recipe, ["black"])
    assert ".75" not in words(figure)
    assert "?" in words(figure)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.42, ".42"),
        (-0.074, "\N{MINUS SIGN}.07"),
        (1.0, "1.0"),
        (0.996, "1.0"),
        (-1.26, "\N{MINUS SIGN}1.3"),
        (0.0, ".00"),
        (-0.001, ".00"),
        (-10.04, "\N{MINUS SIGN}10.0"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize("colours", [SHARE_MAP, SIGNED_MAP])
def test_numbers_can_be_read_on_every_colour(colours: str) -> None:
    import matplotlib as mpl

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    for n in range(65):
        colour = mpl.colormaps[colours](n / 64)[:3]
        low, high = sorted([luminance(colour), luminance(to_rgb(text_colour(colour)))])
        assert (high + 0.05) / (low + 0.05) >= 4.5


@pytest.mark.parametrize(
    ("name", "keep", "reason"),
    [
        ("gap_vs_scale", lambda p: p.n_params is None, "no model has a number of parameters"),
        ("gap_vs_shots", lambda p: p.shots == 5, "there is only one number of shots"),
        (
            "smooth_gap_vs_scale",
            lambda p: p.n_params is None,
            "no model has a number of parameters",
        ),
    ],
)
def test_what_would_show_nothing_says_why(name, keep, reason) -> None:
    kept = replace(STUDY, points=tuple(p for p in STUDY.points if keep(p)))
    assert (nothing_to_draw(kept, RECIPES[name]) or "").startswith(reason)
    assert nothing_to_draw(STUDY, RECIPES[name]) is None


def test_without_likelihoods_there_is_no_smooth_gap_to_show() -> None:
    kept = replace(STUDY, points=tuple(replace(p, smooth=None) for p in STUDY.points))
    reason = nothing_to_draw(kept, RECIPES["smooth_gap_vs_scale"])
    assert reason == "no log-likelihoods of gold targets are known"


def test_where_all_is_unresolved_every_figure_can_be_drawn(tmp_path: Path) -> None:
    zero = Estimate(0.0, 0.0, 0.0)
    points = tuple(
        replace(p, gap=None, unresolved_because="A_id is 0", a_id=zero, a_ood=zero)
        for p in STUDY.points
    )
    for name, recipe in RECIPES.items():
        one_format = recipe.model_copy(update={"formats": ("svg",)})
        paths = plot(replace(STUDY, points=points), one_format, tmp_path)
        assert len(paths) == 2
        assert all(path.stat().st_size for path in paths), name


def test_one_side_is_drawn_where_only_one_was_asked(tmp_path: Path) -> None:
    kept = replace(STUDY, points=tuple(p for p in STUDY.points if p.query_split == "train"))
    plot(kept, RECIPES["gap_vs_shots"], tmp_path)
    with (tmp_path / "gap_vs_shots.csv").open(encoding="utf-8", newline="") as file:
        assert [row["query_split"] for row in csv.DictReader(file)] == ["train"] * 12
    assert "train queries" in words(drawn("gap_vs_shots", kept)).replace("\n", " ")


@pytest.mark.parametrize(
    "benchmarks", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 3]
)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FAST else pytest.mark.slow)
        for name in sorted(RECIPES)
    ],
)
def test_figures_fit_a_column_of_a_page(tmp_path: Path, name: str, benchmarks: int) -> None:
    from matplotlib.image import imread

    names = ("cfq", "geoquery", "scan")[:benchmarks]
    points = tuple(replace(p, dataset=each) for each in names for p in STUDY.points)
    recipe = RECIPES[name].model_copy(update={"formats": ("png",)})
    (png, *_) = plot(replace(STUDY, points=points), recipe, tmp_path, form="print")
    column = 3.3 if benchmarks < 3 or name == "cells" else 7.0
    width = imread(png).shape[1] / 300
    assert width <= column
    assert name == "cells" or width == pytest.approx(column, abs=0.01)
    figure = build(replace(STUDY, points=points), RECIPES[name], ["black"], "print")
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 7


def test_a_heat_map_takes_the_query_splits_that_the_recipe_names() -> None:
    recipe = HeatmapRecipe(name="f", y="gap", query_split="test")
    assert len(rectangles(build(STUDY, recipe, ["black"]))) == 12


def inches(figure: Figure) -> list[float]:
    """Width and height of the first panel of a figure."""
    return [float(x) for x in figure.get_size_inches() * figure.axes[0].get_position().size]


def test_panels_have_the_size_of_the_recipe_and_shrink_to_a_page() -> None:
    free = RECIPES["gap_vs_scale"].model_copy(update={"page": (), "panel_size": (2.0, 1.5)})
    assert inches(build(STUDY, free, ["black"])) == pytest.approx([2.0, 1.5], abs=1e-3)
    points = tuple(replace(p, dataset=each) for each in ("cfq", "scan") for p in STUDY.points)
    for form, page in (("print", 3.3), ("web", WEB_WIDTH)):
        figure = build(replace(STUDY, points=points), RECIPES["gap_vs_scale"], ["black"], form)
        assert figure.get_size_inches()[0] == pytest.approx(page, abs=1e-3)
        width, height = inches(figure)
        assert page / 3.3 < width < page / 2
        assert height == pytest.approx(1.5, abs=1e-3)


@pytest.mark.parametrize("name", ["m", "m" * 150])
def test_a_heat_map_of_one_cell_has_room_for_any_name(name: str) -> None:
    point = replace(STUDY.points[0], query_split="pooled", model=name)
    figure = build(replace(STUDY, points=(point,)), RECIPES["cells"], ["black"])
    (cell,) = rectangles(figure)
    width, height = cell.get_window_extent().size / figure.dpi
    assert 0.27 < width < 0.6
    assert height == pytest.approx(CELL[1], abs=2e-3)
    bar = figure.axes[-1]
    assert bar.get_window_extent().width / figure.dpi == pytest.approx(BAR[0], abs=0.01)
    assert [text.get_text() for text in bar.get_xticklabels()][::2] == [
        "\N{MINUS SIGN}1.0",
        "0.0",
        "1.0",
    ]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_figure_of_a_study_shows_the_same_sides(name: str) -> None:
    assert RECIPES[name].query_split == "any"


def test_an_interval_that_leaves_the_panel_ends_in_an_arrow() -> None:
    low = replace(STUDY.points[-1], n_params=10**9, gap=Estimate(0.1, -5.0, 0.2))
    figure = drawn("gap_vs_scale", replace(STUDY, points=(*STUDY.points, low)))
    arrows = [
        line for ax in figure.axes for line in ax.lines if line.get_marker() in {CARETUP, CARETDOWN}
    ]
    (arrow,) = arrows
    assert arrow.get_marker() == CARETDOWN
    assert arrow.get_ydata()[0] == arrow.axes.get_ylim()[0] > -1
    assert all(
        line.get_marker() != CARETDOWN for ax in drawn("gap_vs_scale").axes for line in ax.lines
    )


def test_a_panel_without_unresolved_gaps_has_no_strip() -> None:
    resolved = [p for p in STUDY.points if p.gap is not None]
    others = tuple(replace(p, dataset="cfq") for p in resolved)
    figure = drawn("gap_vs_scale", replace(STUDY, points=(*STUDY.points, *others)))
    strips = [ax for ax in figure.axes if any(t.get_text() == "unresolved" for t in ax.texts)]
    assert len(strips) == 3  # one a row, of scan
    assert "unresolved" not in words(drawn("gap_vs_scale", replace(STUDY, points=tuple(resolved))))
    grey = [ax for ax in figure.axes if to_rgb(ax.get_facecolor()) != (1, 1, 1)]
    visible = [ax for ax in grey if ax.get_facecolor()[3] > 0]
    assert visible == strips


@pytest.mark.parametrize("name", ["gap_vs_shots", "accuracy_vs_shots"])
def test_markers_stand_at_their_numbers_of_shots(name: str) -> None:
    figure = drawn(name)
    figure.canvas.draw()
    found = tips(figure)
    assert found
    for line, _ in found:
        at = line.get_transform().transform((line.get_xdata()[0], 0))[0]
        tick = line.axes.transData.transform((line.get_xdata()[0], 0))[0]
        assert at == pytest.approx(tick)
    ax = found[0][0].axes
    x = [ax.transAxes.inverted().transform(ax.transData.transform((n, 0)))[0] for n in (1, 5, 10)]
    assert (x[1] - x[0]) / (x[2] - x[1]) == pytest.approx(4 / 5)


def test_numbers_of_shots_that_are_far_apart_have_a_logarithmic_axis() -> None:
    points = tuple(replace(p, shots=n) for p in STUDY.points[:1] for n in (0, 1, 8, 64))
    pooled = tuple(replace(p, query_split="pooled") for p in points)
    ax = drawn("accuracy_vs_shots", replace(STUDY, points=pooled)).axes[0]
    assert ax.get_xscale() == "symlog"
    assert list(ax.get_xticks()) == [0, 1, 8, 64]


def test_bars_at_one_x_do_not_hide_each_other_and_others_stand_under_their_markers() -> None:
    marks = make_marks(STUDY.points, RECIPES["gap_vs_shots"], "raw")
    shifts = bar_shifts(marks)
    at_five = sorted(shift for (_, x), shift in shifts.items() if x == 5)
    assert at_five == pytest.approx([-1.65, -0.55, 0.55, 1.65], abs=0.2)
    assert sum(at_five) == pytest.approx(0)
    alone = bar_shifts(make_marks(STUDY.points, RECIPES["gap_vs_ood"], "raw"))
    assert set(alone.values()) <= {0.0}


FLAGGED_POINTS = tuple(
    replace(p, flags=("the sides' gaps have different signs (test -0.1, train +0.1)",))
    if p.model == "opt-350m" and p.query_split == "pooled"
    else p
    for p in STUDY.points
)


def test_a_pooled_gap_that_hides_its_sides_is_half_filled_and_explained() -> None:
    analysis = replace(STUDY, points=FLAGGED_POINTS)
    figure = drawn("gap_vs_scale", analysis)
    half = {tip.split()[1] for line, tip in tips(figure) if line.get_fillstyle() == "left"}
    assert half == {"opt-350m"}
    text = " ".join(words(figure).split())
    assert "sides differ" in text
    assert "half-filled markers: the sides' gaps have different signs" in text
    assert "sides differ" not in words(drawn("gap_vs_scale"))
    assert any("no verdict rests on it: the sides'" in tip for _, tip in tips(figure))
    assert not [
        line for line, _ in tips(drawn("ood_vs_id", analysis)) if line.get_fillstyle() == "left"
    ]


def test_the_heat_map_marks_pooled_gaps_that_hide_their_sides() -> None:
    figure = build(replace(STUDY, points=FLAGGED_POINTS), EVERY_CELL, ["black"])
    corners = [patch for patch in figure.axes[0].patches if type(patch) is Polygon]
    assert len(corners) == 3
    assert "dark corners: the sides' gaps" in words(figure).replace("\n", " ")


def test_the_heat_map_diverges_around_zero() -> None:
    shades = shades_of([0.2, -0.1], "gap")
    zero, up, down = (to_rgb_of(shades, each) for each in (0.0, 1.0, -1.0))
    assert min(zero) > 0.95
    assert up[0] > up[2]
    assert down[2] > down[0]
    assert (shades.norm.vmin, shades.norm.vmax) == (-1.0, 1.0)
    small = shades_of([0.02, -0.3], "smooth")
    assert (small.norm.vmin, small.norm.vmax) == (-0.3, 0.3)
    assert shades_of([0.4], "share").norm.vmin == 0.0


def to_rgb_of(shades: ScalarMappable, value: float) -> tuple[float, float, float]:
    return cell_colour(shades, Estimate(value, value, value))


def test_gaps_against_ood_accuracy_say_that_y_contains_x() -> None:
    text = " ".join(words(drawn("gap_vs_ood")).split())
    assert "relative gap (contains x)" in text
    assert "y contains x: chance in" in text
    assert "contains x" not in words(drawn("ood_vs_id"))


def test_facets_have_their_names() -> None:
    text = words(drawn("gap_vs_shots")).split("\n")
    assert {"scan mcd1", "bloom family", "opt family", "nearest family"} <= set(text)
    assert {"benchmark", "queries", "shots"} <= set(words(drawn("cells")).split("\n"))


def test_families_whose_verdicts_differ_have_a_note_each() -> None:
    fits = (FIT, replace(FIT, family="bloom", verdict="narrows"))
    analysis = replace(ANALYSIS, points=(*POINTS, replace(POINTS[3], dataset="scan")), fits=fits)
    text = words(drawn("gap_vs_scale", analysis)).split("\n")
    assert {"undetermined: opt", "narrows: bloom"} <= set(text)
    lines = [line for ax in drawn("gap_vs_scale", analysis).axes for line in ax.lines]
    dashes = {line.get_linestyle() for line in lines if len(line.get_xdata()) == len(FIT.band)}
    assert {"-", "--"} <= dashes

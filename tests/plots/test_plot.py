"""Figures: their files, their numbers, and the words that must stand in them."""

from __future__ import annotations

import csv
import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from analysis.synthetic import Model, analyze, sweep

from icl_gap.analysis import (
    Accuracies,
    Analysis,
    BandPoint,
    Estimate,
    GapFit,
    GapPoint,
    LackOfFit,
    LinePosterior,
    Metric,
    SignFlipTest,
    Trend,
)
from icl_gap.errors import AnalysisError, InputError
from icl_gap.plots import CurveRecipe, FigureRecipe, plot, read_recipe
from icl_gap.results import frame_of
from icl_gap.schema import Condition, FigureForm
from icl_gap.specs import shipped

GOLDEN = Path(__file__).parent / "golden"
GAP = read_recipe(shipped("plots") / "gap_vs_scale.yaml")
ACCURACY = read_recipe(shipped("plots") / "accuracy_vs_shots.yaml")
SVG_ONLY = {"formats": ("svg",)}


def point(model: str, family: str, n_params: int | None, gap: float | None) -> GapPoint:
    return GapPoint(
        model=model,
        family=family,
        n_params=n_params,
        n_params_non_embedding=n_params and n_params * 9 // 10,
        size_source="counted",
        training_tokens=None,
        trained=True,
        dataset="scan",
        split="mcd1",
        partial=None,
        shots=5,
        query_split="pooled",
        a_id=Estimate(0.5, 0.4, 0.6),
        a_ood=Estimate(0.25, 1 / 6, 1 / 3),
        gap=None if gap is None else Estimate(gap, gap - 0.1, gap + 0.1),
        unresolved_because="A_id not resolved from 0: 0 of 9" if gap is None else None,
        fieller=None,
        detectable=None,
        bounds=None,
        smooth=None,
        test=SignFlipTest(0.01, 0.02, 0.02),
        flags=(),
        exact=False,
        simultaneous=None,
        n_clusters=None,
        seed_share=None,
        accuracies={"raw": Accuracies(0.5, 0.25), "canonical": Accuracies(0.5, 0.25)},
        n_queries=90,
        n_seeds=5,
        n_skipped=2,
        n_failed=0,
        shots_effective=4.5,
        coverage_id=0.875,
        coverage_ood=2 / 3,
    )


POINTS = (
    point("opt-350m", "opt", 350_000_000, 0.75),
    point("opt-3.5b", "opt", 3_500_000_000, 0.5),
    replace(point("opt-new", "opt", 125_000_000, None), trained=False),
    replace(
        point("bloom-1b", "bloom", 1_000_000_000, 0.4),
        dataset="cfq",
        partial="test 9741 of 11968, train whole",
    ),
    point("nearest", "nearest", None, 0.9),
    replace(point("nearest", "nearest", None, None), dataset="cfq", partial="test 9741 of 11968"),
)
FIT = GapFit(
    family="opt",
    dataset="scan",
    split="mcd1",
    shots=5,
    query_split="pooled",
    slope=-0.25,
    slope_interval=(-0.3, -0.2),
    against="n_params",
    permutation_p=1.0,
    leave_one_out=(),
    other_scales={"difference": -0.1, "log-odds ratio": -0.3},
    verdict="undetermined",
    because="the test has few models",
    intercept=2.886,
    between_model_sd=Estimate(0.02, 0.0, 0.08),
    between_model_sd_from="residuals",
    lack_of_fit=LackOfFit(0.5, 0.8),
    r_squared=1.0,
    classical=None,
    sensitivity=(),
    n_points=2,
    models=("opt-350m", "opt-3.5b"),
    scales=(3.5e8, 3.5e9),
    left_out=(),
    unsupported=None,
    line=LinePosterior(9.04, (0.02,), (1.0,), (0.625,), (-0.25,), ((0.001, 0.0, 0.001),)),
    band=(
        BandPoint(3.5e8, Estimate(0.75, 0.7, 0.8), (0.66, 0.84)),
        BandPoint(3.5e9, Estimate(0.5, 0.45, 0.55), (0.41, 0.59)),
    ),
    forms=(),
    trend=Trend(1.0, 1.0, None, None),
    largest="opt-3.5b",
    largest_gap=Estimate(0.5, 0.4, 0.6),
    closed="open",
    margin=0.1,
    predicted=(),
)
ANALYSIS = Analysis(
    points=POINTS,
    sides=(),
    fits=(FIT,),
    common=(),
    reasoning=(),
    comparisons=(),
    notes=(),
    metric="raw",
    resamples=5000,
    seed=0,
    confidence=0.95,
)


def drawn_text(analysis: Analysis, recipe: FigureRecipe, folder: Path) -> str:
    """All words of a figure, each run of them once."""
    svg = next(p for p in plot(analysis, recipe, folder) if p.suffix == ".svg")
    found = re.findall(r"<text[^>]*>(.*?)</text>", svg.read_text(encoding="utf-8"))
    texts = (re.sub(r"<[^>]*>|\N{ZERO WIDTH SPACE}", "", text) for text in found)
    return "\n".join(html.unescape(text) for text in texts)


def changed(recipe: FigureRecipe, **changes: object) -> FigureRecipe:
    return recipe.model_copy(update=SVG_ONLY | changes)


def test_a_figure_is_drawn_by_name_path_and_keys(tmp_path: Path) -> None:
    results = analyze(sweep([("opt-s", "opt", 10**8, True)], lambda *_: 0.5), resamples=100)
    path = shipped("plots") / "accuracy_vs_shots.yaml"
    (fields,) = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    one, *others = (
        {each.name: each.read_bytes() for each in plot(results, recipe, tmp_path / str(n))}
        for n, recipe in enumerate(("accuracy_vs_shots", path, fields, read_recipe(path)))
    )
    assert one.keys() == {f"accuracy_vs_shots.{end}" for end in ("png", "pdf", "svg", "csv")}
    assert others == [one] * 3


def test_a_figure_is_written_in_all_formats_with_its_points(tmp_path: Path) -> None:
    paths = plot(ANALYSIS, GAP, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [
        "gap_vs_scale.png",
        "gap_vs_scale.pdf",
        "gap_vs_scale.svg",
        "gap_vs_scale.csv",
    ]
    starts = [b"\x89PNG", b"%PDF", b"<?xml", b"model,"]
    for path, start in zip(paths, starts, strict=True):
        assert path.read_bytes().startswith(start)


def test_the_csv_holds_every_drawn_point_with_its_numbers(tmp_path: Path) -> None:
    plot(ANALYSIS, changed(GAP), tmp_path)
    written = (tmp_path / "gap_vs_scale.csv").read_text(encoding="utf-8")
    assert written == (GOLDEN / "gap_vs_scale.csv").read_text(encoding="utf-8")


def test_the_csv_holds_no_point_that_is_not_drawn(tmp_path: Path) -> None:
    other = replace(POINTS[0], query_split="test")
    analysis = replace(ANALYSIS, points=(*POINTS, other))
    plot(analysis, changed(ACCURACY), tmp_path)
    with (tmp_path / "accuracy_vs_shots.csv").open(encoding="utf-8", newline="") as file:
        assert {row["query_split"] for row in csv.DictReader(file)} == {"pooled"}


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (plot(ANALYSIS, GAP, tmp_path / name) for name in ("a", "b"))
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes(), one.name


def test_a_gap_figure_says_what_must_be_said(tmp_path: Path) -> None:
    text = drawn_text(ANALYSIS, changed(GAP, title="Does scale close the gap?"), tmp_path)
    words = " ".join(text.split())
    for part in (
        "Does scale close the gap?",
        "cfq mcd1",
        "scan mcd1",
        "partial: test 9741 of 11968",
        "5 shots",
        "parameters",
        "relative gap = (Aid \N{MINUS SIGN} Aood) / Aid",
        "test and train queries pooled",
        "95% intervals",
        "random-effects fit on log10(parameters), with 95% intervals of the line (dark bands)",
        "and of a new model (light bands)",
        "verdict: undetermined",
        "unresolved: Aid is too near 0 to divide by",
        "unresolved (nearest)",
        "opt (untrained)",
        "nearest (no parameters)",
    ):
        assert part in words, part


def test_a_figure_without_fit_partial_data_or_unresolved_gaps_does_not_speak_of_them(
    tmp_path: Path,
) -> None:
    analysis = replace(ANALYSIS, points=POINTS[:2], fits=())
    text = drawn_text(analysis, changed(GAP), tmp_path)
    for part in ("unresolved", "partial", "random-effects", "untrained", "bands"):
        assert part not in text, part


def test_a_fit_is_not_drawn_on_other_axes_than_its_own(tmp_path: Path) -> None:
    text = drawn_text(ANALYSIS, changed(GAP, x="n_params_non_embedding"), tmp_path)
    assert "parameters without embeddings" in text
    assert "random-effects" not in text


def test_where_every_gap_is_unresolved_the_figure_says_so(tmp_path: Path) -> None:
    nothing = tuple(replace(p, gap=None, unresolved_because="A_id is 0") for p in POINTS)
    text = drawn_text(replace(ANALYSIS, points=nothing, fits=()), changed(GAP), tmp_path)
    assert text.count("no resolved gap") == 2
    assert text.count("unresolved (also nearest)") == 2
    assert text.count("unresolved: Aid") == 1


def test_a_panel_without_results_says_so(tmp_path: Path) -> None:
    points = (POINTS[0], replace(POINTS[3], shots=10))
    text = drawn_text(replace(ANALYSIS, points=points), changed(GAP), tmp_path)
    assert text.count("no results") == 2


def chance(model: str, shots: int, condition: Condition) -> float:
    return {"nearest": 0.2 + shots / 50, "opt-new": 0.0}[model] / (2 if condition == "ood" else 1)


QUICK: list[Model] = [
    ("nearest", "nearest", None, True),
    ("opt-new", "opt", 125_000_000, False),
]


def test_a_run_of_a_baseline_and_an_untrained_model_can_be_drawn(tmp_path: Path) -> None:
    results = sweep(QUICK, chance, shots=(0, 1, 10), seeds=1)
    for recipe in (GAP, ACCURACY):
        plot(frame_of(results), changed(recipe), tmp_path)
    accuracy = drawn_text(analyze(results, resamples=100), changed(ACCURACY), tmp_path)
    for part in ("opt-new (untrained)", "nearest", "ID", "OOD", "exact match", "shots"):
        assert part in accuracy.split("\n"), part
    gap = drawn_text(analyze(results, resamples=100), changed(GAP), tmp_path)
    assert "0 shots\n" in gap
    assert "opt (untrained)" in gap


@pytest.mark.parametrize("x", ["n_params", "n_params_non_embedding", "shots"])
@pytest.mark.parametrize("y", ["gap", "accuracy"])
@pytest.mark.parametrize("panels", [("dataset",), ("family",), ("dataset", "family")])
def test_every_kind_of_figure_can_be_drawn(
    tmp_path: Path, x: str, y: str, panels: tuple[str, ...]
) -> None:
    points = (*POINTS, *(replace(p, shots=10) for p in POINTS))
    recipe = CurveRecipe.model_validate(
        {"name": "f", "x": x, "y": y, "panels": panels, "formats": ["svg"]}
    )
    text = drawn_text(replace(ANALYSIS, points=points), recipe, tmp_path)
    by_shots = x != "shots"
    assert ("10 shots" in text) == by_shots
    assert ("opt-350m" in text) == (x == "shots")


@pytest.mark.parametrize(
    ("metric", "named"),
    [("canonical", "exact match, canonical"), ("execution", "execution match")],
)
def test_accuracies_are_called_by_their_metric(metric: Metric, named: str, tmp_path: Path) -> None:
    analysis = replace(ANALYSIS, metric=metric)
    recipe = changed(ACCURACY, query_split="pooled")
    assert named in drawn_text(analysis, recipe, tmp_path)


@pytest.mark.parametrize("form", ["web", "print"])
def test_labels_do_not_lie_over_each_other(form: FigureForm) -> None:
    """The words of a crowded figure, as boxes: none meets another."""
    from icl_gap.plots.figure import build

    models = [
        point(f"{family}-{n}", family, 3**n * 10**8, None if n < 2 else 0.5)
        for family in ("bloom", "codegen", "gpt-neo", "opt", "pythia")
        for n in range(5)
    ]
    points = [
        replace(each, dataset=dataset, shots=shots, partial="test 9741 of 11968, train whole")
        for each in [*models, point("nearest", "nearest", None, None)]
        for dataset in ("cfq", "geoquery", "scan")
        for shots in (1, 5, 10)
    ]
    figure = build(replace(ANALYSIS, points=tuple(points)), GAP, ["black", "blue"], form)
    figure.canvas.draw()
    from matplotlib.text import Text

    # Ticks beyond the limits have labels that are not drawn.
    beyond = {
        tick.label1
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in axis.get_major_ticks()
        if not axis.get_view_interval()[0] <= tick.get_loc() <= axis.get_view_interval()[1]
    }
    texts = [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]
    texts = [t for t in texts if t not in beyond]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts]
    assert len(boxes) > 40
    for n, (words, box) in enumerate(boxes):
        for others, other in boxes[n + 1 :]:
            assert not box.padded(-1).overlaps(other.padded(-1)), (words, others)


def test_the_users_settings_count_nothing_and_are_left_alone(tmp_path: Path) -> None:
    import matplotlib as mpl

    plain = plot(ANALYSIS, changed(GAP), tmp_path / "plain")
    with mpl.rc_context({"font.size": 30, "axes.grid": True}):
        before = dict(mpl.rcParams)
        loud = plot(ANALYSIS, changed(GAP), tmp_path / "loud")
        assert dict(mpl.rcParams) == before
    assert plain[0].read_bytes() == loud[0].read_bytes()


def test_nothing_to_draw_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="no finished cells"):
        plot(frame_of([]), GAP, tmp_path)
    half = [each for each in sweep(QUICK, chance) if each.info.condition == "id"]
    with pytest.raises(AnalysisError, match=r"(?s)nothing to draw.*OOD cells are missing"):
        plot(frame_of(half), GAP, tmp_path)
    pooled = changed(GAP, query_split="pooled")
    with pytest.raises(AnalysisError, match=r"draws `query_split: pooled`.*only test"):
        plot(frame_of(sweep(QUICK, chance, splits=("test",))), pooled, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot write the figure"):
        plot(ANALYSIS, changed(GAP), tmp_path / "file")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# a comment\nno.such.setting: 1\n", "not a setting of matplotlib"),
        ("font.size: huge\n", "not a matplotlib style: .*huge"),
        ("font.size: 8\n" + "#" * 2**20, "too large"),
    ],
)
def test_a_style_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    style = tmp_path / "own.mplstyle"
    style.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as error:
        plot(ANALYSIS, changed(GAP, style=str(style)), tmp_path)
    assert error.value.place.file == style


def test_a_style_without_colours_takes_those_of_matplotlib(tmp_path: Path) -> None:
    style = tmp_path / "own.mplstyle"
    style.write_text("font.size: 8\n", encoding="utf-8")
    (svg, _) = plot(ANALYSIS, changed(GAP, style=str(style)), tmp_path)
    assert "#1f77b4" in svg.read_text(encoding="utf-8")

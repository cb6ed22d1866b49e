"""Heat maps: a row for each model, a column for each benchmark, query split and shots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from icl_gap.analysis import Estimate, GapPoint
from icl_gap.plots.axes import FLAGGED, Axis
from icl_gap.plots.figure_form import pages_of
from icl_gap.plots.layout import SPARE, new_figure, offset, resize
from icl_gap.plots.point_text import attach_tooltip, tooltip_text
from icl_gap.plots.recipe import HeatmapRecipe
from icl_gap.plots.series_style import GREY
from icl_gap.plots.shades import draw_bar, shades_of, short_number, text_colour, to_rgb
from icl_gap.plots.typesetting import typeset, wrapped
from icl_gap.schema import FigureForm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

K = TypeVar("K")
SPLITS = ("test", "train", "pooled")
# All in inches.
CELL = (0.34, 0.2)
NUMBER = (0.25, 0.12)
"""The smallest cell that gets a number."""
LETTER = 0.062
LINE = 0.14
MAP_GAP = 0.07
BAR_GAP = 0.1
NAME_GAP = 0.05
BAR = (1.8, 0.09)
FLAG = 0.06
"""Length of the corner of a flagged cell."""
# In points.
SMALL = 7.0
# In cells.
FAMILY_BREAK = 0.25
SPLIT_BREAK = 0.15
BENCHMARK_BREAK = 0.5


class MapRow(NamedTuple):
    """The model of a row; fields are in the order by which rows are sorted, baselines last."""

    sizeless: bool
    family: str
    n_params: int
    model: str
    trained: bool


class MapColumn(NamedTuple):
    """The benchmark, query split and shots of a column, in the order by which it is sorted."""

    dataset: str
    split: str
    query_split: int
    """Index in `SPLITS`."""
    shots: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Positions of points, in cells from the upper left corner."""

    points: Mapping[tuple[MapRow, MapColumn], GapPoint]
    rows: Mapping[MapRow, float]
    columns: Mapping[MapColumn, float]

    @property
    def size(self) -> tuple[float, float]:
        """Number of columns and of rows, with the breaks between them."""
        return max(self.columns.values()) + 1, max(self.rows.values()) + 1

    @property
    def blank(self) -> bool:
        """True if some cells have no point."""
        return len(self.points) < len(self.rows) * len(self.columns)


def grid_of(points: Sequence[GapPoint]) -> Grid:
    """Sort points into rows and columns."""
    cells = {(_row(point), _column(point)): point for point in points}
    rows = sorted({row for row, _ in cells})
    columns = sorted({column for _, column in cells})
    row_breaks = [FAMILY_BREAK * (a[:2] != b[:2]) for a, b in pairwise(rows)]
    column_breaks = [
        max(BENCHMARK_BREAK * (a[:2] != b[:2]), SPLIT_BREAK * (a[:3] != b[:3]))
        for a, b in pairwise(columns)
    ]
    return Grid(cells, _positions(rows, row_breaks), _positions(columns, column_breaks))


def _row(point: GapPoint) -> MapRow:
    size = point.n_params
    return MapRow(size is None, point.family, size or 0, point.model, point.trained)


def _column(point: GapPoint) -> MapColumn:
    return MapColumn(point.dataset, point.split, SPLITS.index(point.query_split), point.shots)


def _positions(keys: Sequence[K], breaks: Sequence[float]) -> dict[K, float]:
    return {key: n + sum(breaks[:n]) for n, key in enumerate(keys)}


def draw_heatmap(
    points: Sequence[GapPoint], axis: Axis, label: str, recipe: HeatmapRecipe, form: FigureForm
) -> Figure:
    """Draw one map, or one for each condition, with a colour bar and a caption below.

    Args:
        points: The points to draw.
        axis: The quantity that the colours show.
        label: The label of the axis.
        recipe: Gives the title, and the width and height that the maps may take.
        form: The form of the figure; only that for the web has the caption in it.
    """
    grid = grid_of(points)
    maps = len(axis.readers)
    names = LETTER * max(len(_row_name(row)) for row in grid.rows) + NAME_GAP
    cell = _cell_size(grid, _room(grid, recipe, form, names), maps)
    width, height = (n * length for n, length in zip(grid.size, cell, strict=True))
    # The colour bar has its width even below a map of one cell.
    total = max(width, BAR[0])
    heights = [height, *([MAP_GAP, height] * (maps - 1)), BAR_GAP, BAR[1]]
    figure = new_figure(total + 2 * names + SPARE, sum(heights) + SPARE)
    spec = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    values = [each for point in points for each in axis.read(point).values()]
    shades = shades_of([each.value for each in values if each], axis.scale)
    numbered = all(length >= least for length, least in zip(cell, NUMBER, strict=True))
    style = _MapStyle(axis, label, shades, cell, numbered)
    for n, condition in enumerate(axis.readers):
        ax = figure.add_subplot(spec[2 * n])
        _draw_map(ax, grid, style, condition)
        ax.set_xlim(0, total / cell[0])
    _draw_heads(figure.axes[0], grid)
    bar = figure.add_subplot(spec[-1])
    bar.set_box_aspect(BAR[1] / BAR[0])
    bar.set_anchor("W")
    draw_bar(bar, shades, label, BAR[0])
    if recipe.title is not None:
        figure.suptitle(wrapped(recipe.title, total + names, 9))
    if form == "web":
        lines = wrapped(heatmap_caption(points, axis), max(2.6, total + names), 7.5)
        typeset(figure.supxlabel(lines, fontsize=7.5))
    resize(figure, figure.axes[0], (total, height), (total, sum(heights)))
    return figure


def _room(grid: Grid, recipe: HeatmapRecipe, form: FigureForm, names: float) -> tuple[float, float]:
    """Return the width and height in inches that the cells may take.

    The width is that of the first page on which they have room for their numbers.
    """
    most, height = recipe.panel_size
    left = [page - names - 0.2 for page in pages_of(recipe, form)]
    wide = [width for width in left if width >= NUMBER[0] * grid.size[0]]
    return min([most, *(wide or left[-1:])[:1]]), height


@dataclass(frozen=True, slots=True)
class _MapStyle:
    """The numbers that the cells of one map show, and their style."""

    axis: Axis
    label: str
    shades: ScalarMappable
    cell: tuple[float, float]
    """Width and height of a cell in inches."""
    numbered: bool
    """Numbers fit into the cells."""


def _draw_map(ax: Axes, grid: Grid, style: _MapStyle, condition: str | None) -> None:
    across, down = grid.size
    ax.set(ylim=(down, 0))
    ax.set_axis_off()
    label = f"{style.label}, {condition}" if condition else style.label
    for (row, column), point in grid.points.items():
        value = style.axis.read(point)[condition]
        place = (grid.columns[column], grid.rows[row])
        _draw_cell(ax, place, value, style, tooltip_text(point, {label: value}))
        if flagged(point, style.axis):
            _draw_flag(ax, place, style)
    for row, at in grid.rows.items():
        text = ax.text(0, at + 0.5, _row_name(row))
        text.set(ha="right", va="center", fontsize=SMALL)
        text.set_transform(offset(ax, ax.transData, -NAME_GAP, 0))
    if condition is not None:
        text = ax.text(across, down / 2, condition)
        text.set_transform(offset(ax, ax.transData, NAME_GAP, 0))
        text.set(ha="left", va="center", rotation=270)


def _row_name(row: MapRow) -> str:
    return row.model if row.trained else f"{row.model} (untrained)"


def flagged(point: GapPoint, axis: Axis) -> bool:
    """Return whether a cell shows a pooled gap that hides its sides."""
    return axis.scale == "gap" and point.gap is not None and bool(point.flags)


def _draw_flag(ax: Axes, place: tuple[float, float], style: _MapStyle) -> None:
    """Draw a dark corner at the upper right of a cell."""
    from matplotlib.patches import Polygon

    (x, y), (across, down) = place, (FLAG / length for length in style.cell)
    corner = [(x + 1 - across, y), (x + 1, y), (x + 1, y + down)]
    ax.add_patch(Polygon(corner, facecolor="black", linewidth=0, zorder=2))


def _heads(grid: Grid) -> list[tuple[float, str, list[float]]]:
    """Return the headings: lines above the cells, the text, and the columns below it."""
    benchmarks = groupby(grid.columns.items(), key=lambda item: (item[0].dataset, item[0].split))
    splits = groupby(grid.columns.items(), key=lambda item: item[0][:3])
    return [
        *((0.6, str(column.shots), [at]) for column, at in grid.columns.items()),
        *((1.7, SPLITS[key[2]], [at for _, at in items]) for key, items in splits),
        *((3.3, "\n".join(key), [at for _, at in items]) for key, items in benchmarks),
    ]


def _cell_size(grid: Grid, most: tuple[float, float], maps: int) -> tuple[float, float]:
    """Return the width and height of a cell, wide enough for the headings."""
    sizes = ((max(map(len, text.split("\n"))), len(below)) for _, text, below in _heads(grid))
    needed = max((letters + 0.5) * LETTER / columns for letters, columns in sizes)
    width = max(needed, min(CELL[0], most[0] / grid.size[0]))
    return width, min(CELL[1], most[1] / maps / grid.size[1])


def _draw_cell(
    ax: Axes, place: tuple[float, float], value: Estimate | None, style: _MapStyle, text: str
) -> None:
    from matplotlib.patches import Rectangle

    colour = to_rgb(style.shades, value)
    # The edge tells a cell of a gap of 0, which is white, from no cell.
    cell = Rectangle(place, 1, 1, facecolor=colour, linewidth=0.4, edgecolor="0.8")
    if value is None:
        cell.set(hatch="//////", edgecolor="0.7")
    attach_tooltip(ax.add_patch(cell), text)
    if style.numbered or value is None:
        x, y = (each + 0.5 for each in place)
        number = ax.text(x, y, "?" if value is None else short_number(value.value))
        number.set(ha="center", va="center_baseline", fontsize=SMALL, color=text_colour(colour))
        attach_tooltip(number, text)


def _draw_heads(ax: Axes, grid: Grid) -> None:
    """Draw benchmarks, query splits and shots above the cells, with a line under each group."""
    for up, facet in ((0.6, "shots"), (1.7, "queries"), (3.3, "benchmark")):
        name = ax.text(0, 0, facet, transform=offset(ax, ax.transData, -NAME_GAP, up * LINE))
        name.set(ha="right", va="center", fontsize=SMALL, color=GREY)
    for up, text, below in _heads(grid):
        left, right = below[0], below[-1] + 1
        head = ax.text(
            (left + right) / 2, 0, text, transform=offset(ax, ax.transData, 0, up * LINE)
        )
        head.set(ha="center", va="center", fontsize=8 if up > 2 else SMALL)
        if up > 1:
            line = offset(ax, ax.transData, 0, (up - (1.05 if up > 2 else 0.5)) * LINE)
            ends = [left + 0.1, right - 0.1]
            ax.plot(ends, [0, 0], color="0.6", lw=0.5, clip_on=False, transform=line)


def heatmap_caption(points: Sequence[GapPoint], axis: Axis) -> str:
    """Return the caption of a heat map."""
    partial = sorted({f"{p.benchmark} is partial: {p.partial}" for p in points if p.partial})
    missing = any(value is None for point in points for value in axis.read(point).values())
    parts = [
        axis.caption,
        f"hatched, with a question mark: {axis.missing}" if missing else "",
        f"dark corners: {FLAGGED}" if any(flagged(point, axis) for point in points) else "",
        "blank: no results" if grid_of(points).blank else "",
        *partial,
    ]
    return "; ".join(part for part in parts if part)

"""Heat maps: a row for each model, a column for each benchmark, query split and shots."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from icl_gap.analysis import Estimate, GapPoint
from icl_gap.plots.axes import Axis, Scale
from icl_gap.plots.layout import SPARE, new_figure, offset, resize
from icl_gap.plots.point_text import attach_tooltip, tooltip_text
from icl_gap.plots.recipe import HeatmapRecipe
from icl_gap.plots.series_style import GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

K = TypeVar("K")
COLOUR_MAP = "cividis"
"""A perceptually uniform map that appears the same to readers with colour blindness."""
SPLITS = ("test", "train", "pooled")
UNKNOWN = (0.95, 0.95, 0.95)
# All in inches.
CELL = (0.27, 0.17)
NUMBER = (0.2, 0.1)
"""The smallest cell that gets a number."""
LETTER = 0.066
LINE = 0.12
MAP_GAP = 0.07
BAR_GAP = 0.1
NAME_GAP = 0.05
BAR = (1.6, 0.08)
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
    points: Sequence[GapPoint], axis: Axis, label: str, recipe: HeatmapRecipe
) -> Figure:
    """Draw one map, or one for each condition, with a colour bar and a caption below.

    Args:
        points: The points to draw.
        axis: The quantity that the colours show.
        label: The label of the axis.
        recipe: Gives the title, and the width and height that the maps may take.
    """
    grid = grid_of(points)
    maps = len(axis.readers)
    cell = _cell_size(grid, recipe.panel_size, maps)
    width, height = (n * length for n, length in zip(grid.size, cell, strict=True))
    names = LETTER * max(len(row.model) for row in grid.rows)
    heights = [height, *([MAP_GAP, height] * (maps - 1)), BAR_GAP, BAR[1]]
    figure = new_figure(width + names + SPARE, sum(heights) + SPARE)
    spec = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    values = [each for point in points for each in axis.read(point).values()]
    shades = _shades([each.value for each in values if each], axis.scale)
    numbered = all(length >= least for length, least in zip(cell, NUMBER, strict=True))
    for n, condition in enumerate(axis.readers):
        ax = figure.add_subplot(spec[2 * n])
        _draw_map(ax, grid, _MapStyle(axis, condition, label, shades, numbered))
    _draw_heads(figure.axes[0], grid)
    bar = figure.add_subplot(spec[-1])
    bar.set_box_aspect(BAR[1] / min(BAR[0], width))
    _draw_bar(bar, shades, label, min(BAR[0], width))
    if recipe.title is not None:
        figure.suptitle(recipe.title)
    caption = _caption(grid, axis, missing=None in values)
    figure.supxlabel("\n".join(textwrap.wrap(caption, max(40, int(width / 0.055)))), fontsize=7)
    resize(figure, figure.axes[0], (width, height), (width, sum(heights)))
    return figure


@dataclass(frozen=True, slots=True)
class _MapStyle:
    """The numbers that the cells of one map show, and their style."""

    axis: Axis
    condition: str | None
    label: str
    shades: ScalarMappable
    numbered: bool
    """Numbers fit into the cells."""


def _draw_map(ax: Axes, grid: Grid, style: _MapStyle) -> None:
    across, down = grid.size
    ax.set(xlim=(0, across), ylim=(down, 0))
    ax.set_axis_off()
    label = f"{style.label}, {style.condition}" if style.condition else style.label
    for (row, column), point in grid.points.items():
        value = style.axis.read(point)[style.condition]
        place = (grid.columns[column], grid.rows[row])
        _draw_cell(ax, place, value, style, tooltip_text(point, {label: value}))
    for row, at in grid.rows.items():
        name = row.model if row.trained else f"{row.model} (untrained)"
        text = ax.text(0, at + 0.5, name, transform=offset(ax, ax.transData, -NAME_GAP, 0))
        text.set(ha="right", va="center", fontsize=6.5)
    if style.condition is not None:
        text = ax.text(
            across, down / 2, style.condition, transform=offset(ax, ax.transData, NAME_GAP, 0)
        )
        text.set(ha="left", va="center", rotation=270)


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
    cell = Rectangle(place, 1, 1, facecolor=colour, linewidth=0)
    if value is None:
        cell.set(hatch="//////", edgecolor="0.75")
    attach_tooltip(ax.add_patch(cell), text)
    if style.numbered or value is None:
        x, y = (each + 0.5 for each in place)
        number = ax.text(x, y, "?" if value is None else short_number(value.value))
        number.set(ha="center", va="center_baseline", fontsize=6, color=text_colour(colour))
        attach_tooltip(number, text)


def to_rgb(shades: ScalarMappable, value: Estimate | None) -> tuple[float, float, float]:
    """Return the colour of a cell; grey for one without a number."""
    if value is None:
        return UNKNOWN
    import numpy as np

    red, green, blue, _ = map(float, shades.to_rgba(np.array([value.value]))[0])
    return red, green, blue


def short_number(value: float) -> str:
    """Format a number with two digits, as narrow as possible: `.42`, `-.07`, `1.0`, `-1.3`."""
    text = f"{value:.2f}" if abs(value) < 0.995 else f"{value:.1f}"
    return text.replace("0.", ".", 1).replace("-.00", ".00") if abs(value) < 0.995 else text


def text_colour(colour: Sequence[float]) -> str:
    """Return black or white: the one with the higher contrast to a colour (WCAG 2.2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.179 else "white"


def _draw_heads(ax: Axes, grid: Grid) -> None:
    """Draw benchmarks, query splits and shots above the cells, with a line under each group."""
    name = ax.text(0, 0, "shots", transform=offset(ax, ax.transData, -NAME_GAP, 0.6 * LINE))
    name.set(ha="right", va="center", fontsize=6, color=GREY)
    for up, text, below in _heads(grid):
        left, right = below[0], below[-1] + 1
        head = ax.text(
            (left + right) / 2, 0, text, transform=offset(ax, ax.transData, 0, up * LINE)
        )
        head.set(ha="center", va="center", fontsize=7.5 if up > 2 else 6.5)
        if up > 1:
            line = offset(ax, ax.transData, 0, (up - (1.05 if up > 2 else 0.5)) * LINE)
            ends = [left + 0.1, right - 0.1]
            ax.plot(ends, [0, 0], color="0.6", lw=0.5, clip_on=False, transform=line)


def _shades(values: Sequence[float], scale: Scale) -> ScalarMappable:
    """Return colours from 0 or the lowest gap, at least -1, to the highest accuracy or gap 1."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low = max(-1.0, min([0.0, *values]))
    high = 1.0 if scale == "gap" else max([0.05, *values])
    shades = ScalarMappable(Normalize(low, high), mpl.colormaps[COLOUR_MAP].resampled(64))
    shades.set_array(list(values))
    return shades


def _draw_bar(ax: Axes, shades: ScalarMappable, label: str, width: float) -> None:
    """Draw the colour bar; with an arrow if there are gaps beyond it."""
    from matplotlib.ticker import MaxNLocator

    bar = ax.figure.colorbar(
        shades,
        cax=ax,
        orientation="horizontal",
        extend="min" if shades.norm.vmin == -1.0 else "neither",
        ticks=MaxNLocator(max(1, min(4, int(width / 0.3)))),
        label=label,
    )
    bar.outline.set_visible(False)
    if bar.solids is not None:
        # Else vector files hold a picture, which a page that may load nothing does not show.
        bar.solids.set(rasterized=False, edgecolor="face")


def _caption(grid: Grid, axis: Axis, *, missing: bool) -> str:
    points = grid.points.values()
    partial = sorted({f"{p.benchmark} is partial: {p.partial}" for p in points if p.partial})
    parts = [
        axis.caption,
        f"hatched, with a question mark: {axis.missing}" if missing else "",
        "blank: no results" if grid.blank else "",
        *partial,
    ]
    return "; ".join(part for part in parts if part)

"""The heat map: a row for each model, a column for each benchmark, query split and shots."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from icl_gap.analysis import Estimate, GapPoint
from icl_gap.plots.axes import Axis, Scale
from icl_gap.plots.point_text import hang, tip
from icl_gap.plots.series_style import GREY, blank

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

K = TypeVar("K")
COLOURS = "cividis"
"""Perceptually uniform, and made to look the same to readers with and without colour blindness."""
SPLITS = ("test", "train", "pooled")
# All in inches.
CELL = (0.27, 0.17)
NUMBER = (0.2, 0.1)
"""A cell that is smaller has no number in it."""
LETTER = 0.066
LINE = 0.12
HEAD = 4.2 * LINE
MAP_GAP = 0.12
BAR = (1.6, 0.08)
BAR_DOWN = 0.2
CAPTION_DOWN = 0.62
UNKNOWN = (0.95, 0.95, 0.95)
# In cells.
FAMILY_BREAK = 0.25
SPLIT_BREAK = 0.15
BENCHMARK_BREAK = 0.5


class Row(NamedTuple):
    """Whose cells a row holds; baselines, which have no size, come last."""

    sizeless: bool
    family: str
    n_params: int
    model: str
    trained: bool


class Column(NamedTuple):
    """What a column of cells was asked."""

    dataset: str
    split: str
    query_split: int
    """Its place in `SPLITS`."""
    shots: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Which point stands where, in cells from the upper left corner."""

    points: Mapping[tuple[Row, Column], GapPoint]
    rows: Mapping[Row, float]
    columns: Mapping[Column, float]

    @property
    def size(self) -> tuple[float, float]:
        """Columns and rows, with the breaks between them."""
        return max(self.columns.values()) + 1, max(self.rows.values()) + 1

    @property
    def blank(self) -> bool:
        """Whether some cells have no point."""
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
    return Grid(cells, _placed(rows, row_breaks), _placed(columns, column_breaks))


def _row(point: GapPoint) -> Row:
    size = point.n_params
    return Row(size is None, point.family, size or 0, point.model, point.trained)


def _column(point: GapPoint) -> Column:
    return Column(point.dataset, point.split, SPLITS.index(point.query_split), point.shots)


def _placed(keys: Sequence[K], breaks: Sequence[float]) -> dict[K, float]:
    return {key: n + sum(breaks[:n]) for n, key in enumerate(keys)}


def draw_cells(
    points: Sequence[GapPoint], axis: Axis, name: str, most: tuple[float, float]
) -> Figure:
    """Draw one map, or one for each condition, with a colour bar and a caption below.

    Args:
        points: What to draw.
        axis: What their colours show.
        name: The axis' label.
        most: Width and height that the maps may take, in inches.
    """
    grid = grid_of(points)
    cell = _cell_size(grid, most, len(axis.parts))
    width, height = (n * length for n, length in zip(grid.size, cell, strict=True))
    total = HEAD + len(axis.parts) * (height + MAP_GAP) - MAP_GAP
    figure = blank((width, total))
    values = [each for point in points for each in axis.of(point).values()]
    shades = _shades([each.value for each in values if each], axis.scale)
    numbered = all(length >= least for length, least in zip(cell, NUMBER, strict=True))
    for n, part in enumerate(axis.parts):
        bottom = total - HEAD - height - n * (height + MAP_GAP)
        ax = figure.add_axes((0, bottom / total, 1, height / total))
        _draw_map(ax, grid, _Shown(axis, part, name, shades, numbered))
    _draw_heads(figure.axes[0], grid, cell[1])
    _draw_bar(figure, shades, name)
    _draw_caption(figure, _caption(grid, axis, missing=None in values))
    return figure


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the cells of one map show, and how."""

    axis: Axis
    part: str | None
    name: str
    shades: ScalarMappable
    numbered: bool
    """Whether numbers fit into the cells."""


def _draw_map(ax: Axes, grid: Grid, shown: _Shown) -> None:
    ax.set(xlim=(0, grid.size[0]), ylim=(grid.size[1], 0))
    ax.axis("off")
    for (row, column), point in grid.points.items():
        value = shown.axis.of(point)[shown.part]
        name = f"{shown.name}, {shown.part}" if shown.part else shown.name
        place = (grid.columns[column], grid.rows[row])
        _draw_cell(ax, place, value, shown, tip(point, {name: value}))
    for row, at in grid.rows.items():
        name = row.model if row.trained else f"{row.model} (untrained)"
        ax.text(-0.2, at + 0.5, name, ha="right", va="center", fontsize=6.5)
    if shown.part is not None:
        across, down = grid.size
        ax.text(across + 0.2, down / 2, shown.part, rotation=270, ha="left", va="center")


def _heads(grid: Grid) -> list[tuple[float, str, list[float]]]:
    """What stands above the cells: how far up in lines, the text, and the columns below it."""
    benchmarks = groupby(grid.columns.items(), key=lambda item: (item[0].dataset, item[0].split))
    splits = groupby(grid.columns.items(), key=lambda item: item[0][:3])
    return [
        *((0.6, str(column.shots), [at]) for column, at in grid.columns.items()),
        *((1.7, SPLITS[key[2]], [at for _, at in items]) for key, items in splits),
        *((3.3, "\n".join(key), [at for _, at in items]) for key, items in benchmarks),
    ]


def _cell_size(grid: Grid, most: tuple[float, float], maps: int) -> tuple[float, float]:
    """Width and height: not larger than is nice, and wide enough for the words above."""
    words = ((max(map(len, text.split("\n"))), len(below)) for _, text, below in _heads(grid))
    needed = max((letters + 0.5) * LETTER / columns for letters, columns in words)
    width = max(needed, min(CELL[0], most[0] / grid.size[0]))
    return width, min(CELL[1], most[1] / maps / grid.size[1])


def _draw_cell(
    ax: Axes, place: tuple[float, float], value: Estimate | None, shown: _Shown, text: str
) -> None:
    from matplotlib.patches import Rectangle

    colour = to_rgb(shown.shades, value)
    cell = Rectangle(place, 1, 1, facecolor=colour, linewidth=0)
    if value is None:
        cell.set(hatch="//////", edgecolor="0.75")
    hang(ax.add_patch(cell), text)
    if shown.numbered or value is None:
        x, y = (each + 0.5 for each in place)
        number = ax.text(x, y, "?" if value is None else short(value.value))
        number.set(ha="center", va="center_baseline", fontsize=6, color=readable(colour))
        hang(number, text)


def to_rgb(shades: ScalarMappable, value: Estimate | None) -> tuple[float, float, float]:
    """The colour of a cell; grey for one without a number."""
    if value is None:
        return UNKNOWN
    import numpy as np

    red, green, blue, _ = map(float, shades.to_rgba(np.array([value.value]))[0])
    return red, green, blue


def short(value: float) -> str:
    """A number in two digits, as narrow as it can be: `.42`, `-.07`, `1.0`, `-1.3`."""
    text = f"{value:.2f}" if abs(value) < 0.995 else f"{value:.1f}"
    return text.replace("0.", ".", 1).replace("-.00", ".00") if abs(value) < 0.995 else text


def readable(colour: Sequence[float]) -> str:
    """Black or white, whichever has the higher contrast to a colour, as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    luminance = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "black" if luminance > 0.179 else "white"


def _draw_heads(ax: Axes, grid: Grid, height: float) -> None:
    """Benchmarks, query splits and shots above the cells, with a line under each group."""
    lines = LINE / height
    ax.text(-0.2, -0.6 * lines, "shots", ha="right", va="center", fontsize=6, color=GREY)
    for up, text, below in _heads(grid):
        left, right = below[0], below[-1] + 1
        size = 7.5 if up > 2 else 6.5
        ax.text((left + right) / 2, -up * lines, text, ha="center", va="center", fontsize=size)
        if up > 1:
            y = -(up - (1.05 if up > 2 else 0.5)) * lines
            ax.plot([left + 0.1, right - 0.1], [y, y], color="0.6", lw=0.5, clip_on=False)


def _shades(values: Sequence[float], scale: Scale) -> ScalarMappable:
    """Colours from 0, or the lowest gap down to -1, to the highest accuracy, or a gap of 1."""
    import matplotlib as mpl
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low = max(-1.0, min([0.0, *values]))
    high = 1.0 if scale == "gap" else max([0.05, *values])
    shades = ScalarMappable(Normalize(low, high), mpl.colormaps[COLOURS].resampled(64))
    shades.set_array(list(values))
    return shades


def _draw_bar(figure: Figure, shades: ScalarMappable, name: str) -> None:
    """The colour bar below the maps; with an arrow where gaps lie beyond it."""
    from matplotlib.ticker import MaxNLocator

    width, height = figure.get_size_inches()
    across = min(BAR[0], width)
    box = ((width - across) / 2 / width, -BAR_DOWN / height, across / width, BAR[1] / height)
    beyond = shades.norm.vmin == -1.0
    bar = figure.colorbar(
        shades,
        cax=figure.add_axes(box),
        orientation="horizontal",
        extend="min" if beyond else "neither",
        ticks=MaxNLocator(4),
        label=name,
    )
    bar.outline.set_visible(False)
    if bar.solids is not None:
        # Else vector files hold a picture, which a page that may load nothing does not show.
        bar.solids.set(rasterized=False, edgecolor="face")


def _caption(grid: Grid, axis: Axis, *, missing: bool) -> str:
    points = grid.points.values()
    partial = sorted({f"{p.benchmark} is partial: {p.partial}" for p in points if p.partial})
    parts = [
        axis.meaning,
        f"hatched, with a question mark: {axis.absent}" if missing else "",
        "blank: no results" if grid.blank else "",
        *partial,
    ]
    return "; ".join(part for part in parts if part)


def _draw_caption(figure: Figure, caption: str) -> None:
    width, height = figure.get_size_inches()
    text = "\n".join(textwrap.wrap(caption, max(40, int(width / 0.055))))
    figure.text(0.5, -CAPTION_DOWN / height, text, ha="center", va="top", fontsize=7)

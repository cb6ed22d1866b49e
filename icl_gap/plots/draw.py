"""Drawing one panel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from icl_gap.analysis import GapFit
from icl_gap.plots.content import Mark, series_name
from icl_gap.plots.point_text import hang
from icl_gap.plots.series_style import GREY, LINES, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

ISO_GAPS = (0.25, 0.5, 0.75)
RING = 1.9
"""How much wider than its marker a ring is."""


def draw_values(
    ax: Axes, marks: Sequence[Mark], look: Mapping[str, Look], line: Mapping[str, Any]
) -> None:
    """Points with their intervals; horizontal lines with bands for models without a size.

    Args:
        ax: Where to draw.
        marks: The panel's.
        look: Of every series.
        line: The style of the line that joins the points of a series.
    """
    lines: dict[tuple[str, str | None, str | None], list[Mark]] = defaultdict(list)
    for mark in marks:
        if mark.y is not None:
            # A series without sizes is one line per model; the others run through their models.
            alone = mark.point.model if mark.x is None else None
            lines[mark.series, mark.condition, alone].append(mark)
    for (series, _, _), members in lines.items():
        if members[0].x is None:
            _draw_level(ax, members[0], look[series])
        else:
            _draw_series(ax, members, look[series], line)


def _draw_level(ax: Axes, mark: Mark, look: Look) -> None:
    value = mark.y
    if value is None:
        return
    ax.axhspan(value.low, value.high, color=look.colour, alpha=0.10, linewidth=0, zorder=1)
    style = LINES[mark.condition] if mark.condition else look.dash
    line = ax.axhline(value.value, color=look.colour, linestyle=style, linewidth=1, zorder=2)
    hang(line, mark.tip)


def _draw_series(ax: Axes, members: list[Mark], look: Look, line: Mapping[str, Any]) -> None:
    transform = shifted(ax, look)
    members = sorted(members, key=lambda mark: (mark.weight, mark.x.value if mark.x else 0))
    placed = [(mark, mark.x, mark.y) for mark in members if mark.x and mark.y]
    x, y = [x.value for _, x, _ in placed], [y.value for _, _, y in placed]
    bars: dict[str, Any] = {
        "color": look.colour,
        "linewidth": 0.9,
        "transform": transform,
        "zorder": 3,
    }
    ax.vlines(x, [y.low for _, _, y in placed], [y.high for _, _, y in placed], **bars)
    wide = [(x, y.value) for _, x, y in placed if x.high > x.low]
    if wide:
        ax.hlines([y for _, y in wide], [x.low for x, _ in wide], [x.high for x, _ in wide], **bars)
    style = LINES[members[0].condition] if members[0].condition else "-"
    joint = {"color": look.colour, "linestyle": style, "transform": transform, "zorder": 4, **line}
    ax.plot(x, y, **joint)
    # Each marker is a line of its own, so that it can have a tooltip of its own.
    for mark, at, value in placed:
        (marker,) = ax.plot(
            [at.value], [value.value], **marker_style(mark, look), transform=transform
        )
        marker.set(zorder=4, clip_on=False)  # a point at the edge is shown whole
        hang(marker, mark.tip)
        if mark.estimated:
            ax.plot([at.value], [value.value], **ring_style(mark, look), transform=transform)


def marker_style(mark: Mark, look: Look) -> dict[str, Any]:
    """Colour, shape, size and filling of a marker."""
    import matplotlib as mpl

    return {
        "color": look.colour,
        "marker": look.marker,
        "linestyle": "none",
        "markersize": mpl.rcParams["lines.markersize"] * (0.7 + 0.6 * mark.weight),
        "markerfacecolor": "white" if mark.hollow else look.colour,
    }


def ring_style(mark: Mark, look: Look) -> dict[str, Any]:
    """What goes around the marker of a model whose size is only estimated."""
    style = marker_style(mark, look)
    return {
        **style,
        "marker": "o",
        "markersize": style["markersize"] * RING,
        "markerfacecolor": "none",
        "markeredgewidth": 0.6,
        "zorder": 5,
        "clip_on": False,
    }


def draw_iso_gaps(ax: Axes, *, named: bool) -> None:
    """The line on which OOD accuracy equals ID accuracy, and lines of equal gaps below it.

    Args:
        ax: Where to draw, its limits set, and those of x equal to those of y.
        named: Whether to write the gaps beside the lines' ends.
    """
    end = ax.get_xlim()[1]
    for gap in (0.0, *ISO_GAPS):
        style = "-" if gap == 0 else ":"
        ax.plot([0, end], [0, (1 - gap) * end], color="0.6", lw=0.7, linestyle=style, zorder=0)
        if named:
            text = " no gap" if gap == 0 else f" {gap:.0%}"
            ax.text(end, (1 - gap) * end, text, va="center", fontsize=6, color=GREY)


def draw_fits(ax: Axes, fits: Sequence[GapFit], look: Mapping[str, Look], *, in_rows: bool) -> None:
    """Each family's fitted line and its band, shifted as its points are.

    Args:
        ax: Where to draw.
        fits: The panel's.
        look: Of every series.
        in_rows: Whether panels tell shots apart, so that a series is a whole family.
    """
    for fit in fits:
        style = look[series_name(fit.family, None if in_rows else fit.shots)]
        x = [point.scale for point in fit.band]
        low, high = [p.gap.low for p in fit.band], [p.gap.high for p in fit.band]
        place = shifted(ax, style)
        band = ax.fill_between(x, low, high, color=style.colour, alpha=0.13, transform=place)
        band.set(linewidth=0, zorder=1)
        line = [point.gap.value for point in fit.band]
        ax.plot(x, line, color=style.colour, linewidth=1, transform=place, zorder=2)


def shifted(ax: Axes, look: Look) -> Transform:
    """Data coordinates, moved sideways by a fixed length whatever the axis' scale."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    if figure is None:
        return ax.transData
    return ax.transData + ScaledTranslation(look.shift / 72, 0, figure.dpi_scale_trans)

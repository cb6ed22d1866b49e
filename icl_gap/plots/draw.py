"""Drawing of one panel: points, lines, intervals and fits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from icl_gap.analysis import GapFit
from icl_gap.plots.content import Mark, series_name
from icl_gap.plots.layout import offset
from icl_gap.plots.point_text import attach_tooltip
from icl_gap.plots.series_style import CONDITION_LINES, GREY, SeriesStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

ISO_GAPS = (0.25, 0.5, 0.75)
RING = 1.9
"""Width of a ring, relative to its marker."""


def draw_values(
    ax: Axes, marks: Sequence[Mark], styles: Mapping[str, SeriesStyle], line: Mapping[str, Any]
) -> None:
    """Draw points with their intervals; for models without a size, lines with bands.

    Args:
        ax: The panel.
        marks: The marks of the panel.
        styles: The style of every series.
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
            _draw_level(ax, members[0], styles[series])
        else:
            _draw_series(ax, members, styles[series], line)


def _draw_level(ax: Axes, mark: Mark, style: SeriesStyle) -> None:
    value = mark.y
    if value is None:
        return
    ax.axhspan(value.low, value.high, color=style.colour, alpha=0.10, linewidth=0, zorder=1)
    dash = CONDITION_LINES[mark.condition] if mark.condition else style.dash
    line = ax.axhline(value.value, color=style.colour, linestyle=dash, linewidth=1, zorder=2)
    attach_tooltip(line, mark.tooltip)


def _draw_series(
    ax: Axes, members: list[Mark], style: SeriesStyle, line: Mapping[str, Any]
) -> None:
    transform = shifted(ax, style)
    members = sorted(members, key=lambda mark: (mark.weight, mark.x.value if mark.x else 0))
    placed = [(mark, mark.x, mark.y) for mark in members if mark.x and mark.y]
    x, y = [x.value for _, x, _ in placed], [y.value for _, _, y in placed]
    bars: dict[str, Any] = {
        "color": style.colour,
        "linewidth": 0.9,
        "transform": transform,
        "zorder": 3,
    }
    ax.vlines(x, [y.low for _, _, y in placed], [y.high for _, _, y in placed], **bars)
    wide = [(x, y.value) for _, x, y in placed if x.high > x.low]
    if wide:
        ax.hlines([y for _, y in wide], [x.low for x, _ in wide], [x.high for x, _ in wide], **bars)
    dash = CONDITION_LINES[members[0].condition] if members[0].condition else "-"
    joint = {"color": style.colour, "linestyle": dash, "transform": transform, "zorder": 4, **line}
    ax.plot(x, y, **joint)
    # Each marker is a line of its own, so that it can have a tooltip of its own.
    for mark, at, value in placed:
        (marker,) = ax.plot(
            [at.value], [value.value], **marker_style(mark, style), transform=transform
        )
        marker.set(zorder=4, clip_on=False)  # a point at the edge is shown whole
        attach_tooltip(marker, mark.tooltip)
        if mark.estimated:
            ax.plot([at.value], [value.value], **ring_style(mark, style), transform=transform)


def marker_style(mark: Mark, style: SeriesStyle) -> dict[str, Any]:
    """Return colour, shape, size and filling of a marker."""
    import matplotlib as mpl

    return {
        "color": style.colour,
        "marker": style.marker,
        "linestyle": "none",
        "markersize": mpl.rcParams["lines.markersize"] * (0.7 + 0.6 * mark.weight),
        "markerfacecolor": "white" if mark.hollow else style.colour,
    }


def ring_style(mark: Mark, style: SeriesStyle) -> dict[str, Any]:
    """Return the style of the ring around the marker of a model whose size is estimated."""
    marker = marker_style(mark, style)
    return {
        **marker,
        "marker": "o",
        "markersize": marker["markersize"] * RING,
        "markerfacecolor": "none",
        "markeredgewidth": 0.6,
        "zorder": 5,
        "clip_on": False,
    }


def draw_iso_gaps(ax: Axes, *, labelled: bool) -> None:
    """Draw the line on which OOD accuracy equals ID accuracy, and lines of equal gaps below it.

    Args:
        ax: The panel, its limits set, the same for x and y.
        labelled: Write the gaps beside the ends of the lines.
    """
    end = ax.get_xlim()[1]
    for gap in (0.0, *ISO_GAPS):
        style = "-" if gap == 0 else ":"
        ax.plot([0, end], [0, (1 - gap) * end], color="0.6", lw=0.7, linestyle=style, zorder=0)
        if labelled:
            text = " no gap" if gap == 0 else f" {gap:.0%}"
            ax.text(end, (1 - gap) * end, text, va="center", fontsize=6, color=GREY)


def draw_fits(
    ax: Axes, fits: Sequence[GapFit], styles: Mapping[str, SeriesStyle], *, by_shots: bool
) -> None:
    """Draw each family's line, its band, and the band of new models, shifted like its points.

    Args:
        ax: The panel.
        fits: The fits of the panel.
        styles: The style of every series.
        by_shots: Panels are split by shots, so that a series is a whole family.
    """
    for fit in fits:
        if not fit.band:
            continue
        style = styles[series_name(fit.family, None if by_shots else fit.shots)]
        x = [point.scale for point in fit.band]
        place = shifted(ax, style)
        bands = (
            (0.16, [(point.gap.low, point.gap.high) for point in fit.band]),
            (0.07, [point.new_model for point in fit.band]),
        )
        for alpha, ends in bands:
            low, high = zip(*ends, strict=True)
            band = ax.fill_between(x, low, high, color=style.colour, alpha=alpha, transform=place)
            band.set(linewidth=0, zorder=1)
        line = [point.gap.value for point in fit.band]
        ax.plot(x, line, color=style.colour, linewidth=1, transform=place, zorder=2)


def shifted(ax: Axes, style: SeriesStyle) -> Transform:
    """Return data coordinates, moved sideways by the shift of the style on any scale."""
    return offset(ax, ax.transData, style.shift / 72, 0)

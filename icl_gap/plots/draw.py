"""Drawing of one panel: points, lines, intervals and fits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from icl_gap.analysis import GapFit
from icl_gap.plots.content import Mark, series_name
from icl_gap.plots.layout import offset
from icl_gap.plots.point_text import attach_tooltip
from icl_gap.plots.series_style import (
    CONDITION_LINES,
    GREY,
    Dash,
    SeriesStyle,
    bar_shifts,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

ISO_GAPS = (0.25, 0.5, 0.75)
NOTE = 7.0
"""Size of the texts beside and above panels, in points."""
CARETUP, CARETDOWN = 6, 7
"""Markers of matplotlib: arrow heads whose tips stand at their points."""
FIT_LINES: tuple[Dash, ...] = ("-", "--", "-.", ":")
"""Dashes of fitted lines, by which families differ where colours cannot be told apart."""
RING = 1.9
"""Width of a ring, relative to its marker."""


def draw_values(
    ax: Axes,
    marks: Sequence[Mark],
    styles: Mapping[str, SeriesStyle],
    line: Mapping[str, Any],
    ends: tuple[float, float],
) -> None:
    """Draw points with their intervals; for models without a size, lines with bands.

    Args:
        ax: The panel.
        marks: The marks of the panel.
        styles: The style of every series.
        line: The style of the line that joins the points of a series.
        ends: The limits of the y axis; intervals that leave them end in an arrow.
    """
    lines: dict[tuple[str, str | None, str | None], list[Mark]] = defaultdict(list)
    for mark in marks:
        if mark.y is not None:
            # A series without sizes is one line per model; the others run through their models.
            alone = mark.point.model if mark.x is None else None
            lines[mark.series, mark.condition, alone].append(mark)
    shifts = bar_shifts(marks)
    for (series, _, _), members in lines.items():
        if members[0].x is None:
            _draw_level(ax, members[0], styles[series])
        else:
            _draw_series(ax, members, styles[series], line)
            _draw_bars(ax, members, styles[series], shifts, ends)


def _draw_level(ax: Axes, mark: Mark, style: SeriesStyle) -> None:
    value = mark.y
    if value is None:
        return
    ax.axhspan(value.low, value.high, color=style.colour, alpha=0.10, linewidth=0, zorder=1)
    dash = CONDITION_LINES[mark.condition] if mark.condition else style.dash
    line = ax.axhline(value.value, color=style.colour, linestyle=dash, linewidth=1, zorder=2)
    attach_tooltip(line, mark.tooltip)


def _draw_series(
    ax: Axes, members: Sequence[Mark], style: SeriesStyle, line: Mapping[str, Any]
) -> None:
    transform = shifted(ax, style.shift)
    members = sorted(members, key=lambda mark: (mark.weight, mark.x.value if mark.x else 0))
    placed = [(mark, mark.x, mark.y) for mark in members if mark.x and mark.y]
    dash = CONDITION_LINES[members[0].condition] if members[0].condition else "-"
    joint = {"color": style.colour, "linestyle": dash, "transform": transform, "zorder": 4, **line}
    ax.plot([x.value for _, x, _ in placed], [y.value for _, _, y in placed], **joint)
    # Each marker is a line of its own, so that it can have a tooltip of its own.
    for mark, at, value in placed:
        (marker,) = ax.plot(
            [at.value], [value.value], **marker_style(mark, style), transform=transform
        )
        marker.set(zorder=4, clip_on=False)  # a point at the edge is shown whole
        attach_tooltip(marker, mark.tooltip)
        if mark.estimated:
            ax.plot([at.value], [value.value], **ring_style(mark, style), transform=transform)


def _draw_bars(
    ax: Axes,
    members: Sequence[Mark],
    style: SeriesStyle,
    shifts: Mapping[tuple[str, float], float],
    ends: tuple[float, float],
) -> None:
    """Draw intervals of x and y, with an arrow where one leaves the panel below or above."""
    for mark in members:
        x, y = mark.x, mark.y
        if x is None or y is None:
            continue
        place = shifted(ax, style.shift + shifts.get((mark.series, x.value), 0.0))
        bar: dict[str, Any] = {"color": style.colour, "transform": place, "zorder": 3}
        ax.vlines([x.value], [y.low], [y.high], linewidth=0.9, **bar)
        if x.high > x.low:
            ax.hlines([y.value], [x.low], [x.high], linewidth=0.9, **bar)
        leaves = {CARETDOWN: y.low < ends[0], CARETUP: y.high > ends[1]}
        for end, arrow in zip(ends, leaves, strict=True):
            if leaves[arrow]:
                head: dict[str, Any] = {
                    "marker": arrow,
                    "markersize": 4,
                    "markeredgewidth": 0,
                    "clip_on": False,
                }
                ax.plot([x.value], [end], **head, **bar)


def marker_style(mark: Mark, style: SeriesStyle) -> dict[str, Any]:
    """Return colour, shape, size and filling of a marker."""
    import matplotlib as mpl

    return {
        "color": style.colour,
        "marker": style.marker,
        "linestyle": "none",
        "markersize": mpl.rcParams["lines.markersize"] * (0.7 + 0.6 * mark.weight),
        "markerfacecolor": "white" if mark.hollow else style.colour,
        "markerfacecoloralt": "white",
        "fillstyle": "left" if mark.flagged else "full",
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
            ax.text(end, (1 - gap) * end, text, va="center", fontsize=NOTE, color=GREY)


def fit_line(series: str, styles: Mapping[str, SeriesStyle]) -> Dash:
    """Return the dashes of the fitted line of a series."""
    return FIT_LINES[list(styles).index(series) % len(FIT_LINES)]


def draw_fits(
    ax: Axes, fits: Sequence[GapFit], styles: Mapping[str, SeriesStyle], *, by_shots: bool
) -> None:
    """Draw each family's line, its band, and the lighter band of new models.

    Args:
        ax: The panel.
        fits: The fits of the panel.
        styles: The style of every series.
        by_shots: Panels are split by shots, so that a series is a whole family.
    """
    for fit in fits:
        if not fit.band:
            continue
        series = series_name(fit.family, None if by_shots else fit.shots)
        colour = styles[series].colour
        x = [point.scale for point in fit.band]
        bands = (
            (0.17, [(point.gap.low, point.gap.high) for point in fit.band]),
            (0.09, [point.new_model for point in fit.band]),
        )
        for alpha, ends in bands:
            low, high = zip(*ends, strict=True)
            band = ax.fill_between(x, low, high, color=colour, alpha=alpha)
            band.set(linewidth=0, zorder=1)
        line = [point.gap.value for point in fit.band]
        dash = fit_line(series, styles)
        ax.plot(x, line, color=colour, linewidth=1.1, linestyle=dash, zorder=2)


def shifted(ax: Axes, points: float) -> Transform:
    """Return data coordinates, moved sideways by a number of points on any scale."""
    return offset(ax, ax.transData, points / 72, 0)

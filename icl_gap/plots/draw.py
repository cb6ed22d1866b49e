"""Drawing one panel."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from icl_gap.analysis import GapFit
from icl_gap.plots.content import Mark, series_name
from icl_gap.plots.look import GREY, LINES, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

UNRESOLVED = "unresolved: A_id not told from 0"
# In inches.
STRIP_LINE = 0.1
MARKER_ROOM = 0.2


def draw_values(ax: Axes, marks: Sequence[Mark], look: Mapping[str, Look], *, joined: bool) -> None:
    """Points with their intervals; horizontal lines with bands for models without a size.

    Args:
        ax: Where to draw.
        marks: The panel's.
        look: Of every series.
        joined: Whether to join the points of a series.
    """
    lines: dict[tuple[str, str | None, str | None], list[Mark]] = defaultdict(list)
    for mark in marks:
        if mark.y is not None:
            # A series without sizes is one line per model; the others run through their models.
            lines[mark.series, mark.condition, mark.model if mark.x is None else None].append(mark)
    for (series, condition, _), members in lines.items():
        if members[0].x is None:
            _draw_level(ax, members[0], look[series])
        else:
            _draw_series(ax, members, look[series], condition, joined=joined)


def _draw_level(ax: Axes, mark: Mark, look: Look) -> None:
    value = mark.y
    if value is None:
        return
    ax.axhspan(value.low, value.high, color=look.colour, alpha=0.10, linewidth=0, zorder=1)
    style = LINES[mark.condition] if mark.condition else look.dash
    ax.axhline(value.value, color=look.colour, linestyle=style, linewidth=1, zorder=2)


def _draw_series(
    ax: Axes, members: list[Mark], look: Look, condition: str | None, *, joined: bool
) -> None:
    members = sorted(members, key=lambda mark: mark.x or 0)
    values = [mark.y for mark in members if mark.y]
    x = [mark.x for mark in members if mark.x is not None]
    transform = _shifted(ax, look)
    ax.vlines(
        x,
        [v.low for v in values],
        [v.high for v in values],
        color=look.colour,
        linewidth=0.9,
        transform=transform,
        zorder=3,
    )
    line = LINES[condition] if condition else "-"
    ax.plot(
        x,
        [v.value for v in values],
        color=look.colour,
        marker=look.marker,
        linestyle=line if joined else "none",
        markerfacecolor="white" if condition == "OOD" else look.colour,
        transform=transform,
        zorder=4,
    )


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
        x = [point.n_params for point in fit.band]
        low, high = [p.low for p in fit.band], [p.high for p in fit.band]
        place = _shifted(ax, style)
        band = ax.fill_between(x, low, high, color=style.colour, alpha=0.13, transform=place)
        band.set(linewidth=0, zorder=1)
        line = [point.gap for point in fit.band]
        ax.plot(x, line, color=style.colour, linewidth=1, transform=place, zorder=2)


def strip_height(marks: Sequence[Mark], width: float) -> float:
    """How high the strip below a panel must be, in inches; 0 if no gap is unresolved.

    Args:
        marks: The panel's.
        width: Its width, in inches.
    """
    if all(mark.y for mark in marks):
        return 0.0
    room = MARKER_ROOM if any(mark.y is None and mark.x is not None for mark in marks) else 0.0
    return STRIP_LINE * len(_unresolved_text(marks, width)) + room + 0.06


def _unresolved_text(marks: Sequence[Mark], width: float) -> list[str]:
    """What stands in the strip; models without a size have no marker, so they are named."""
    unresolved = [mark for mark in marks if mark.y is None]
    if not unresolved:
        return ["unresolved: none"]
    sizeless = sorted({mark.model for mark in unresolved if mark.x is None})
    also = f" (also {', '.join(sizeless)})" if sizeless else ""
    return textwrap.wrap(UNRESOLVED + also, int(width / 0.046))


def draw_unresolved(
    ax: Axes, marks: Sequence[Mark], look: Mapping[str, Look], width: float
) -> None:
    """The strip below a panel: one hollow marker for each gap that is unresolved.

    Args:
        ax: The strip.
        marks: The panel's.
        look: Of every series.
        width: Of the panel, in inches.
    """
    height = ax.bbox.height / ax.bbox.width * width
    ax.set(ylim=(0, height), yticks=[])
    ax.set_facecolor("0.965")
    ax.spines["left"].set_visible(False)
    ax.text(
        0.02,
        height - 0.025,
        "\n".join(_unresolved_text(marks, width)),
        transform=ax.get_yaxis_transform(),
        va="top",
        fontsize=5.5,
        color=GREY,
    )
    placed = [(mark.x, mark.series) for mark in marks if mark.y is None and mark.x is not None]
    levels = list(dict.fromkeys(series for _, series in placed))
    for x, series in placed:
        style = look[series]
        # Series stand at heights of their own, so that close sizes do not hide each other.
        level = (levels.index(series) + 0.5) / len(levels)
        ax.plot(
            [x],
            [0.03 + MARKER_ROOM * (1 - level)],
            color=style.colour,
            marker=style.marker,
            markerfacecolor="white",
            linestyle="none",
            transform=_shifted(ax, style),
        )


def _shifted(ax: Axes, look: Look) -> Transform:
    """Data coordinates, moved sideways by a fixed length whatever the axis' scale."""
    from matplotlib.transforms import ScaledTranslation

    figure = ax.get_figure(root=True)
    if figure is None:
        return ax.transData
    return ax.transData + ScaledTranslation(look.shift / 72, 0, figure.dpi_scale_trans)

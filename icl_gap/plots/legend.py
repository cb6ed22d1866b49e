"""The legend, below the panels."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from icl_gap.plots.content import Mark
from icl_gap.plots.series_style import GREY, LINES, Look

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

BESIDE = 0.4
"""Inches by which a legend may be wider than the panels, which have labels beside them."""


def draw_legend(
    figure: Figure, marks: Sequence[Mark], look: Mapping[str, Look], caption: str, top: float
) -> None:
    """Draw the legend in as many columns as fit the figure's width.

    Args:
        figure: Where to draw.
        marks: All of the figure's.
        look: Of every series.
        caption: Its title.
        top: Where it starts, in the figure's own coordinates.
    """
    handles = _handles(marks, look)
    width = figure.get_size_inches()[0]
    title = "\n".join(textwrap.wrap(caption, max(30, int((width + BESIDE) / 0.055))))
    for columns in range(min(len(handles), 8), 0, -1):
        legend = _legend(figure, handles, title, top, columns)
        if columns == 1 or legend.get_window_extent().width <= (width + BESIDE) * figure.dpi:
            return
        legend.remove()


def _legend(
    figure: Figure, handles: Mapping[str, Line2D], title: str, top: float, columns: int
) -> Legend:
    legend: Legend = figure.legend(
        list(handles.values()),
        list(handles),
        title=title,
        loc="upper center",
        bbox_to_anchor=(0.5, top),
        ncols=columns,
        borderaxespad=0,
        handlelength=2.2,
        handletextpad=0.5,
        columnspacing=1.2,
    )
    legend.get_title().set_multialignment("center")
    return legend


def _handles(marks: Sequence[Mark], look: Mapping[str, Look]) -> dict[str, Line2D]:
    from matplotlib.lines import Line2D

    handles = {}
    for mark in marks:
        style = look[mark.series]
        if mark.x is None and mark.y is None:
            continue  # only a strip names it
        if mark.x is None:
            handles[mark.series] = Line2D([], [], color=style.colour, linestyle=style.dash)
        else:
            handles[mark.series] = Line2D(
                [], [], color=style.colour, marker=style.marker, linestyle="none"
            )
    if any(mark.point.gap is None and mark.y and not mark.condition for mark in marks):
        handles["gap unresolved"] = Line2D(
            [], [], color=GREY, marker="o", linestyle="none", markerfacecolor="white"
        )
    if any(mark.estimated for mark in marks):
        handles["size estimated"] = Line2D(
            [], [], color=GREY, marker="o", linestyle="none", markerfacecolor="none", markersize=8
        )
    if any(mark.condition for mark in marks):
        for condition, line in LINES.items():
            face = "white" if condition == "OOD" else GREY
            handles[condition] = Line2D(
                [], [], color=GREY, linestyle=line, marker="o", markerfacecolor=face
            )
    return handles

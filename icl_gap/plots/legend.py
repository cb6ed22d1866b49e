"""The legend below the panels."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from icl_gap.plots.content import Mark
from icl_gap.plots.series_style import CONDITION_LINES, GREY, SeriesStyle

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

LETTER = 0.055
"""About the width of a letter in inches."""


def draw_legend(
    figure: Figure, marks: Sequence[Mark], styles: Mapping[str, SeriesStyle], caption: str
) -> None:
    """Draw the legend in as many columns as fit the width of the figure.

    Args:
        figure: The figure.
        marks: All marks of the figure.
        styles: The style of every series.
        caption: The title of the legend.
    """
    handles = _handles(marks, styles)
    width = figure.get_size_inches()[0]
    letters = max(30, int(width / LETTER))
    title = "\n".join(textwrap.wrap(caption, letters, break_on_hyphens=False))
    for columns in range(min(len(handles), 8), 0, -1):
        legend = _legend(figure, handles, title, columns)
        if columns == 1 or legend.get_window_extent().width <= width * figure.dpi:
            return
        legend.remove()


def _legend(figure: Figure, handles: Mapping[str, Line2D], title: str, columns: int) -> Legend:
    legend: Legend = figure.legend(
        list(handles.values()),
        list(handles),
        title=title,
        loc="outside lower center",
        ncols=columns,
        borderaxespad=0,
        handlelength=2.2,
        handletextpad=0.5,
        columnspacing=1.2,
    )
    legend.get_title().set_multialignment("center")
    return legend


def _handles(marks: Sequence[Mark], styles: Mapping[str, SeriesStyle]) -> dict[str, Line2D]:
    from matplotlib.lines import Line2D

    handles = {}
    for mark in marks:
        style = styles[mark.series]
        if mark.x is None and mark.y is None:
            continue  # only the panel of unresolved gaps names it
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
        for condition, line in CONDITION_LINES.items():
            face = "white" if condition == "OOD" else GREY
            handles[condition] = Line2D(
                [], [], color=GREY, linestyle=line, marker="o", markerfacecolor=face
            )
    return handles

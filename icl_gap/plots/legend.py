"""The legend below the panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from icl_gap.plots.content import series_name
from icl_gap.plots.draw import fit_line
from icl_gap.plots.plan import FigurePlan
from icl_gap.plots.series_style import CONDITION_LINES, GREY
from icl_gap.plots.typesetting import typeset, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D

MARGIN = 0.2
"""Inches that stay free beside a legend, left and right together."""


def draw_legend(figure: Figure, plan: FigurePlan, caption: str) -> None:
    """Draw the legend in as many columns as fit the width of the figure.

    Args:
        figure: The figure.
        plan: What is drawn in it.
        caption: The text above the legend; may be empty.
    """
    handles = _handles(plan)
    width = figure.get_size_inches()[0]
    for columns in range(min(len(handles), 8), 0, -1):
        legend = _legend(figure, handles, caption, columns)
        if columns == 1 or legend.get_window_extent().width <= (width - MARGIN) * figure.dpi:
            return
        legend.remove()


def _legend(figure: Figure, handles: Mapping[str, Line2D], caption: str, columns: int) -> Legend:
    legend: Legend = figure.legend(
        list(handles.values()),
        list(handles),
        title=caption or None,
        loc="outside lower center",
        ncols=columns,
        borderaxespad=0,
        handlelength=2.2,
        handletextpad=0.5,
        columnspacing=1.2,
    )
    title = legend.get_title()
    title.set_multialignment("center")
    room = max(2.2, figure.get_size_inches()[0] - 2 * MARGIN)
    title.set_text(wrapped(caption, room, float(title.get_fontsize())))
    typeset(title)
    return legend


def _handles(plan: FigurePlan) -> dict[str, Line2D]:
    from matplotlib.lines import Line2D

    marks, styles, handles = plan.marks, plan.styles, {}
    by_shots = "shots" in plan.recipe.panels
    fitted = {series_name(fit.family, None if by_shots else fit.shots) for fit in plan.fits}
    for mark in marks:
        style = styles[mark.series]
        if mark.x is None and mark.y is None:
            continue  # only the panel of unresolved gaps names it
        if mark.x is None:
            handles[mark.series] = Line2D([], [], color=style.colour, linestyle=style.dash)
        else:
            line = fit_line(mark.series, styles) if mark.series in fitted else "none"
            handles[mark.series] = Line2D(
                [], [], color=style.colour, marker=style.marker, linestyle=line, linewidth=1.1
            )
    if any(mark.point.gap is None and mark.y and not mark.condition for mark in marks):
        handles["gap unresolved"] = Line2D(
            [], [], color=GREY, marker="o", linestyle="none", markerfacecolor="white"
        )
    if any(mark.flagged for mark in marks):
        handles["sides differ"] = Line2D(
            [],
            [],
            color=GREY,
            marker="o",
            linestyle="none",
            fillstyle="left",
            markerfacecoloralt="white",
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

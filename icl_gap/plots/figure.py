"""A whole figure: panels in rows and columns, panels of unresolved gaps below them, a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from icl_gap.analysis import Analysis, Estimate
from icl_gap.plots.axes import NAMES_LABEL, Y_AXES, Scale, limits, set_names, set_x, set_y
from icl_gap.plots.captions import curve_caption, panel_notes
from icl_gap.plots.content import Panel, select_points
from icl_gap.plots.draw import NOTE, draw_fits, draw_iso_gaps, draw_values
from icl_gap.plots.heatmap import draw_heatmap, heatmap_caption
from icl_gap.plots.layout import SPARE, laid_out_size, new_figure, offset, resize
from icl_gap.plots.legend import draw_legend
from icl_gap.plots.plan import AROUND, COLUMN_GAP, GUIDE_ROOM, FigurePlan, make_plan
from icl_gap.plots.recipe import FigureRecipe, HeatmapRecipe
from icl_gap.plots.series_style import GREY, shifted_at_names
from icl_gap.plots.typesetting import plain_text, wrapped
from icl_gap.plots.unresolved import draw_unresolved
from icl_gap.schema import FigureForm
from icl_gap.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAINT = {"linewidth": 0.7, "alpha": 0.45}
LINE_STYLES: Mapping[tuple[Scale, Scale], Mapping[str, Any]] = MappingProxyType(
    {
        # Fitted lines are drawn there; and between two accuracies, a line only guides the eye.
        ("size", "gap"): {"linestyle": "none"},
        ("size", "smooth"): {"linestyle": "none"},
        ("share", "share"): _FAINT,
        ("share", "gap"): _FAINT,
    }
)
"""Style of the lines that join the points of a series, by the scales of x and y; else a plain
line."""
# In inches.
ROW_GAP = 0.08
NOTE_LINE = 0.125


def build(
    analysis: Analysis, recipe: FigureRecipe, colours: Sequence[str], form: FigureForm = "web"
) -> Figure:
    """Draw a figure.

    Args:
        analysis: The numbers.
        recipe: What to draw of them.
        colours: The colours of series, used in turn.
        form: The form of the figure; only that for the web has the caption in it.

    Raises:
        AnalysisError: The analysis holds nothing that the recipe draws.
    """
    analysis = _printable(analysis)
    if isinstance(recipe, HeatmapRecipe):
        points, axis = select_points(analysis, recipe), Y_AXES[recipe.y]
        return draw_heatmap(points, axis, axis.label_for(analysis.metric), recipe, form)
    return _draw(make_plan(analysis, recipe, colours, form))


def caption_of(analysis: Analysis, recipe: FigureRecipe) -> str:
    """Return the caption of a figure as plain text.

    Raises:
        AnalysisError: The analysis holds nothing that the recipe draws.
    """
    analysis = _printable(analysis)
    if isinstance(recipe, HeatmapRecipe):
        caption = heatmap_caption(select_points(analysis, recipe), Y_AXES[recipe.y])
    else:
        caption = curve_caption(make_plan(analysis, recipe, ["black"], "print"))
    return f"{plain_text(caption)}."


def _printable(analysis: Analysis) -> Analysis:
    """Return the analysis with names that a figure can show."""
    points = (
        replace(point, model=printable(point.model), family=printable(point.family))
        for point in analysis.points
    )
    fits = (replace(fit, family=printable(fit.family)) for fit in analysis.fits)
    order = tuple(map(printable, analysis.model_order))
    return replace(analysis, points=tuple(points), fits=tuple(fits), model_order=order)


def _draw(plan: FigurePlan) -> Figure:
    (width, height), columns = plan.size, len(plan.rows[0])
    heights, row_of = _grid(plan)
    about = columns * (width + COLUMN_GAP) + AROUND + (GUIDE_ROOM if plan.guided else 0)
    figure = new_figure(plan.page or about, sum(heights) + SPARE)
    grid = figure.add_gridspec(len(heights), columns, height_ratios=heights)
    for r, row in enumerate(row_of):
        for c in range(columns):
            ax = figure.add_subplot(grid[row, c])
            below = figure.add_subplot(grid[row + 1, c]) if plan.unresolved(r) else None
            _draw_panel(ax, below, plan, (r, c))
    if plan.recipe.title is not None:
        figure.suptitle(plan.recipe.title)
    draw_legend(figure, plan, curve_caption(plan) if plan.form == "web" else "")
    first = figure.axes[0]
    if plan.page is not None:
        width = min(laid_out_size(figure, first)[0], plan.widest)
    size = width, width if plan.equal else height
    resize(figure, first, size, (columns * width, sum(heights) * size[1] / height), plan.page)
    for ax in figure.axes if plan.equal else []:
        ax.set_box_aspect(1)  # square to the last digit
    return figure


def _grid(plan: FigurePlan) -> tuple[list[float], list[int]]:
    """Return the heights in inches of the grid's rows, and which of them hold panels."""
    heights: list[float] = []
    row_of = []
    for row in range(len(plan.rows)):
        heights += [ROW_GAP] if row else []
        row_of.append(len(heights))
        below = plan.unresolved(row)
        heights += [plan.size[1], below] if below else [plan.size[1]]
    return heights, row_of


def _draw_panel(ax: Axes, below: Axes | None, plan: FigurePlan, place: tuple[int, int]) -> None:
    """Draw a panel, and the panel of its unresolved gaps if its row has any."""
    (r, c), (x, y) = place, plan.limits()
    panel, last_column = plan.rows[r][c], c == len(plan.rows[r]) - 1
    line = (
        {"linestyle": "none"} if panel.names else LINE_STYLES.get((plan.x.scale, plan.y.scale), {})
    )
    styles = shifted_at_names(plan.styles, panel.marks) if panel.names else plan.styles
    ends = limits(y, plan.y.scale)
    draw_values(ax, panel.marks, styles, line, ends)
    if plan.fitted:
        draw_fits(ax, panel.fits, plan.styles, by_shots="shots" in plan.recipe.panels)
    _set_x(ax, plan, panel, x)
    set_y(ax, ends, plan.size[1])
    if plan.y.scale != "share":
        ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    if plan.guided:
        ax.set_yticks(ax.get_xticks())
        ax.set_ylim(ax.get_xlim())
        ax.grid(visible=False)
        draw_iso_gaps(ax, labelled=last_column)
    if not any(mark.y for mark in panel.marks):
        text = plan.y.empty if panel.marks else "no results"
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)
    if below is not None:
        _draw_below(ax, below, plan, panel, (plan.size[0], plan.unresolved(r)))
        _set_x(below, plan, panel, x)
    _label(ax, below or ax, plan, place)


def _draw_below(
    ax: Axes, below: Axes, plan: FigurePlan, panel: Panel, size: tuple[float, float]
) -> None:
    """Draw the panel of unresolved gaps, which has the tick labels of both."""
    styles = shifted_at_names(plan.styles, panel.marks) if panel.names else plan.styles
    drawn = draw_unresolved(below, panel.marks, styles, size, plan.y.missing)
    ax.tick_params(labelbottom=False, bottom=not drawn)
    ax.spines["bottom"].set_visible(not drawn)
    below.tick_params(bottom=drawn)
    below.spines["bottom"].set_visible(drawn)


def _set_x(ax: Axes, plan: FigurePlan, panel: Panel, x: Sequence[Estimate]) -> None:
    """Set the x axis of a panel, of numbers or of names."""
    if panel.names:
        set_names(ax, panel.names, plan.size[0])
    else:
        set_x(ax, x, plan.x.scale, plan.size[0])


def _label(ax: Axes, bottom: Axes, plan: FigurePlan, place: tuple[int, int]) -> None:
    """Add titles to the first row, row names on the right, and labels to the outer axes."""
    r, c = place
    panel, metric = plan.rows[r][c], plan.analysis.metric
    lines = [
        line
        for note in panel_notes(plan, panel, first=r == 0)
        for line in wrapped(note, plan.size[0] + COLUMN_GAP, NOTE).split("\n")
    ]
    note = ax.text(0.5, 1, "\n".join(lines), transform=offset(ax, ax.transAxes, 0, 0.03))
    note.set(ha="center", va="bottom", fontsize=NOTE)
    if r == 0:
        title = wrapped(panel.column, plan.size[0] + COLUMN_GAP, float(ax.title.get_fontsize()))
        ax.set_title(title, pad=4 + 72 * NOTE_LINE * len(lines))
    if panel.row is not None and c == len(plan.rows[0]) - 1:
        beside = offset(ax, ax.transAxes, GUIDE_ROOM if plan.guided else 0.05, 0)
        name = wrapped(panel.row, plan.size[1], float(ax.xaxis.label.get_fontsize()))
        text = ax.text(1, 0.5, name, transform=beside, rotation=270, ha="left", va="center")
        text.set_fontsize(ax.xaxis.label.get_fontsize())
    if c == 0:
        ax.set_ylabel(f"{plan.y.label_for(metric)}{' (contains x)' if plan.y_has_x else ''}")
    else:
        ax.tick_params(labelleft=False)
    if r == len(plan.rows) - 1:
        bottom.set_xlabel(NAMES_LABEL if panel.names else plan.x.label_for(metric))
    else:
        bottom.tick_params(labelbottom=False)

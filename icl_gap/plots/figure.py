"""A whole figure: panels in rows and columns, panels of unresolved gaps below them, a legend."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from icl_gap.analysis import Analysis, Estimate, GapFit
from icl_gap.analysis.conclusion import conclude
from icl_gap.plots.axes import (
    NAMES_LABEL,
    QUERY_CAPTIONS,
    X_AXES,
    Y_AXES,
    Axis,
    Scale,
    limits,
    set_names,
    set_x,
)
from icl_gap.plots.content import (
    Mark,
    Panel,
    make_marks,
    make_panels,
    partial_notes,
    resolve_query_split,
    select_points,
)
from icl_gap.plots.draw import ISO_GAPS, draw_fits, draw_iso_gaps, draw_values
from icl_gap.plots.heatmap import draw_heatmap
from icl_gap.plots.layout import SPARE, laid_out_size, new_figure, offset, resize
from icl_gap.plots.legend import draw_legend
from icl_gap.plots.recipe import CurveRecipe, FigureRecipe, HeatmapRecipe
from icl_gap.plots.series_style import GREY, SeriesStyle, series_styles, unshifted
from icl_gap.plots.unresolved import draw_unresolved, unresolved_height
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
# All in inches.
AROUND = 0.6
"""About what labels take beside the panels."""
GUIDE_ROOM = 0.28
COLUMN_GAP = 0.2
ROW_GAP = 0.13
TITLE_LINE = 0.11
NARROWEST = 1.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """The data and properties that the panels of a figure share."""

    recipe: CurveRecipe
    analysis: Analysis
    rows: list[list[Panel]]
    marks: list[Mark]
    styles: dict[str, SeriesStyle]

    @property
    def x(self) -> Axis:
        """The x axis."""
        return X_AXES[self.recipe.x]

    @property
    def y(self) -> Axis:
        """The y axis."""
        return Y_AXES[self.recipe.y]

    @property
    def equal(self) -> bool:
        """Both axes have the same scale, so panels are square."""
        return self.x.scale == self.y.scale

    @property
    def page(self) -> float | None:
        """The first width of the recipe's `page` that leaves its panels wide enough."""
        return next((page for page in self.recipe.page if self._share(page) >= NARROWEST), None)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of a panel in inches; the width is an estimate if a page limits it."""
        width, height = self.recipe.panel_size
        if self.page is not None:
            width = min(width, self._share(self.page))
        elif self.recipe.page:
            width = min(width, NARROWEST)
        return width, width if self.equal else height

    def _share(self, page: float) -> float:
        """About the width that a panel gets on a page."""
        around = AROUND + (GUIDE_ROOM if self.guided else 0)
        return (page - around) / len(self.rows[0]) - COLUMN_GAP

    @property
    def fitted(self) -> bool:
        """The figure's axes are those of the fits."""
        return (self.recipe.x, self.recipe.y) == (self.analysis.against, "gap")

    @property
    def guided(self) -> bool:
        """A constant gap is a straight line through the origin."""
        return (self.recipe.x, self.recipe.y) == ("a_id", "a_ood")

    @property
    def fits(self) -> list[GapFit]:
        """The fits that are drawn."""
        fits = [fit for row in self.rows for panel in row for fit in panel.fits if fit.band]
        return fits if self.fitted else []

    def limits(self) -> tuple[list[Estimate], list[Estimate]]:
        """Return the numbers that the x axis and the y axis must hold."""
        x = [mark.x for mark in self.marks if mark.x and not mark.named]
        y = [mark.y for mark in self.marks if mark.y]
        y += [p.gap for fit in self.fits for p in fit.band]
        return (x + y, x + y) if self.equal else (x, y)

    def unresolved(self, row: int) -> float:
        """Return the height in inches of a row's unresolved panels; 0 where there are none."""
        width = self.size[0]
        return max(unresolved_height(p.marks, width, self.y.missing) for p in self.rows[row])


def build(analysis: Analysis, recipe: FigureRecipe, colours: Sequence[str]) -> Figure:
    """Draw a figure.

    Args:
        analysis: The numbers.
        recipe: What to draw of them.
        colours: The colours of series, used in turn.

    Raises:
        AnalysisError: The analysis holds nothing that the recipe draws.
    """
    analysis = _printable(analysis)
    if isinstance(recipe, HeatmapRecipe):
        points, axis = select_points(analysis, recipe), Y_AXES[recipe.y]
        return draw_heatmap(points, axis, axis.label_for(analysis.metric), recipe)
    split = resolve_query_split(recipe, analysis)
    recipe = recipe.model_copy(update={"query_split": split})
    points = select_points(analysis, recipe)
    marks = make_marks(points, recipe, analysis.metric, analysis.model_order)
    rows = make_panels(marks, analysis, recipe)
    each = [panel.marks for row in rows for panel in row]
    styles = series_styles(marks, each, colours, spread=X_AXES[recipe.x].scale != "share")
    return _draw(_Plan(recipe, analysis, rows, marks, styles))


def _printable(analysis: Analysis) -> Analysis:
    """Return the analysis with names that a figure can show."""
    points = (
        replace(point, model=printable(point.model), family=printable(point.family))
        for point in analysis.points
    )
    fits = (replace(fit, family=printable(fit.family)) for fit in analysis.fits)
    order = tuple(map(printable, analysis.model_order))
    return replace(analysis, points=tuple(points), fits=tuple(fits), model_order=order)


def _draw(plan: _Plan) -> Figure:
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
    draw_legend(figure, plan.marks, plan.styles, _caption(plan))
    first = figure.axes[0]
    if plan.page is not None:
        width = min(laid_out_size(figure, first)[0], plan.recipe.panel_size[0])
    size = width, width if plan.equal else height
    resize(figure, first, size, (columns * width, sum(heights) * size[1] / height), plan.page)
    for ax in figure.axes if plan.equal else []:
        ax.set_box_aspect(1)  # square to the last digit
    return figure


def _grid(plan: _Plan) -> tuple[list[float], list[int]]:
    """Return the heights in inches of the grid's rows, and which of them hold panels."""
    heights: list[float] = []
    row_of = []
    for row in range(len(plan.rows)):
        heights += [ROW_GAP] if row else []
        row_of.append(len(heights))
        below = plan.unresolved(row)
        heights += [plan.size[1], below] if below else [plan.size[1]]
    return heights, row_of


def _draw_panel(ax: Axes, below: Axes | None, plan: _Plan, place: tuple[int, int]) -> None:
    """Draw a panel, and the panel of its unresolved gaps if its row has any."""
    (r, c), (x, y) = place, plan.limits()
    panel, last_column = plan.rows[r][c], c == len(plan.rows[r]) - 1
    line = (
        {"linestyle": "none"} if panel.names else LINE_STYLES.get((plan.x.scale, plan.y.scale), {})
    )
    styles = unshifted(plan.styles, panel.marks) if panel.names else plan.styles
    draw_values(ax, panel.marks, styles, line)
    if plan.fitted:
        draw_fits(ax, panel.fits, plan.styles, by_shots="shots" in plan.recipe.panels)
    _set_x(ax, plan, panel, x)
    ax.set_ylim(limits(y, plan.y.scale))
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
        height = plan.unresolved(r)
        draw_unresolved(below, panel.marks, styles, (plan.size[0], height), plan.y.missing)
        _set_x(below, plan, panel, x)
        ax.tick_params(labelbottom=False, bottom=False)
        ax.spines["bottom"].set_visible(False)
    _label(ax, below or ax, plan, place)


def _set_x(ax: Axes, plan: _Plan, panel: Panel, x: Sequence[Estimate]) -> None:
    """Set the x axis of a panel, of numbers or of names."""
    if panel.names:
        set_names(ax, panel.names, plan.size[0])
    else:
        set_x(ax, x, plan.x.scale, plan.size[0])


def _label(ax: Axes, bottom: Axes, plan: _Plan, place: tuple[int, int]) -> None:
    """Add titles to the first row, row names on the right, and labels to the outer axes."""
    r, c = place
    panel, metric = plan.rows[r][c], plan.analysis.metric
    if r == 0:
        notes = _partial_lines(panel, plan)
        ax.set_title(panel.column, pad=4 + 72 * TITLE_LINE * len(notes))
        note = ax.text(0.5, 1, "\n".join(notes), transform=offset(ax, ax.transAxes, 0, 0.03))
        note.set(ha="center", va="bottom", fontsize=6)
    if panel.row is not None and c == len(plan.rows[0]) - 1:
        beside = offset(ax, ax.transAxes, GUIDE_ROOM if plan.guided else 0.05, 0)
        ax.text(1, 0.5, panel.row, transform=beside, rotation=270, ha="left", va="center")
    if c == 0:
        ax.set_ylabel(plan.y.label_for(metric))
    else:
        ax.tick_params(labelleft=False)
    if r == len(plan.rows) - 1:
        bottom.set_xlabel(NAMES_LABEL if panel.names else plan.x.label_for(metric))
    else:
        bottom.tick_params(labelbottom=False)


def _partial_lines(panel: Panel, plan: _Plan) -> list[str]:
    """Name the parts of published splits that a column of panels was made from, in lines."""
    column = (each for row in plan.rows for each in row if each.column == panel.column)
    notes = partial_notes([mark.point for each in column for mark in each.marks])
    width = int(plan.size[0] / 0.048)
    return [line for note in notes for line in textwrap.wrap(f"partial: {note}", width)]


def _caption(plan: _Plan) -> str:
    """Explain the marks, as the title of the legend."""
    ranges = {
        "bars": any(mark.x is not None and mark.y for mark in plan.marks),
        "bands": bool(plan.fits) or any(mark.x is None and mark.y for mark in plan.marks),
    }
    drawn = " and ".join(name for name, is_drawn in ranges.items() if is_drawn)
    parts = [
        *dict.fromkeys(axis.caption for axis in (plan.y, plan.x)),
        QUERY_CAPTIONS[plan.recipe.query_split],
        f"{drawn}: {plan.analysis.confidence:.0%} intervals" if drawn else "",
        f"lines: random-effects fit on log10({plan.x.label}); light bands: one new model"
        if plan.fits
        else "",
        "models of unknown size: by name, in the order of the sweep"
        if any(mark.named for mark in plan.marks)
        else "",
        "larger markers: more parameters" if len({m.weight for m in plan.marks}) > 1 else "",
        f"dotted: gaps of {', '.join(f'{gap:.0%}' for gap in ISO_GAPS)}" if plan.guided else "",
        conclude(plan.analysis).lead.rstrip(".") if plan.fits else "",
    ]
    return "; ".join(part for part in parts if part)

"""A whole figure: panels in rows and columns, strips for unresolved gaps, and a legend.

Panels are placed by hand, in inches, and the figure is cut to what was drawn when it is saved: so
panels have the size that the recipe says, and no label is ever cut off.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from icl_gap.analysis import Analysis, Estimate, GapFit
from icl_gap.plots.axes import QUERIES, X_AXES, Y_AXES, Axis, Scale, limits, set_x
from icl_gap.plots.content import (
    Mark,
    Panel,
    chosen,
    marks,
    panels,
    partial_parts,
    resolve_query_split,
)
from icl_gap.plots.draw import ISO_GAPS, draw_fits, draw_iso_gaps, draw_values
from icl_gap.plots.heatmap import draw_cells
from icl_gap.plots.legend import draw_legend
from icl_gap.plots.recipe import CurveRecipe, FigureRecipe, HeatmapRecipe
from icl_gap.plots.series_style import GREY, Look, blank, looks
from icl_gap.plots.unresolved import draw_strip, strip_height
from icl_gap.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FAINT = {"linewidth": 0.7, "alpha": 0.45}
JOINTS: Mapping[tuple[Scale, Scale], Mapping[str, Any]] = MappingProxyType(
    {
        # Fitted lines stand there; and between two accuracies, a line only leads the eye.
        ("size", "gap"): {"linestyle": "none"},
        ("size", "smooth"): {"linestyle": "none"},
        ("share", "share"): _FAINT,
        ("share", "gap"): _FAINT,
    }
)
"""How the points of a series are joined, where not by a plain line."""
# All in inches.
STRIP_GAP = 0.04
COLUMN_GAP = 0.2
ROW_GAP = 0.2
LINE = 0.11
BELOW = 0.45
GUIDE_ROOM = 0.28
AROUND = 0.8
NARROWEST = 1.0


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that the panels of a figure have in common."""

    recipe: CurveRecipe
    analysis: Analysis
    rows: list[list[Panel]]
    marks: list[Mark]
    look: dict[str, Look]

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
        """Whether both axes are of one kind, and so equally long."""
        return self.x.scale == self.y.scale

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of a panel, in inches."""
        columns = len(self.rows[0])
        around = AROUND + (GUIDE_ROOM if self.guided else 0) - COLUMN_GAP
        shares = [(page - around) / columns - COLUMN_GAP for page in self.recipe.page]
        fits = next((share for share in shares if share >= NARROWEST), NARROWEST)
        width = min(self.recipe.panel_size[0], fits) if shares else self.recipe.panel_size[0]
        return width, width if self.equal else self.recipe.panel_size[1]

    @property
    def fitted(self) -> bool:
        """Whether the figure's axes are those of the fits."""
        return (self.recipe.x, self.recipe.y) == (self.analysis.against, "gap")

    @property
    def guided(self) -> bool:
        """Whether a gap is a straight line through the origin."""
        return (self.recipe.x, self.recipe.y) == ("a_id", "a_ood")

    @property
    def fits(self) -> list[GapFit]:
        """All that are drawn."""
        fits = [fit for row in self.rows for panel in row for fit in panel.fits if fit.band]
        return fits if self.fitted else []

    def limits(self) -> tuple[list[Estimate], list[Estimate]]:
        """The numbers that the x and the y axis must hold."""
        x = [mark.x for mark in self.marks if mark.x]
        y = [mark.y for mark in self.marks if mark.y]
        y += [p.gap for fit in self.fits for p in fit.band]
        return (x + y, x + y) if self.equal else (x, y)

    def strip(self, row: int) -> float:
        """Height of a row's strips for unresolved gaps; 0 where its gaps are all defined."""
        width = self.size[0]
        return max(strip_height(panel.marks, width, self.y.absent) for panel in self.rows[row])

    def below(self, row: int) -> float:
        """From the bottom of a row's panels to the bottom of the row."""
        return self.strip(row) + STRIP_GAP if self.strip(row) else 0.0

    def bottom(self, row: int) -> float:
        """From the bottom of the figure to that of a row's panels."""
        lower = range(row + 1, len(self.rows))
        step = self.size[1] + ROW_GAP
        return self.below(row) + sum(step + self.below(each) for each in lower)


def build(analysis: Analysis, recipe: FigureRecipe, colours: Sequence[str]) -> Figure:
    """Draw a figure.

    Args:
        analysis: What to draw.
        recipe: How.
        colours: To be used in turn.

    Raises:
        AnalysisError: The analysis holds nothing that the recipe draws.
    """
    analysis = _printable(analysis)
    if isinstance(recipe, HeatmapRecipe):
        return _heat_map(analysis, recipe)
    split = resolve_query_split(recipe, analysis)
    recipe = recipe.model_copy(update={"query_split": split})
    drawn = marks(chosen(analysis, recipe), recipe, analysis.metric)
    rows = panels(drawn, analysis, recipe)
    each = [panel.marks for row in rows for panel in row]
    look = looks(drawn, each, colours, spread=X_AXES[recipe.x].scale != "share")
    plan = _Plan(recipe, analysis, rows, drawn, look)
    figure = _figure(plan)
    for r, row in enumerate(plan.rows):
        for c in range(len(row)):
            _draw_panel(figure, plan, r, c)
    height = figure.get_size_inches()[1]
    draw_legend(figure, plan.marks, plan.look, _caption(plan), -BELOW / height)
    if recipe.title is not None:
        lines = max(len(_parts(panel, plan)) for panel in plan.rows[0])
        top = 1 + (lines * LINE + 0.3) / height
        figure.suptitle(recipe.title, y=top, va="bottom")
    return figure


def _printable(analysis: Analysis) -> Analysis:
    """The same, with names that a figure can show."""
    points = (
        replace(point, model=printable(point.model), family=printable(point.family))
        for point in analysis.points
    )
    fits = (replace(fit, family=printable(fit.family)) for fit in analysis.fits)
    return replace(analysis, points=tuple(points), fits=tuple(fits))


def _heat_map(analysis: Analysis, recipe: HeatmapRecipe) -> Figure:
    axis, points = Y_AXES[recipe.y], chosen(analysis, recipe)
    figure = draw_cells(points, axis, axis.label_for(analysis.metric), recipe.panel_size)
    if recipe.title is not None:
        figure.suptitle(recipe.title, y=1 + 0.1 / figure.get_size_inches()[1], va="bottom")
    return figure


def _figure(plan: _Plan) -> Figure:
    """As large as its panels; what stands around them lies outside until it is saved."""
    width, height = plan.size
    columns = len(plan.rows[0])
    size = (columns * (width + COLUMN_GAP) - COLUMN_GAP, plan.bottom(0) + height)
    return blank(size)


def _draw_panel(figure: Figure, plan: _Plan, r: int, c: int) -> None:
    panel, (x, y) = plan.rows[r][c], plan.limits()
    ax, strip = _axes(figure, plan, r, c)
    draw_values(ax, panel.marks, plan.look, JOINTS.get((plan.x.scale, plan.y.scale), {}))
    if plan.fitted:
        draw_fits(ax, panel.fits, plan.look, in_rows="shots" in plan.recipe.panels)
    set_x(ax, x, plan.x.scale)
    ax.set_ylim(limits(y, plan.y.scale))
    if plan.y.scale != "share":
        ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    if plan.guided:
        ax.set_yticks(ax.get_xticks())
        ax.set_ylim(ax.get_xlim())
        ax.grid(visible=False)
        draw_iso_gaps(ax, named=c == len(plan.rows[r]) - 1)
    if not any(mark.y for mark in panel.marks):
        text = plan.y.empty if panel.marks else "no results"
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)
    if strip is not None:
        draw_strip(strip, panel.marks, plan.look, plan.size[0], plan.y.absent)
        set_x(strip, x, plan.x.scale)
        ax.tick_params(labelbottom=False, bottom=False)
        ax.spines["bottom"].set_visible(False)
    _label(ax, strip or ax, plan, (r, c))


def _axes(figure: Figure, plan: _Plan, r: int, c: int) -> tuple[Axes, Axes | None]:
    """A panel's axes, and its strip's."""
    total_width, total_height = figure.get_size_inches()
    width, height = plan.size
    bottom = plan.bottom(r)
    x, w = c * (width + COLUMN_GAP) / total_width, width / total_width
    ax = figure.add_axes((x, bottom / total_height, w, height / total_height))
    if not plan.below(r):
        return ax, None
    y, h = (bottom - plan.below(r)) / total_height, plan.strip(r) / total_height
    return ax, figure.add_axes((x, y, w, h))


def _label(ax: Axes, bottom: Axes, plan: _Plan, cell: tuple[int, int]) -> None:
    """Titles on the first row, names of rows on the right, labels on the outer axes only."""
    r, c = cell
    panel = plan.rows[r][c]
    if r == 0:
        parts = _parts(panel, plan)
        ax.set_title(panel.column, pad=4 + 72 * LINE * len(parts))
        text = "\n".join(parts)
        ax.text(0.5, 1.015, text, transform=ax.transAxes, ha="center", va="bottom", fontsize=6)
    if panel.row is not None and c == len(plan.rows[0]) - 1:
        x = 1.03 + (GUIDE_ROOM / plan.size[0] if plan.guided else 0)
        ax.text(x, 0.5, panel.row, transform=ax.transAxes, rotation=270, ha="left", va="center")
    if c == 0:
        ax.set_ylabel(plan.y.label_for(plan.analysis.metric))
    else:
        ax.tick_params(labelleft=False)
    if r == len(plan.rows) - 1:
        bottom.set_xlabel(plan.x.label_for(plan.analysis.metric))
    else:
        bottom.tick_params(labelbottom=False)


def _parts(panel: Panel, plan: _Plan) -> list[str]:
    """Which part of the column's published split was used where it was not whole, in lines."""
    column = (each for row in plan.rows for each in row if each.column == panel.column)
    parts = partial_parts([mark.point for each in column for mark in each.marks])
    width = int(plan.size[0] / 0.048)
    return [line for part in parts for line in textwrap.wrap(f"partial: {part}", width)]


def _caption(plan: _Plan) -> str:
    """What the marks mean, for the legend's title."""
    ranges = {
        "bars": any(mark.x is not None and mark.y for mark in plan.marks),
        "bands": bool(plan.fits) or any(mark.x is None and mark.y for mark in plan.marks),
    }
    shown = " and ".join(name for name, is_drawn in ranges.items() if is_drawn)
    parts = [
        *dict.fromkeys(axis.meaning for axis in (plan.y, plan.x)),
        QUERIES[plan.recipe.query_split],
        f"{shown}: {plan.analysis.confidence:.0%} bootstrap intervals" if shown else "",
        f"lines: least squares on log10({plan.x.label})" if plan.fits else "",
        "larger markers: more parameters" if len({m.weight for m in plan.marks}) > 1 else "",
        f"dotted: gaps of {', '.join(f'{gap:.0%}' for gap in ISO_GAPS)}" if plan.guided else "",
    ]
    return "; ".join(part for part in parts if part)

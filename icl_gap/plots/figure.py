"""A whole figure: panels in rows and columns, strips for unresolved gaps, and a legend.

Panels are placed by hand, in inches, and the figure is cut to what was drawn when it is saved: so
panels have the size that the recipe says, and no label is ever cut off.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icl_gap.analysis import Analysis, GapFit
from icl_gap.plots.axes import X_LABELS, set_x, y_label, y_limits
from icl_gap.plots.content import Mark, Panel, chosen, marks, panels, partial_parts
from icl_gap.plots.draw import draw_fits, draw_unresolved, draw_values, strip_height
from icl_gap.plots.legend import draw_legend
from icl_gap.plots.look import GREY, Look, looks
from icl_gap.plots.recipe import FigureRecipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEANING = {
    "gap": "relative gap = (A_id - A_ood) / A_id",
    "accuracy": "exemplars from the query's own split (ID) or from the other (OOD)",
}
QUERIES = {
    "pooled": "test and train queries pooled",
    "test": "test queries",
    "train": "train queries",
}
# All in inches.
STRIP_GAP = 0.04
COLUMN_GAP = 0.16
ROW_GAP = 0.2
LINE = 0.11
BELOW = 0.45


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that the panels of a figure have in common."""

    recipe: FigureRecipe
    analysis: Analysis
    rows: list[list[Panel]]
    marks: list[Mark]
    look: dict[str, Look]

    @property
    def fitted(self) -> bool:
        """Whether the figure's axes are those of the fits."""
        return self.recipe.x == "n_params" and self.recipe.y == "gap"

    @property
    def fits(self) -> list[GapFit]:
        """All that are drawn."""
        fits = [fit for row in self.rows for panel in row for fit in panel.fits if fit.band]
        return fits if self.fitted else []

    def strip(self, row: int) -> float:
        """Height of a row's strips for unresolved gaps; 0 where its gaps are all defined."""
        panels = [marks(panel.points, self.recipe) for panel in self.rows[row]]
        return max(strip_height(panel, self.recipe.panel_size[0]) for panel in panels)

    def below(self, row: int) -> float:
        """From the bottom of a row's panels to the bottom of the row."""
        return self.strip(row) + STRIP_GAP if self.strip(row) else 0.0

    def bottom(self, row: int) -> float:
        """From the bottom of the figure to that of a row's panels."""
        lower = range(row + 1, len(self.rows))
        step = self.recipe.panel_size[1] + ROW_GAP
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
    points = chosen(analysis, recipe)
    drawn = marks(points, recipe)
    plan = _Plan(recipe, analysis, panels(points, analysis, recipe), drawn, looks(drawn, colours))
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


def _figure(plan: _Plan) -> Figure:
    """As large as its panels; what stands around them lies outside until it is saved."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width, height = plan.recipe.panel_size
    columns = len(plan.rows[0])
    size = (columns * (width + COLUMN_GAP) - COLUMN_GAP, plan.bottom(0) + height)
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure


def _draw_panel(figure: Figure, plan: _Plan, r: int, c: int) -> None:
    recipe, panel = plan.recipe, plan.rows[r][c]
    ax, strip = _axes(figure, plan, r, c)
    drawn = marks(panel.points, recipe)
    draw_values(ax, drawn, plan.look, joined=recipe.x == "shots" or recipe.y == "accuracy")
    if plan.fitted:
        draw_fits(ax, panel.fits, plan.look, in_rows="shots" in recipe.panels)
    set_x(ax, plan.marks, recipe)
    ax.set_ylim(y_limits(plan.marks, plan.fits, recipe))
    if recipe.y == "gap":
        ax.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    if not any(mark.y for mark in drawn):
        text = "no defined gap" if panel.points else "no results"
        ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=GREY)
    if strip is not None:
        draw_unresolved(strip, drawn, plan.look, recipe.panel_size[0])
        set_x(strip, plan.marks, recipe)
        ax.tick_params(labelbottom=False, bottom=False)
        ax.spines["bottom"].set_visible(False)
    _label(ax, strip or ax, plan, (r, c))


def _axes(figure: Figure, plan: _Plan, r: int, c: int) -> tuple[Axes, Axes | None]:
    """A panel's axes, and its strip's."""
    total_width, total_height = figure.get_size_inches()
    width, height = plan.recipe.panel_size
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
        ax.text(1.03, 0.5, panel.row, transform=ax.transAxes, rotation=270, ha="left", va="center")
    if c == 0:
        ax.set_ylabel(y_label(plan.recipe, plan.analysis))
    else:
        ax.tick_params(labelleft=False)
    if r == len(plan.rows) - 1:
        bottom.set_xlabel(X_LABELS[plan.recipe.x])
    else:
        bottom.tick_params(labelbottom=False)


def _parts(panel: Panel, plan: _Plan) -> list[str]:
    """Which part of the column's published split was used where it was not whole, in lines."""
    column = (each for row in plan.rows for each in row if each.column == panel.column)
    parts = partial_parts([point for each in column for point in each.points])
    width = int(plan.recipe.panel_size[0] / 0.048)
    return [line for part in parts for line in textwrap.wrap(f"partial: {part}", width)]


def _caption(plan: _Plan) -> str:
    """What the marks mean, for the legend's title."""
    ranges = {
        "bars": any(mark.x is not None and mark.y for mark in plan.marks),
        "bands": bool(plan.fits) or any(mark.x is None and mark.y for mark in plan.marks),
    }
    shown = " and ".join(name for name, is_drawn in ranges.items() if is_drawn)
    parts = [
        MEANING[plan.recipe.y],
        QUERIES[plan.recipe.query_split],
        f"{shown}: {plan.analysis.confidence:.0%} bootstrap intervals" if shown else "",
        "lines: least squares on log10(parameters)" if plan.fits else "",
    ]
    return "; ".join(part for part in parts if part)

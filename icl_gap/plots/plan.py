"""The plan of a figure of curves: its panels, styles and sizes, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from icl_gap.analysis import Analysis, Estimate, GapFit
from icl_gap.plots.axes import X_AXES, Y_AXES, Axis
from icl_gap.plots.content import (
    Mark,
    Panel,
    make_marks,
    make_panels,
    resolve_query_split,
    select_points,
)
from icl_gap.plots.figure_form import pages_of
from icl_gap.plots.recipe import CurveRecipe
from icl_gap.plots.series_style import SeriesStyle, series_styles
from icl_gap.plots.unresolved import unresolved_height
from icl_gap.schema import FigureForm

# All in inches.
AROUND = 0.6
"""About what labels take beside the panels."""
GUIDE_ROOM = 0.42
COLUMN_GAP = 0.16
NARROWEST = 0.95
WIDEST = 1.6
"""The widest panel of a web form, relative to the recipe's; square ones do not grow."""


@dataclass(frozen=True, slots=True)
class FigurePlan:
    """The data and properties that the panels of a figure share."""

    recipe: CurveRecipe
    analysis: Analysis
    rows: list[list[Panel]]
    marks: list[Mark]
    styles: dict[str, SeriesStyle]
    form: FigureForm

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
        """The first width of a page that leaves the panels wide enough."""
        pages = pages_of(self.recipe, self.form)
        return next((page for page in pages if self._share(page) >= NARROWEST), None)

    @property
    def widest(self) -> float:
        """The most inches across of a panel: on paper, it fills the page."""
        if self.form == "print":
            return math.inf
        return (1 if self.equal else WIDEST) * self.recipe.panel_size[0]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of a panel in inches; the width is an estimate if a page limits it."""
        width, height = self.recipe.panel_size
        if self.page is not None:
            width = min(self.widest, self._share(self.page))
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
    def y_has_x(self) -> bool:
        """The gap on the y axis is computed from the accuracy on the x axis."""
        return (self.x.scale, self.y.scale) == ("share", "gap")

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


def make_plan(
    analysis: Analysis, recipe: CurveRecipe, colours: Sequence[str], form: FigureForm
) -> FigurePlan:
    """Plan a figure.

    Args:
        analysis: The numbers.
        recipe: What to draw of them.
        colours: The colours of series, used in turn.
        form: The form of the figure.

    Raises:
        AnalysisError: The analysis holds nothing that the recipe draws.
    """
    split = resolve_query_split(recipe, analysis)
    recipe = recipe.model_copy(update={"query_split": split})
    points = select_points(analysis, recipe)
    marks = make_marks(points, recipe, analysis.metric, analysis.model_order)
    rows = make_panels(marks, analysis, recipe)
    return FigurePlan(recipe, analysis, rows, marks, series_styles(marks, colours), form)

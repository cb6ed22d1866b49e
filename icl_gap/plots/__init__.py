"""Figures: drawn from an analysis as a recipe says, and written with their numbers."""

from icl_gap.plots.content import nothing_to_draw
from icl_gap.plots.output import draw_svg, plot
from icl_gap.plots.recipe import (
    CurveRecipe,
    FigureRecipe,
    HeatmapRecipe,
    read_recipe,
    shipped_recipes,
)

__all__ = [
    "CurveRecipe",
    "FigureRecipe",
    "HeatmapRecipe",
    "draw_svg",
    "nothing_to_draw",
    "plot",
    "read_recipe",
    "shipped_recipes",
]

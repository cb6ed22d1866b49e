"""Figures: drawn from an analysis as a recipe says, and written with the numbers they show."""

from icl_gap.plots.content import nothing_to_draw
from icl_gap.plots.output import plot, svg
from icl_gap.plots.recipe import FigureRecipe, read_recipe, shipped_recipes

__all__ = ["FigureRecipe", "nothing_to_draw", "plot", "read_recipe", "shipped_recipes", "svg"]

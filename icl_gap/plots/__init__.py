"""Figures: drawn from an analysis as a recipe says, and written with the numbers they show."""

from icl_gap.plots.files import plot
from icl_gap.plots.recipe import FigureRecipe, read_recipe

__all__ = ["FigureRecipe", "plot", "read_recipe"]

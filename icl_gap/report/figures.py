"""The shipped figures, as SVG elements that can share one page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from icl_gap.analysis import Analysis
from icl_gap.plots import CurveRecipe, FigureRecipe, draw_svg, nothing_to_draw, shipped_recipes


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure of the page."""

    title: str
    svg: Markup


def draw_report_figures(analysis: Analysis) -> tuple[list[ReportFigure], list[str]]:
    """Draw every shipped recipe that has something to draw.

    Returns:
        The figures, and a sentence for each recipe that has nothing to draw.
    """
    figures, notes = [], []
    for recipe in sorted(shipped_recipes(), key=_rank):
        if reason := nothing_to_draw(analysis, recipe):
            notes.append(f"{recipe.name} is not drawn: {reason.splitlines()[0]}.")
        else:
            title = recipe.heading
            figures.append(ReportFigure(title, embed_svg(draw_svg(analysis, recipe), title)))
    return figures, notes


def embed_svg(text: str, title: str) -> Markup:
    """Return an SVG document as an element of a page.

    Args:
        text: The `svg` element, its texts escaped.
        title: The label for screen readers.
    """
    body = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = escape(f"{title}. The table of gaps gives the numbers.")
    return Markup(f'<svg role="img" aria-label="{label}" {body.removeprefix("<svg")}')  # noqa: S704 (our own drawing, whose texts matplotlib escapes)


def _rank(recipe: FigureRecipe) -> tuple[bool, bool, str]:
    """Sort key: figures against scale first, and gaps before accuracies."""
    on_scale = isinstance(recipe, CurveRecipe) and recipe.x == "n_params"
    return not on_scale, recipe.y != "gap", recipe.name

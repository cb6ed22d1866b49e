"""The shipped figures, made fit to stand side by side in one page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from icl_gap.analysis import Analysis
from icl_gap.plots import CurveRecipe, FigureRecipe, draw_svg, nothing_to_draw, shipped_recipes


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure in the page."""

    title: str
    svg: Markup


def draw_all(analysis: Analysis) -> tuple[list[Drawing], list[str]]:
    """Draw every shipped recipe that has something to draw.

    Returns:
        The drawings, and a sentence for each recipe that has nothing.
    """
    drawings, notes = [], []
    for recipe in sorted(shipped_recipes(), key=_rank):
        if reason := nothing_to_draw(analysis, recipe):
            notes.append(f"{recipe.name} is not drawn: {reason.splitlines()[0]}.")
        else:
            title = recipe.heading
            drawings.append(Drawing(title, embeddable(draw_svg(analysis, recipe), title)))
    return drawings, notes


def embeddable(text: str, title: str) -> Markup:
    """An SVG document as a part of a page.

    Args:
        text: The `svg` element, its texts escaped.
        title: For those who cannot see it.
    """
    body = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = escape(f"{title}. The numbers stand in the table of gaps.")
    return Markup(f'<svg role="img" aria-label="{label}" {body.removeprefix("<svg")}')  # noqa: S704 (our own drawing, whose texts matplotlib escapes)


def _rank(recipe: FigureRecipe) -> tuple[bool, bool, str]:
    """What the study is about comes first: scale before all else, and gaps before accuracies."""
    on_scale = isinstance(recipe, CurveRecipe) and recipe.x == "n_params"
    return not on_scale, recipe.y != "gap", recipe.name

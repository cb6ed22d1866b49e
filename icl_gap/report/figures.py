"""The shipped figures, made fit to stand side by side in one page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from markupsafe import Markup, escape

from icl_gap.analysis import Analysis
from icl_gap.errors import AnalysisError
from icl_gap.plots import FigureRecipe, shipped_recipes, svg

X_NAMES = {
    "n_params": "the number of parameters",
    "n_params_non_embedding": "the number of parameters outside embeddings",
    "shots": "the number of exemplars",
}
Y_NAMES = {"gap": "Relative generalization gap", "accuracy": "Exact match under ID and OOD"}


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure in the page."""

    title: str
    svg: Markup
    """Its ids differ from those of every other drawing."""


def draw_all(analysis: Analysis) -> tuple[list[Drawing], list[str]]:
    """Draw every shipped recipe that has something to draw.

    Returns:
        The drawings, and a sentence for each recipe that has nothing.
    """
    drawings, notes = [], []
    for recipe in sorted(shipped_recipes(), key=lambda recipe: (recipe.y != "gap", recipe.name)):
        try:
            text = svg(analysis, recipe)
        except AnalysisError as error:
            notes.append(f"{recipe.name} is not drawn: {str(error).splitlines()[0]}.")
            continue
        title = _title(recipe)
        drawings.append(Drawing(title, embeddable(text, recipe.name, title)))
    return drawings, notes


def embeddable(text: str, name: str, title: str) -> Markup:
    """An SVG document as a part of a page.

    Args:
        text: As matplotlib writes it, its texts escaped.
        name: Goes before its ids, which would else meet those of another drawing.
        title: For those who cannot see it.
    """
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{name}-", body)
    label = escape(f"{title}. The numbers stand in the table of gaps.")
    return Markup(f'<svg role="img" aria-label="{label}" {body.removeprefix("<svg")}')  # noqa: S704 (our own drawing, whose texts matplotlib escapes)


def _title(recipe: FigureRecipe) -> str:
    return recipe.title or f"{Y_NAMES[recipe.y]} against {X_NAMES[recipe.x]}"

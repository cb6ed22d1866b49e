"""Forms of a figure: one for screens, and one for the page of a journal or a thesis."""

from __future__ import annotations

import re

from icl_gap.plots.recipe import FigureRecipe
from icl_gap.schema import FigureForm

WEB_WIDTH = 6.3
"""The most inches across in which a web form is laid out."""
WEB_SCALE = 1.35
"""Factor by which SVG files of the web form are enlarged: text of 8 points is then 14 pixels high,
and the widest figure 820, about the width of a page on GitHub."""
FALLBACK_FONTS = "Verdana, sans-serif"
"""Fonts for readers whose computers lack that of the style."""


def pages_of(recipe: FigureRecipe, form: FigureForm) -> tuple[float, ...]:
    """Return the widths in inches that a figure may take; none if its panels have fixed sizes."""
    if form == "web" and recipe.page:
        return (WEB_WIDTH,)
    return recipe.page


def enlarge(svg: str) -> str:
    """Return an SVG by matplotlib in the size at which a web page shows it.

    Only the width and height of the root element change, and so everything in it; the fonts get
    fallbacks.
    """

    def larger(found: re.Match[str]) -> str:
        return f'{found[1]}="{float(found[2]) * WEB_SCALE:.6f}pt"'

    start = svg.index("<svg")
    end = svg.index(">", start)
    root = re.sub(r'\b(width|height)="([\d.]+)pt"', larger, svg[start:end])
    rest = re.sub(
        r"(font(?:-family)?: [^;\"<]*'[^;\"<]*')(?=[;\"])", rf"\1, {FALLBACK_FONTS}", svg[end:]
    )
    return svg[:start] + root + rest

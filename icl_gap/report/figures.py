"""The shipped figures, as SVG elements that can share one page."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from icl_gap.analysis import Analysis
from icl_gap.plots import CurveRecipe, FigureRecipe, draw_svg, nothing_to_draw, shipped_recipes
from icl_gap.report.dark_colours import with_variables
from icl_gap.text import shots_text

_LENGTH = re.compile(r'\b(width|height)="([\d.]+)pt"')
PIXELS_PER_POINT = 4 / 3


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A figure of the page."""

    title: str
    svg: Markup
    width: int
    """Width in pixels at which its text has the size of the style."""


def draw_report_figures(analysis: Analysis) -> tuple[list[ReportFigure], list[str]]:
    """Draw every shipped recipe that has something to draw, and is not the overview already.

    Returns:
        The figures, and a sentence for each recipe that has nothing to draw.
    """
    figures, notes = [], []
    recipes = sorted(shipped_recipes(), key=_rank)
    if len({point.shots for point in analysis.points}) == 1:
        overview = _first_drawable(analysis)
        recipes = [recipe for recipe in recipes if recipe != overview]
    for recipe in recipes:
        if reason := nothing_to_draw(analysis, recipe):
            notes.append(f"{recipe.name} is not drawn: {reason.splitlines()[0]}.")
        else:
            figures.append(_draw(analysis, recipe, recipe.heading))
    return figures, notes


def draw_overview(analysis: Analysis) -> ReportFigure | None:
    """Draw the one figure that answers the question.

    It shows the gaps, against scale if any model has one, with the number of shots at which most
    gaps are resolved; of equal ones, the most shots. Without a resolved gap it shows accuracies.

    Returns:
        None where no recipe has anything to draw.
    """
    shots = _telling_shots(analysis)
    part = replace(
        analysis,
        points=tuple(point for point in analysis.points if point.shots == shots),
        fits=tuple(fit for fit in analysis.fits if fit.shots == shots),
    )
    recipe = _first_drawable(part)
    if recipe is None:
        return None
    named = recipe.model_copy(update={"name": f"overview-{recipe.name}"})
    return _draw(part, named, f"{recipe.heading}, {shots_text(shots)}")


def embed_svg(text: str, title: str) -> Markup:
    """Return an SVG document as an element of a page.

    Args:
        text: The `svg` element, its texts escaped.
        title: The label for screen readers.
    """
    body = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    label = escape(f"{title}. The table of gaps gives the numbers.")
    body = with_variables(body.removeprefix("<svg"))
    return Markup(f'<svg role="img" aria-label="{label}" fill="currentColor" {body}')  # noqa: S704 (our own drawing, whose texts matplotlib escapes)


def _draw(analysis: Analysis, recipe: FigureRecipe, title: str) -> ReportFigure:
    svg = draw_svg(analysis, recipe)
    lengths = dict(_LENGTH.findall(svg[: svg.index(">")]))
    width = round(float(lengths["width"]) * PIXELS_PER_POINT)
    return ReportFigure(title, embed_svg(svg, title), width)


def _first_drawable(analysis: Analysis) -> FigureRecipe | None:
    """Return the first recipe that has something to draw; of gaps only if one is resolved."""
    resolved = any(point.gap for point in analysis.points)
    recipes = [each for each in sorted(shipped_recipes(), key=_rank) if resolved or each.y != "gap"]
    return next((each for each in recipes if nothing_to_draw(analysis, each) is None), None)


def _telling_shots(analysis: Analysis) -> int:
    """Return the number of shots with the most resolved gaps; 0 without gaps."""

    def rank(shots: int) -> tuple[int, int]:
        known = sum(point.gap is not None for point in analysis.points if point.shots == shots)
        return known, shots

    return max({point.shots for point in analysis.points}, key=rank, default=0)


def _rank(recipe: FigureRecipe) -> tuple[bool, bool, str]:
    """Sort key: figures against scale first, and gaps before accuracies."""
    on_scale = isinstance(recipe, CurveRecipe) and recipe.x == "n_params"
    return not on_scale, recipe.y != "gap", recipe.name

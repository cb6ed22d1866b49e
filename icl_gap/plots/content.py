"""What a figure shows, worked out before anything is drawn."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields

from icl_gap.analysis import Analysis, Estimate, GapFit, GapPoint
from icl_gap.errors import AnalysisError
from icl_gap.plots.recipe import Facet, FigureRecipe

FACETS: dict[Facet, Callable[[GapPoint | GapFit], str | int]] = {
    "dataset": lambda of: f"{of.dataset} {of.split}",
    "shots": lambda of: of.shots,
    "family": lambda of: of.family,
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes."""

    column: str
    row: str | None
    points: tuple[GapPoint, ...]
    fits: tuple[GapFit, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """One number to draw; with y None, a gap that is unresolved."""

    series: str
    """What the legend says."""
    colour_key: str
    """What has one colour: a family where sizes are on the x axis, else a model."""
    x: float | None
    """None for a model without a size, which is drawn as a horizontal line."""
    y: Estimate | None
    condition: str | None
    """`ID` or `OOD` for an accuracy; None for a gap."""
    model: str


def chosen(analysis: Analysis, recipe: FigureRecipe) -> tuple[GapPoint, ...]:
    """The points that a recipe draws.

    Raises:
        AnalysisError: There are none; the message says what is missing.
    """
    points = tuple(p for p in analysis.points if p.query_split == recipe.query_split)
    if points:
        return points
    have = sorted({point.query_split for point in analysis.points})
    if have:
        raise AnalysisError(
            f"figure `{recipe.name}` draws `query_split: {recipe.query_split}`, and the results"
            f" have only {', '.join(have)}; change the recipe, or run the other query split as well"
        )
    reasons = "".join(f"\n  {note}" for note in analysis.notes)
    raise AnalysisError(
        f"there is nothing to draw: no model has both its ID and its OOD cells{reasons}"
    )


def panels(
    points: Sequence[GapPoint], analysis: Analysis, recipe: FigureRecipe
) -> list[list[Panel]]:
    """Rows of panels; every row has every column, if need be without points."""
    fits = [fit for fit in analysis.fits if fit.query_split == recipe.query_split]
    column = FACETS[recipe.panels[0]]
    row = FACETS[recipe.panels[1]] if len(recipe.panels) > 1 else _only
    columns = sorted({column(point) for point in points})
    return [
        [
            Panel(
                _heading(recipe.panels[0], c),
                None if row is _only else _heading(recipe.panels[1], r),
                tuple(p for p in points if column(p) == c and row(p) == r),
                tuple(f for f in fits if column(f) == c and row(f) == r),
            )
            for c in columns
        ]
        for r in sorted({row(point) for point in points})
    ]


def marks(points: Sequence[GapPoint], recipe: FigureRecipe) -> list[Mark]:
    """What to draw of each point: its gap, or its two accuracies; models without a size last."""
    by_model = recipe.x == "shots"
    by_shots = not by_model and "shots" not in recipe.panels
    drawn = []
    for point in sorted(points, key=lambda point: getattr(point, recipe.x) is None):
        x = getattr(point, recipe.x)
        # Two baselines of one family are two lines, so each needs its own name and colour.
        colour_key = point.model if by_model or x is None else point.family
        series = colour_key
        if x is None:
            series += " (no parameters)"
        if not point.trained:
            series += " (untrained)"
        series = series_name(series, point.shots if by_shots else None)
        values = (
            [(None, point.gap)] if recipe.y == "gap" else [("ID", point.a_id), ("OOD", point.a_ood)]
        )
        drawn += [
            Mark(series, colour_key, x, value, condition, point.model)
            for condition, value in values
        ]
    return drawn


def series_name(name: str, shots: int | None) -> str:
    """What the legend calls a series; with its shots where panels do not tell them apart."""
    return name if shots is None else f"{name}, {_heading('shots', shots)}"


def partial_parts(points: Sequence[GapPoint]) -> list[str]:
    """Which parts of their published splits the points were made from, where not the whole."""
    return sorted({point.partial for point in points if point.partial is not None})


def csv_text(points: Sequence[GapPoint]) -> str:
    """The points as CSV: one line for each, its intervals in columns of their own.

    Numbers have six significant digits; an empty field is an unresolved or unknown one.
    """
    out = io.StringIO()
    rows = [_flat(point) for point in points]
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


_PARTS = {
    **dict.fromkeys(("a_id", "a_ood", "gap", "smooth"), ("", "_low", "_high")),
    **dict.fromkeys(("fieller", "bounds"), ("_low", "_high")),
    **dict.fromkeys(("raw", "canonical"), ("_id", "_ood")),
}
"""What becomes several columns, and their endings."""


def _flat(point: GapPoint) -> dict[str, str]:
    row: dict[str, object] = {}
    for name, value in zip((f.name for f in fields(point)), astuple(point), strict=True):
        if name in _PARTS:
            ends = _PARTS[name]
            row |= zip((name + end for end in ends), value or [None] * len(ends), strict=True)
        elif name == "tests":
            for column in ("p_value", "p_holm"):
                each = (getattr(test, column) for test in point.tests)
                row[f"mcnemar_{column}"] = " ".join(map(_digits, each))
        else:
            row[name] = value
    return {name: _text(value) for name, value in row.items()}


def _text(value: object) -> str:
    if isinstance(value, float):
        return _digits(value)
    return "" if value is None else str(value)


def _digits(value: float) -> str:
    return f"{value:.6g}"


def _only(_: GapPoint | GapFit) -> str | int:
    return 0


def _heading(facet: Facet, value: str | int) -> str:
    if facet == "shots":
        return f"{value} shot" if value == 1 else f"{value} shots"
    return str(value)

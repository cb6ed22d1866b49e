"""The content of a figure: its marks and panels, worked out before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from icl_gap.analysis import Analysis, Estimate, GapFit, GapPoint, Metric
from icl_gap.errors import AnalysisError
from icl_gap.plots.axes import X_AXES, Y_AXES, Axis
from icl_gap.plots.point_text import tooltip_text
from icl_gap.plots.recipe import CurveRecipe, Facet, FigureRecipe, HeatmapRecipe, QuerySplits
from icl_gap.text import shots_text

FACETS: dict[Facet, Callable[[GapPoint | GapFit], str | int]] = {
    "dataset": lambda each: f"{each.dataset} {each.split}",
    "shots": lambda each: each.shots,
    "family": lambda each: each.family,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One number to draw; `y` is None if it is unresolved."""

    point: GapPoint
    series: str
    """Name in the legend."""
    colour_key: str
    """Key of its colour: the model if shots are on the x axis, else the family."""
    x: Estimate | None
    """None for a model without a size, which is drawn as a horizontal line; of a `named` mark, the
    place of the model among the names of its panel."""
    y: Estimate | None
    condition: str | None
    """`ID` or `OOD` for an accuracy; None for a gap."""
    weight: float
    """Size of the marker, from 0 for the smallest model to 1 for the largest."""
    tooltip: str
    named: bool = False
    """True if the x axis of its panel has names of models, since its size is not known."""
    flagged: bool = False
    """True for a pooled gap that hides its sides; drawn half filled."""

    @property
    def hollow(self) -> bool:
        """True for an OOD accuracy, an unresolved gap and an estimated size: drawn white inside."""
        if self.condition is None:
            return self.point.gap is None or self.estimated
        return self.condition == "OOD"

    @property
    def estimated(self) -> bool:
        """True if the model's size is only estimated; a ring around the marker shows it."""
        known = self.x is not None and not self.named
        return self.point.size_source == "estimated" and known


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes, in a column and perhaps a row of the figure."""

    column: str
    row: str | None
    marks: tuple[Mark, ...]
    fits: tuple[GapFit, ...]
    names: tuple[str, ...] = ()
    """Names of the models on its x axis; empty where that axis has numbers."""


def resolve_query_split(recipe: FigureRecipe, analysis: Analysis) -> QuerySplits:
    """Return the recipe's query split; for `any`, the first of those that the results have."""
    if recipe.query_split != "any":
        return recipe.query_split
    have = {point.query_split for point in analysis.points}
    return min(have, key=("pooled", "test", "train").index, default="pooled")


def select_points(analysis: Analysis, recipe: FigureRecipe) -> tuple[GapPoint, ...]:
    """Return the points that a recipe draws.

    Raises:
        AnalysisError: There are none; the message says what is missing.
    """
    wanted = resolve_query_split(recipe, analysis)
    points = tuple(p for p in analysis.points if wanted in {p.query_split, "all"})
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


def nothing_to_draw(analysis: Analysis, recipe: FigureRecipe) -> str | None:
    """Return why a figure would show nothing of these results; None if it shows something."""
    try:
        points = select_points(analysis, recipe)
    except AnalysisError as error:
        return str(error)
    for axis in _axes(recipe):
        found = {value for point in points for value in axis.read(point).values() if value}
        by_name = axis is X_AXES["n_params"] and any(point.size_unknown for point in points)
        if len(found) < axis.min_values and not by_name:
            return axis.too_few
    return None


def _axes(recipe: FigureRecipe) -> list[Axis]:
    y = Y_AXES[recipe.y]
    return [y] if isinstance(recipe, HeatmapRecipe) else [X_AXES[recipe.x], y]


def make_panels(
    marks: Sequence[Mark], analysis: Analysis, recipe: CurveRecipe
) -> list[list[Panel]]:
    """Sort marks into rows of panels; every row has every column, even without marks in it.

    Models by name have a column of their own beside that of models with a size; those without
    either, which are drawn as horizontal lines, stand in the latter if there is one.
    """
    fits = [fit for fit in analysis.fits if fit.query_split == recipe.query_split]
    column = FACETS[recipe.panels[0]]
    row = FACETS[recipe.panels[1]] if len(recipe.panels) > 1 else _one_row
    sized = any(mark.x is not None and not mark.named for mark in marks)
    all_named = not sized and any(mark.named for mark in marks)

    def key(mark: Mark) -> tuple[str | int, bool]:
        return column(mark.point), mark.named or all_named

    names = model_names([mark.point for mark in marks if mark.named], recipe, analysis.model_order)
    return [
        [
            Panel(
                _heading(recipe.panels[0], c),
                None if row is _one_row else _heading(recipe.panels[1], r),
                tuple(m for m in marks if key(m) == (c, named) and row(m.point) == r),
                tuple(f for f in fits if not named and column(f) == c and row(f) == r),
                names.get(c, ()) if named else (),
            )
            for c, named in sorted(set(map(key, marks)))
        ]
        for r in sorted({row(mark.point) for mark in marks})
    ]


def model_names(
    points: Sequence[GapPoint], recipe: CurveRecipe, order: Sequence[str]
) -> dict[str | int, tuple[str, ...]]:
    """Return the names of the models in each column of panels, in an order.

    Args:
        points: The points whose models are shown by name.
        recipe: The recipe, which says what columns are.
        order: The order; models that are not in it come last.
    """
    column = FACETS[recipe.panels[0]]
    places = {model: place for place, model in enumerate(order)}
    models: dict[str | int, set[str]] = {}
    for point in points:
        models.setdefault(column(point), set()).add(point.model)
    return {
        key: tuple(sorted(found, key=lambda model: (places.get(model, len(places)), model)))
        for key, found in models.items()
    }


def make_marks(
    points: Sequence[GapPoint], recipe: CurveRecipe, metric: Metric, order: Sequence[str] = ()
) -> list[Mark]:
    """Return a mark for each number of each point; models without a size come last.

    Args:
        points: The points.
        recipe: What to draw of them.
        metric: The metric of accuracies.
        order: The order of models whose size is not known.
    """
    x_axis, y_axis = X_AXES[recipe.x], Y_AXES[recipe.y]
    sized = x_axis.scale == "size"
    unknown = [p for p in points if sized and p.size_unknown and x_axis.read(p)[None] is None]
    names, column = model_names(unknown, recipe, order), FACETS[recipe.panels[0]]
    y_name = y_axis.label_for(metric)
    weights = _weights(points) if x_axis.scale == "share" else {}
    drawn = []
    for point in points:
        x = x_axis.read(point)[None]
        named = x is None and sized and point.size_unknown
        if named:
            place = float(names[column(point)].index(point.model))
            x = Estimate(place, place, place)
        series, colour_key = _series_of(point, x, recipe, x_axis.label)
        weight = weights.get(point.n_params, 0.5)
        beside = {x_axis.label_for(metric): x} if x_axis.scale == "share" else {}
        for condition, y in y_axis.read(point).items():
            values = {**beside, f"{y_name}, {condition}" if condition else y_name: y}
            text = tooltip_text(point, values)
            mark = Mark(point, series, colour_key, x, y, condition, weight, text, named)
            flagged = recipe.y == "gap" and y is not None and bool(point.flags)
            drawn.append(replace(mark, flagged=flagged))
    return sorted(drawn, key=lambda mark: mark.x is None)


def _series_of(
    point: GapPoint, x: Estimate | None, recipe: CurveRecipe, on_x: str
) -> tuple[str, str]:
    """Return the series of a point, and the key of its colour."""
    by_model = recipe.x == "shots"
    # Two baselines of one family are two lines, so each needs its own name and colour.
    alone = by_model or x is None or (point.n_params is None and not point.size_unknown)
    key = point.model if alone else point.family
    series = key + (f" (no {on_x})" if x is None else "")
    series += "" if point.trained else " (untrained)"
    known = by_model or "shots" in recipe.panels
    return series_name(series, None if known else point.shots), key


def _weights(points: Sequence[GapPoint]) -> dict[int | None, float]:
    """Position of each size between the smallest (0) and the largest (1), on a log scale."""
    logs = {p.n_params: math.log(p.n_params) for p in points if p.n_params}
    if len(logs) < 2:
        return {}
    low, high = min(logs.values()), max(logs.values())
    return {size: (log - low) / (high - low) for size, log in logs.items()}


def series_name(name: str, shots: int | None) -> str:
    """Return the name of a series in the legend, with its shots where panels do not show them."""
    return name if shots is None else f"{name}, {_heading('shots', shots)}"


def partial_notes(points: Sequence[GapPoint]) -> list[str]:
    """Return which parts of published splits the points come from, where not the whole."""
    return sorted({point.partial for point in points if point.partial is not None})


def _one_row(_: GapPoint | GapFit) -> str | int:
    return 0


def _heading(facet: Facet, value: str | int) -> str:
    texts = {"shots": lambda: shots_text(int(value)), "family": lambda: f"{value} family"}
    return texts.get(facet, lambda: str(value))()

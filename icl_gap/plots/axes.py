"""Scales, limits, ticks and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from icl_gap.analysis import Analysis, GapFit, human
from icl_gap.plots.content import Mark
from icl_gap.plots.recipe import FigureRecipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes

X_LABELS = {
    "n_params": "parameters",
    "n_params_non_embedding": "parameters without embeddings",
    "shots": "shots",
}


def y_label(recipe: FigureRecipe, analysis: Analysis) -> str:
    """What the y axis shows."""
    metric = "exact match" if analysis.metric == "raw" else "exact match, canonical"
    return "relative gap" if recipe.y == "gap" else metric


def set_x(ax: Axes, marks: Sequence[Mark], recipe: FigureRecipe) -> None:
    """Scale, limits and ticks of the x axis; from all marks, so that panels can be compared."""
    values = sorted({mark.x for mark in marks if mark.x is not None})
    if not values:
        ax.set_xticks([])
    elif recipe.x == "shots":
        _set_shots(ax, values)
    else:
        _set_sizes(ax, values)


def _set_shots(ax: Axes, values: Sequence[float]) -> None:
    from matplotlib.ticker import NullLocator

    # Logarithmic above 1 and linear below, so that 0 shots has a place.
    ax.set_xscale("symlog", linthresh=1, linscale=0.9)
    ax.set_xticks(values, [str(int(value)) for value in values])
    ax.xaxis.set_minor_locator(NullLocator())
    low, high = _place(values[0]), _place(values[-1])
    pad = max(0.12, 0.1 * (high - low))
    ax.set_xlim(_unplace(low - pad), _unplace(high + pad))


def _place(shots: float) -> float:
    """Where the scale puts a number of shots; from 0 to 1 is as far as from 1 to 10."""
    return shots if shots <= 1 else 1 + math.log10(shots)


def _unplace(place: float) -> float:
    return place if place <= 1 else 10 ** (place - 1)


def _set_sizes(ax: Axes, values: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = values[0], values[-1]
    pad = max(1.35, (10 / (high / low)) ** 0.5)
    ax.set_xscale("log")
    ax.set_xlim(low / pad, high * pad)
    subs = (1.0, 3.0) if high / low < 300 else (1.0,)
    ax.xaxis.set_major_locator(LogLocator(subs=subs))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: human(value)))


def y_limits(
    marks: Sequence[Mark], fits: Sequence[GapFit], recipe: FigureRecipe
) -> tuple[float, float]:
    """Limits of the y axis, the same for all panels.

    Accuracies start at 0. Gaps end at 1, their largest value; a bar that reaches far below the
    lowest gap runs out of the panel, as it would squeeze all else (the CSV has its end).
    """
    values = [mark.y for mark in marks if mark.y]
    if recipe.y == "accuracy":
        top = max((value.high for value in values), default=1.0)
        return -0.03 * max(top, 0.05), 1.06 * max(top, 0.05)
    lowest = min((value.value for value in values), default=0.0)
    ends = [value.low for value in values] + [point.low for fit in fits for point in fit.band]
    low = max(min([0.0, *ends]), min(0.0, lowest) - 0.6)
    return low - 0.05, 1.05

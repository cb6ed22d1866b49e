"""Styles of series: colours, markers and shifts, the same in every panel and in the legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from icl_gap.plots.content import Mark

Dash: TypeAlias = Literal["-", "--", ":", "-."] | tuple[float, Sequence[float]]

MARKERS = "osD^vPX<>"
CONDITION_LINES: Mapping[str, Dash] = MappingProxyType({"ID": "-", "OOD": "--"})
GREY = "0.35"
DASHES: tuple[Dash, ...] = ("--", ":", "-.", (0, (6, 2)), (0, (3, 1, 1, 1, 1, 1)))
STEP = 3.0
"""Points (1/72 inch) between markers of several series at the name of one model."""
BAR_STEP = 1.1
BAR_SPREAD = 3.2
"""The most points between the first and the last bar at one x, so that bars touch their markers."""


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """The style of one series."""

    colour: str
    marker: str
    dash: Dash
    """Dashes of a horizontal line, by which lines of one colour differ."""
    shift: float = 0.0
    """Sideways shift of markers and bars in points (1/72 inch); only for models by name."""


def series_styles(marks: Sequence[Mark], colours: Sequence[str]) -> dict[str, SeriesStyle]:
    """Return a style for each series, in the order of first appearance.

    Args:
        marks: All marks of the figure.
        colours: The colours, used in turn; series of one colour differ in their markers.
    """
    colour_keys = list(dict.fromkeys(mark.colour_key for mark in marks))
    series = dict.fromkeys(mark.series for mark in marks)
    colour_of = {mark.series: colour_keys.index(mark.colour_key) for mark in marks}
    return {
        name: SeriesStyle(
            colour=colours[colour_of[name] % len(colours)],
            marker=MARKERS[n % len(MARKERS)],
            dash=DASHES[_rank(name, colour_of) % len(DASHES)],
        )
        for n, name in enumerate(series)
    }


def shifted_at_names(
    styles: Mapping[str, SeriesStyle], marks: Iterable[Mark]
) -> dict[str, SeriesStyle]:
    """Return styles for a panel of models by name, where series stand beside each other.

    Args:
        styles: The style of every series.
        marks: The marks of the panel.
    """
    at: dict[str, dict[str, None]] = {}
    for mark in marks:
        at.setdefault(mark.point.model, {})[mark.series] = None
    shifts = {
        series: STEP * (n - (len(found) - 1) / 2)
        for found in at.values()
        for n, series in enumerate(found)
    }
    return {name: replace(style, shift=shifts.get(name, 0.0)) for name, style in styles.items()}


def bar_shifts(marks: Iterable[Mark]) -> dict[tuple[str, float], float]:
    """Return how far bars are shifted sideways, in points, by series and x.

    Markers stand at their x; where several series have the same one, their bars would hide each
    other.

    Args:
        marks: The marks of a panel.
    """
    at: dict[float, dict[str, None]] = {}
    for mark in marks:
        if mark.x is not None and not mark.named and mark.x.low == mark.x.high:
            at.setdefault(mark.x.value, {})[mark.series] = None
    return {
        (series, x): min(BAR_STEP, BAR_SPREAD / max(1, len(found) - 1)) * (n - (len(found) - 1) / 2)
        for x, found in at.items()
        for n, series in enumerate(found)
    }


def _rank(name: str, colour_of: dict[str, int]) -> int:
    """Return the index of a series among those of its colour."""
    peers = [each for each, colour in colour_of.items() if colour == colour_of[name]]
    return peers.index(name)

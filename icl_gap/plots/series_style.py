"""Colours, markers and sideways shifts: the same for a series in every panel and the legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from icl_gap.plots.content import Mark

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Dash: TypeAlias = Literal["-", "--", ":", "-."] | tuple[float, Sequence[float]]

MARKERS = "osD^vPX<>"
LINES: Mapping[str, Dash] = MappingProxyType({"ID": "-", "OOD": "--"})
GREY = "0.35"
DASHES: tuple[Dash, ...] = ("--", ":", "-.", (0, (6, 2)), (0, (3, 1, 1, 1, 1, 1)))
SPREAD = 14.0
"""Most points (1/72 inch) between the first and the last series at one place."""


def blank(size: tuple[float, float]) -> Figure:
    """A figure of a size in inches, outside matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    return figure


@dataclass(frozen=True, slots=True)
class Look:
    """How one series is drawn."""

    colour: str
    marker: str
    dash: Dash
    """Of a horizontal line; two lines of one colour differ in it."""
    shift: float
    """Sideways, in points, so that bars at one x do not hide each other."""


def looks(
    marks: Sequence[Mark],
    panels: Sequence[Sequence[Mark]],
    colours: Sequence[str],
    *,
    spread: bool,
) -> dict[str, Look]:
    """A look for each series, in order of first appearance.

    Args:
        marks: All marks of the figure.
        panels: The same, panel by panel.
        colours: To be used in turn. Markers turn over at another rate, so that two series that
            share a colour differ in their markers.
        spread: Whether series may be moved sideways; not where x is a measured number.
    """
    colour_keys = list(dict.fromkeys(mark.colour_key for mark in marks))
    series = dict.fromkeys(mark.series for mark in marks)
    colour_of = {mark.series: colour_keys.index(mark.colour_key) for mark in marks}
    together = [{mark.series for mark in panel if mark.x is not None} for panel in panels]
    places = _places(series, together)
    last = max(places.values(), default=0)
    step = min(3.0, SPREAD / max(1, last)) if spread else 0.0
    return {
        name: Look(
            colour=colours[colour_of[name] % len(colours)],
            marker=MARKERS[n % len(MARKERS)],
            dash=DASHES[_rank(name, colour_of) % len(DASHES)],
            shift=(places[name] - max(places[each] for each in _group(name, together)) / 2) * step,
        )
        for n, name in enumerate(series)
    }


def _places(series: Iterable[str], together: Sequence[set[str]]) -> dict[str, int]:
    """A place for each series: the first that no other in one of its panels has."""
    places: dict[str, int] = {}
    for name in series:
        near = set[str]().union(*(panel for panel in together if name in panel))
        taken = {places[other] for other in near if other in places}
        places[name] = next(place for place in range(len(taken) + 1) if place not in taken)
    return places


def _group(name: str, together: Sequence[set[str]]) -> set[str]:
    """The series that share panels with one, and those that share panels with these."""
    group = {name}
    while (more := group.union(*(panel for panel in together if panel & group))) > group:
        group = more
    return group


def _rank(name: str, colour_of: dict[str, int]) -> int:
    """The place of a series among those of its colour."""
    peers = [each for each, colour in colour_of.items() if colour == colour_of[name]]
    return peers.index(name)

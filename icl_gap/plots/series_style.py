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
SPREAD = 14.0
"""The most points (1/72 inch) between the first and the last series at one x."""


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """The style of one series."""

    colour: str
    marker: str
    dash: Dash
    """Dashes of a horizontal line, by which lines of one colour differ."""
    shift: float
    """Sideways shift in points (1/72 inch), so that bars at one x do not hide each other."""


def series_styles(
    marks: Sequence[Mark],
    panels: Sequence[Sequence[Mark]],
    colours: Sequence[str],
    *,
    spread: bool,
) -> dict[str, SeriesStyle]:
    """Return a style for each series, in the order of first appearance.

    Args:
        marks: All marks of the figure.
        panels: The same marks, panel by panel.
        colours: The colours to use in turn. Markers repeat at another rate, so that two series
            that share a colour differ in their markers.
        spread: Series may be shifted sideways; not allowed where x is a measured number.
    """
    colour_keys = list(dict.fromkeys(mark.colour_key for mark in marks))
    series = dict.fromkeys(mark.series for mark in marks)
    colour_of = {mark.series: colour_keys.index(mark.colour_key) for mark in marks}
    together = [{mark.series for mark in panel if mark.x is not None} for panel in panels]
    slots = _slots(series, together)
    last = max(slots.values(), default=0)
    step = min(3.0, SPREAD / max(1, last)) if spread else 0.0
    return {
        name: SeriesStyle(
            colour=colours[colour_of[name] % len(colours)],
            marker=MARKERS[n % len(MARKERS)],
            dash=DASHES[_rank(name, colour_of) % len(DASHES)],
            shift=(slots[name] - max(slots[each] for each in _group(name, together)) / 2) * step,
        )
        for n, name in enumerate(series)
    }


def unshifted(styles: Mapping[str, SeriesStyle], marks: Iterable[Mark]) -> dict[str, SeriesStyle]:
    """Return styles for a panel of models by name, where few series have marks at one x.

    Args:
        styles: The style of every series.
        marks: The marks of the panel.
    """
    at: dict[str, dict[str, None]] = {}
    for mark in marks:
        at.setdefault(mark.point.model, {})[mark.series] = None
    shifts = {
        series: 3.0 * (n - (len(found) - 1) / 2)
        for found in at.values()
        for n, series in enumerate(found)
    }
    return {name: replace(style, shift=shifts.get(name, 0.0)) for name, style in styles.items()}


def _slots(series: Iterable[str], together: Sequence[set[str]]) -> dict[str, int]:
    """Return a slot for each series: the first that no other series in its panels has."""
    slots: dict[str, int] = {}
    for name in series:
        near = set[str]().union(*(panel for panel in together if name in panel))
        taken = {slots[other] for other in near if other in slots}
        slots[name] = next(slot for slot in range(len(taken) + 1) if slot not in taken)
    return slots


def _group(name: str, together: Sequence[set[str]]) -> set[str]:
    """Return the series that share panels with one, and those that share panels with these."""
    group = {name}
    while (more := group.union(*(panel for panel in together if panel & group))) > group:
        group = more
    return group


def _rank(name: str, colour_of: dict[str, int]) -> int:
    """Return the index of a series among those of its colour."""
    peers = [each for each, colour in colour_of.items() if colour == colour_of[name]]
    return peers.index(name)

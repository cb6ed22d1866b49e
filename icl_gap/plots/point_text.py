"""The numbers of a figure as text: its points as CSV, and the tooltips of its markers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, fields
from itertools import count
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, unescape

from icl_gap.analysis import Estimate, GapPoint, size_text
from icl_gap.metrics import METRICS
from icl_gap.text import shots_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist


def points_csv(points: Sequence[GapPoint]) -> str:
    """Return points as CSV: one line for each, the ends of intervals in columns of their own.

    Numbers have six significant digits; an unresolved or unknown number is an empty field.
    """
    out = io.StringIO()
    rows = [_flat(point) for point in points]
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def tooltip_text(point: GapPoint, values: Mapping[str, Estimate | None]) -> str:
    """Return a tooltip: lines for the model, the cell, each number and the number of queries.

    Args:
        point: The point.
        values: The numbers to give, by their names.
    """
    model = f"{point.model} ({', '.join(_traits(point))})"
    cell = f"{point.benchmark}, {shots_text(point.shots)}, {point.query_split} queries"
    numbers = {name: _ends(value) for name, value in values.items() if value}
    if point.unresolved_because is not None:
        numbers["gap unresolved"] = point.unresolved_because
        if point.smooth is not None:
            numbers["smooth gap"] = _ends(point.smooth)
    partial = [] if point.partial is None else [f"partial: {point.partial}"]
    lines = [f"{name}: {text}" for name, text in numbers.items()]
    flags = [f"no verdict rests on it: {flag}" for flag in point.flags]
    size = f"{point.n_queries} queries, {point.n_seeds} seeds"
    return "\n".join([model, cell, *partial, *lines, *flags, size])


def _traits(point: GapPoint) -> list[str]:
    size = "no parameters" if point.n_params is None else f"{size_text(point)} parameters"
    size = "parameters not known" if point.size_unknown else size
    return [point.family, size, *([] if point.trained else ["untrained"])]


def _ends(value: Estimate) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


_TIP = "tip: "
_QUOTE = {'"': "&quot;"}
"""Quotes are escaped too, so that no text resembles an attribute."""


def attach_tooltip(artist: Artist, text: str) -> None:
    """Give an artist a tooltip, kept in the artist's id until the SVG is written."""
    artist.set_gid(_TIP + text)


def embed_tooltips(svg: str) -> str:
    """Turn the tooltips in the ids of an SVG by matplotlib into `title` elements."""
    numbered = count(1)

    def title(found: re.Match[str]) -> str:
        text = unescape(found[1], {"&quot;": '"', "&apos;": "'"})
        return f'<g id="tip-{next(numbered)}"><title>{escape(text, _QUOTE)}</title>'

    return re.sub(f'<g id="{_TIP}([^"]*)">', title, svg)


_PARTS = {
    **dict.fromkeys(("a_id", "a_ood", "gap", "smooth"), ("", "_low", "_high")),
    **dict.fromkeys(("fieller", "bounds", "simultaneous"), ("_low", "_high")),
}
"""Fields that become several columns, with the endings of these."""


def _flat(point: GapPoint) -> dict[str, str]:
    row: dict[str, object] = {}
    for name, value in zip((f.name for f in fields(point)), astuple(point), strict=True):
        if name in _PARTS:
            row |= _columns(name, value, _PARTS[name])
        elif name == "accuracies":
            for metric in METRICS:
                row |= _columns(metric, value.get(metric), ("_id", "_ood"))
        elif name == "test":
            row |= asdict(point.test)
        elif name == "flags":
            row[name] = "; ".join(point.flags)
        else:
            row[name] = value
    return {name: _text(value) for name, value in row.items()}


def _columns(
    name: str, values: Sequence[object] | None, ends: Sequence[str]
) -> Iterable[tuple[str, object]]:
    """Return the columns of a value of several parts, which are empty where there is none."""
    return zip((name + end for end in ends), values or [None] * len(ends), strict=True)


def _text(value: object) -> str:
    if isinstance(value, float):
        return _digits(value)
    return "" if value is None else str(value)


def _digits(value: float) -> str:
    return f"{value:.6g}"

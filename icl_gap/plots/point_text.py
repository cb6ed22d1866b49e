"""The numbers of a figure: its points as CSV, and what is said when one points at a marker."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from itertools import count
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, unescape

from icl_gap.analysis import Estimate, GapPoint, size_text
from icl_gap.metrics import METRICS
from icl_gap.text import shots_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist


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


def tip(point: GapPoint, shown: Mapping[str, Estimate | None]) -> str:
    """What is said of a point: a line for the model, what was asked, each number, and how many.

    Args:
        point: The point.
        shown: Its numbers by their names.
    """
    model = f"{point.model} ({', '.join(_traits(point))})"
    asked = f"{point.benchmark}, {shots_text(point.shots)}, {point.query_split} queries"
    numbers = {name: _ends(value) for name, value in shown.items() if value}
    if point.unresolved_because is not None:
        numbers["gap unresolved"] = point.unresolved_because
        if point.smooth is not None:
            numbers["smooth gap"] = _ends(point.smooth)
    partial = [] if point.partial is None else [f"partial: {point.partial}"]
    lines = [f"{name}: {text}" for name, text in numbers.items()]
    return "\n".join(
        [model, asked, *partial, *lines, f"{point.n_queries} queries, {point.n_seeds} seeds"]
    )


def _traits(point: GapPoint) -> list[str]:
    size = "no" if point.n_params is None else size_text(point)
    return [point.family, f"{size} parameters", *([] if point.trained else ["untrained"])]


def _ends(value: Estimate) -> str:
    return f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]"


_TIP = "tip: "
_QUOTE = {'"': "&quot;"}
"""Escaped, so that no text looks like an attribute."""


def hang(artist: Artist, text: str) -> None:
    """Give an artist a tooltip; until the SVG is written, it is kept in the artist's id."""
    artist.set_gid(_TIP + text)


def titled(svg: str) -> str:
    """An SVG, as matplotlib writes it, whose groups have their tooltips as titles."""
    numbered = count(1)

    def title(found: re.Match[str]) -> str:
        text = unescape(found[1], {"&quot;": '"', "&apos;": "'"})
        return f'<g id="tip-{next(numbered)}"><title>{escape(text, _QUOTE)}</title>'

    return re.sub(f'<g id="{_TIP}([^"]*)">', title, svg)


_PARTS = {
    **dict.fromkeys(("a_id", "a_ood", "gap", "smooth"), ("", "_low", "_high")),
    **dict.fromkeys(("fieller", "bounds"), ("_low", "_high")),
}
"""What becomes several columns, and their endings."""


def _flat(point: GapPoint) -> dict[str, str]:
    row: dict[str, object] = {}
    for name, value in zip((f.name for f in fields(point)), astuple(point), strict=True):
        if name in _PARTS:
            row |= _columns(name, value, _PARTS[name])
        elif name == "accuracies":
            for metric in METRICS:
                row |= _columns(metric, value.get(metric), ("_id", "_ood"))
        elif name == "tests":
            for column in ("p_value", "p_holm"):
                each = (getattr(test, column) for test in point.tests)
                row[f"mcnemar_{column}"] = " ".join(map(_digits, each))
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

"""The layout of tables: columns as wide as the terminal allows, numbers and words never folded."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from icl_gap.text import printable

Row = Mapping[str, str]
_INTERVAL = re.compile(r"\[[^\[\]]{1,24}\]")
_BOUND = "\N{NO-BREAK SPACE}"
_GAP = 2
"""Columns between two columns of a table."""


def lay_out(rows: Sequence[Row], width: int, *, left: Collection[str] = ()) -> list[Table]:
    """Return a table, or several with the same first columns where one would be too wide.

    Text is wrapped between words where the table would be too wide without; a number or a word is
    never folded, unless it is wider than the terminal.

    Args:
        rows: Rows with the same keys.
        width: Width of the terminal, in columns.
        left: Keys of left-aligned columns, which hold text; the others are right-aligned.
    """
    shown = [{key: printable(value) for key, value in row.items()} for row in rows]
    least = {key: _least_width(key, shown) for key in shown[0]}
    blocks = _blocks(least, width, _names(shown))
    return [
        _table(shown, _widths(shown, {key: least[key] for key in keys}, width), left)
        for keys in blocks
    ]


def _names(rows: Sequence[Row]) -> list[str]:
    """Return the first columns, as many as it takes to tell the rows apart."""
    keys = list(rows[0])
    for n in range(1, len(keys)):
        if len({tuple(row[key] for key in keys[:n]) for row in rows}) == len(rows):
            return keys[:n]
    return keys[:1]


def _blocks(least: Mapping[str, int], width: int, names: Sequence[str]) -> list[list[str]]:
    """Divide columns into blocks that fit the width, each of which begins with the names."""
    blocks = [list(names)]
    for key in least:
        if key in names:
            continue
        if _total(least, [*blocks[-1], key]) - _GAP > width and len(blocks[-1]) > len(names):
            blocks.append(list(names))
        blocks[-1].append(key)
    return blocks


def _total(widths: Mapping[str, int], keys: Sequence[str]) -> int:
    """Return the width of some columns, the gap after each included."""
    return sum(widths[key] + _GAP for key in keys)


def _least_width(key: str, rows: Sequence[Row]) -> int:
    """Return the width of the longest word of a column and its title."""
    return max(len(word) for text in (key, *(row[key] for row in rows)) for word in _parts(text))


def _parts(text: str) -> list[str]:
    """Return the parts that are never divided: words, and intervals such as `[0.10, 0.25]`."""
    return _INTERVAL.sub(lambda found: found[0].replace(" ", _BOUND), text).split(" ")


def _wrapped(text: str, width: int) -> str:
    """Return a text with line breaks between its parts, where a line would be too wide."""
    lines = textwrap.wrap(" ".join(_parts(text)), width, break_on_hyphens=False)
    return "\n".join(lines).replace(_BOUND, " ")


def _widths(rows: Sequence[Row], least: Mapping[str, int], width: int) -> dict[str, int]:
    """Return the width of each column: its longest text, or what is left for it to be wrapped."""
    widest = {key: max(len(key), *(len(row[key]) for row in rows)) for key in least}
    widths = dict(least)
    for _ in range(width - _total(least, [*least]) + _GAP):
        narrow = max(widths, key=lambda key: widest[key] - widths[key])
        if widths[narrow] == widest[narrow]:
            break
        widths[narrow] += 1
    return widths


def _table(rows: Sequence[Row], widths: Mapping[str, int], left: Collection[str]) -> Table:
    table = Table(
        header_style="bold",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=(0, _GAP - 1, 0, 0),  # one more is the box's
        pad_edge=False,
    )
    for key, width in widths.items():
        justify: Literal["left", "right"] = "left" if key in left else "right"
        table.add_column(_wrapped(key, width), justify=justify, width=width, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_wrapped(row[key], width)) for key, width in widths.items()))
    return table

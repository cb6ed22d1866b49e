"""Small HTML tables, which a notebook shows for a result.

Colours are those of the notebook, be it light or dark.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

from icl_gap.text import printable

MOST_ROWS = 20
"""Most rows of a table; the line above it says how many there are."""
LONGEST_TEXT = 100
"""Characters of the longest text of a cell; a longer one is cut."""


def html_table(
    caption: str, rows: Sequence[Mapping[str, str]], *, left: Collection[str] = ()
) -> str:
    """Return rows of text as an HTML table under their keys, with a line above it.

    Long texts are cut. Text is escaped: markup and control characters are shown, not interpreted.

    Args:
        caption: The line above the table.
        rows: Rows with the same keys; the first `MOST_ROWS` of them are shown.
        left: Keys of left-aligned columns, which hold text; the others are right-aligned.
    """
    shown = rows[:MOST_ROWS]
    if len(rows) > len(shown):
        caption += f" (the first {len(shown)} of {len(rows):,} rows)"
    head = f"<div>{_safe(caption)}</div>"
    if not rows:
        return head
    body = "".join(f"<tr>{_cells('td', row, row.values(), left)}</tr>" for row in shown)
    titles = _cells("th", shown[0], shown[0], left)
    return f"{head}<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _cells(tag: str, keys: Collection[str], texts: Collection[str], left: Collection[str]) -> str:
    sides = ("left" if key in left else "right" for key in keys)
    return "".join(
        f'<{tag} style="text-align: {side}">{_safe(_cut(text))}</{tag}>'
        for side, text in zip(sides, texts, strict=True)
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"


def _safe(text: str) -> str:
    return escape(printable(text))

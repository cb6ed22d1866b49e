"""Typesetting of the texts in figures: lines that fit, and accuracies with subscripts."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

LETTER = 0.0069
"""About the width of a letter in inches, for each point of the font's size."""
FORMULA = "(A_id \N{MINUS SIGN} A_ood) / A_id".replace(" ", "\N{NO-BREAK SPACE}")
"""The relative gap, in one line."""
_PLAIN = r"\bA_(id|ood)\b"
_SET = r"\$A_\\mathrm\{(id|ood)\}\$"


def wrapped(text: str, width: float, size: float) -> str:
    """Return text in lines of at most a width.

    Args:
        text: The text.
        width: The width in inches.
        size: The size of the font in points.
    """
    letters = max(8, int(width / (LETTER * size)))
    return "\n".join(textwrap.wrap(text, letters, break_on_hyphens=False))


def typeset(text: Text) -> None:
    """Give the accuracies `A_id` and `A_ood` in a text their subscripts.

    Everything else stays as it is: the name of a model is not a formula, even with `$` in it.
    """
    text.set_text(re.sub(_PLAIN, r"$A_\\mathrm{\1}$", text.get_text().replace("$", r"\$")))
    text.set_parse_math(True)


@contextmanager
def plain_formulas(figure: Figure) -> Iterator[None]:
    """Show `A_id` and `A_ood` in a figure as plain text.

    matplotlib writes the letters of a formula to an SVG one by one, in no order that can be read;
    see `add_subscripts`.
    """
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if text.get_parse_math()]
    for text in texts:
        text.set_text(re.sub(_SET, r"A_\1", text.get_text()).replace(r"\$", "$"))
        text.set_parse_math(False)
    yield
    for text in texts:
        typeset(text)


def add_subscripts(svg: str) -> str:
    """Give the accuracies in the texts of an SVG their subscripts."""
    subscript = (
        '<tspan font-style="italic">A</tspan><tspan dy="0.3em" font-size="70%">\\1</tspan>'
        '<tspan dy="-0.21em">\N{ZERO WIDTH SPACE}</tspan>'
    )
    return re.sub(r"(?<=>)[^<]*(?=</text>)", lambda t: re.sub(_PLAIN, subscript, t[0]), svg)


def plain_text(text: str) -> str:
    """Return a caption in one line, with common spaces."""
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())

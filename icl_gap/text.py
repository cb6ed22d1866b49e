"""Text of data, models and users: made printable, shortened, and cut at whole characters."""

from __future__ import annotations

REPLACEMENT_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""Stands in decoded text for bytes that are not, or not yet, a UTF-8 character."""
_MAX_CHARACTER_BYTES = 4
"""Bytes of a UTF-8 character, at most."""

_BRIEF = 160
"""Length of the line that stands for a large object, at most; in characters."""


def printable(text: str) -> str:
    """Return a text with escapes for control characters, except line ends, and lone surrogates."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def drop_incomplete_character(text: str) -> str:
    """Return decoded text without the U+FFFD at its end that more bytes may turn into a character.

    Some decoders write one U+FFFD for the first bytes of a character, others one for each byte. An
    incomplete character has at most three bytes, so at most three U+FFFD are dropped.
    """
    complete = text.rstrip(REPLACEMENT_CHARACTER)
    return text[: max(len(complete), len(text) - (_MAX_CHARACTER_BYTES - 1))]


def brief(kind: str, *parts: str) -> str:
    """Return a short line for a large object in a console, a log or a traceback.

    Args:
        kind: The name of the object's class.
        *parts: Its name, its sizes and the like.
    """
    line = printable(f"<{kind} {', '.join(parts)}>").replace("\n", "\\n")
    return line if len(line) <= _BRIEF else f"{line[: _BRIEF - 2]}…>"


def shots_text(shots: int) -> str:
    """Return a number of exemplars as text: `1 shot`, `5 shots`."""
    return f"{shots} shot" if shots == 1 else f"{shots} shots"


def signed_number(value: float, digits: int = 2) -> str:
    """Format a change with its sign and a proper minus; zero has a plus."""
    text = f"{value:+.{digits}f}"
    return (f"+{text[1:]}" if not float(text) else text).replace("-", "\u2212")


def plain_number(value: float, digits: int = 2) -> str:
    """Format a number with a proper minus."""
    text = f"{value:.{digits}f}"
    return (text.removeprefix("-") if not float(text) else text).replace("-", "\u2212")


def signed_interval(ends: tuple[float, float], digits: int = 2) -> str:
    """Format the ends of an interval of a change."""
    return f"[{', '.join(signed_number(end, digits) for end in ends)}]"


def escape_latex(text: str) -> str:
    """Return plain text as LaTeX that shows it, in one line.

    Other characters than ASCII stay as they are, for a document in UTF-8.
    """
    line = " ".join(printable(text).split())
    return "".join(_LATEX.get(c, c) for c in line).replace("--", "-{}-").replace("--", "-{}-")


_LATEX = {
    **{c: f"\\{c}" for c in "{}$&#_%"},
    # An asterisk or a bracket at the start of a row would be an argument of the `\\` before it.
    **{c: f"{{{c}}}" for c in "*["},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}

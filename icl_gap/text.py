"""Text of data, models and users, made fit to be shown."""

from __future__ import annotations

_BRIEF = 160
"""The most characters of the line that stands for a large object."""


def printable(text: str) -> str:
    """Text with its control characters, line ends apart, and lone surrogates written out."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def brief(kind: str, *parts: str) -> str:
    """One short line that stands for a large object in a console, a log or a traceback.

    Args:
        kind: The object's class.
        *parts: What tells it from others, such as its name and its sizes.
    """
    line = printable(f"<{kind} {', '.join(parts)}>").replace("\n", "\\n")
    return line if len(line) <= _BRIEF else f"{line[: _BRIEF - 2]}…>"


def shots_text(shots: int) -> str:
    """A number of exemplars in words: `1 shot`, `5 shots`."""
    return f"{shots} shot" if shots == 1 else f"{shots} shots"

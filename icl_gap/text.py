"""Text of data, models and users, made fit to be shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text with its control characters, line ends apart, and lone surrogates written out."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def shots_text(shots: int) -> str:
    """A number of exemplars in words: `1 shot`, `5 shots`."""
    return f"{shots} shot" if shots == 1 else f"{shots} shots"

"""Program templates: programs that differ in the numbers of placeholders and variables alone."""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"\b([Mmx])\d+\b")


def program_template(program: str) -> str:
    """Return a program without the numbers of its placeholders and variables (`M1`, `?x2`)."""
    return _NUMBERED.sub(r"\1", program)

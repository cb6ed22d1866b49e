"""Reasoning of a response, set apart from its answer by tags."""

from __future__ import annotations

import re

_OPEN = re.compile(r"\s*<(think|thinking|thought)>", re.IGNORECASE)
_CLOSE = re.compile(r"</(think|thinking|thought)>", re.IGNORECASE)


def split_reasoning(
    text: str, tags: tuple[str, str] | None = None, *, opened: bool = False
) -> tuple[str, str | None]:
    """Split a text into the answer, and the reasoning that tags set apart before it.

    An opening tag may be missing, as some chat templates write it into the prompt; without a
    closing tag, all that follows an opening one is reasoning.

    Args:
        text: The text of a response.
        tags: The text before and after reasoning; by default `<think>`, `<thinking>` or
            `<thought>`, and the closing one of these.
        opened: True if the prompt ends with the opening tag.

    Returns:
        The answer, and the reasoning without its tags; None where there are no tags.
    """
    begin, end = (_OPEN, _CLOSE) if tags is None else _patterns(tags)
    found, closed = begin.match(text), end.search(text)
    start = found.end() if found else 0
    if closed:
        return text[closed.end() :].lstrip(), text[start : closed.start()].strip()
    return ("", text[start:].strip()) if found or opened else (text, None)


def _patterns(tags: tuple[str, str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    before, after = map(re.escape, tags)
    return re.compile(rf"\s*{before}"), re.compile(after)

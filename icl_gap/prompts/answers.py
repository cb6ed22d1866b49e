"""The part of a chat response that counts as its answer."""

from __future__ import annotations

import re
from typing import assert_never

from icl_gap.schema import AnswerRule

DEFAULT_ANSWER: AnswerRule = "first_line"
"""Rule for chat responses where a model's entry names none: as in a completion, the first line."""
_FENCE = re.compile(r"^[ \t]*```[^\n`]*$", re.MULTILINE)
_BLOCK = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)


def extract_answer(
    text: str, rule: AnswerRule, *, label: str = "", pattern: str | None = None
) -> str | None:
    """Return the answer in a chat response; None if there is none.

    - `first_line`, `last_line`: the first or the last line that is not blank. Lines that only open
      or close a code block are left out.
    - `after_label`: the rest of the line after the last occurrence of the label of targets, or the
      next line that is not blank.
    - `fenced`: the content of the last code block that is closed, its lines joined by spaces.
    - `regex`: the last match of a pattern: its first group, or all of it.

    White space and backticks around the answer are left out, and so is a label of targets before
    it. An answer without any other character is none.

    Args:
        text: The response, without reasoning.
        rule: The rule.
        label: The label of targets in the prompt, e.g. `Query:`.
        pattern: The pattern, for `regex`.
    """
    found: str | None
    match rule:
        case "first_line":
            found = next(iter(_lines(text)), None)
        case "last_line":
            found = next(reversed(_lines(text)), None)
        case "after_label":
            found = _after(text, label)
        case "fenced":
            blocks = _BLOCK.findall(text)
            found = " ".join(_lines(blocks[-1])) if blocks else None
        case "regex":
            found = _matched(text, pattern or "")
        case _:
            assert_never(rule)
    return None if found is None else _bare(found, label) or None


def _lines(text: str) -> list[str]:
    """Return the lines that are not blank, without those that open or close a code block."""
    return [line.strip() for line in _FENCE.sub("", text).splitlines() if line.strip()]


def _after(text: str, label: str) -> str | None:
    _, found, after = text.rpartition(label) if label else ("", "", "")
    return next(iter(_lines(after)), None) if found else None


def _matched(text: str, pattern: str) -> str | None:
    found = None
    for found in re.finditer(pattern, text):  # noqa: B007 (the last one counts)
        pass
    if found is None:
        return None
    return found[1] if found.re.groups else found[0]


def _bare(answer: str, label: str) -> str:
    answer = answer.strip().strip("`").strip()
    return answer.removeprefix(label).strip().strip("`").strip() if label else answer

"""Compositional GSM: pairs of questions, the second about the answer to the first.

Source: Hosseini et al. 2024, arXiv 2410.01748; made here from any file in the form of GSM8K (Cobbe
et al. 2021, arXiv 2110.14168): one JSON object a line with `question` and `answer`, the final
number after `####`. X, the answer to the first question, replaces an equal number in the second
one, so that the solution of the second still holds.

Each question is in one pair at most. The splits `composed`, `first` and `second` hold the same
pairs in the same order: both questions as one, the first alone, the second as it was. An example's
id is `gsm-<side><pair>-<split>`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icl_gap.data.examples import Sides, one_line
from icl_gap.data.loaders import Loader, SplitInputs
from icl_gap.data.text_files import read_lines
from icl_gap.errors import DataError, Place
from icl_gap.schema import ANSWER_MARK, Example

_CALCULATION = re.compile(r"<<[^>]*>>")
_NUMBER = re.compile(r"(?<![\w.,:/])\d+(?:,\d{3})*(?!\w|[.,:/]?\d)", re.ASCII)
"""A whole number in digits that is not part of a fraction, a decimal, a time or a word."""
_MOST_DIGITS = 300
"""The most digits of an answer; Python does not convert numbers of thousands of digits."""


@dataclass(frozen=True, slots=True)
class GsmQuestion:
    """A row of the file."""

    text: str
    solution: str
    """The solution without calculator annotations and final number."""
    answer: int


@dataclass(frozen=True, slots=True)
class ComposedQuestion:
    """A pair of questions."""

    first: GsmQuestion
    second: GsmQuestion
    start: int
    """The offset in the second question's text of the number that X replaces."""
    end: int


def read_gsm(inputs: SplitInputs, *, solutions: bool) -> Sides:
    """Read a split.

    Args:
        inputs: The split `composed`, `first` or `second`, with files in the form of GSM8K.
        solutions: True for whole solutions as targets, False for the final number alone.

    Raises:
        DataError: A line is not in that form, or there is no pair in a file.
    """
    sides = {
        side: [
            _example(side, number, pair, inputs.split, solutions=solutions)
            for number, pair in enumerate(_pairs(path))
        ]
        for side, path in zip(("train", "test"), inputs.files, strict=True)
    }
    return Sides(sides["train"], sides["test"])


def _example(
    side: str, number: int, pair: ComposedQuestion, split: str, *, solutions: bool
) -> Example:
    first, second = pair.first, pair.second
    match split:
        case "first":
            source, solution, answer = first.text, first.solution, first.answer
        case "second":
            source, solution, answer = second.text, second.solution, second.answer
        case _:
            about_x = f"{second.text[: pair.start]}X{second.text[pair.end :]}"
            source = f"Let X be the answer to Q1. Q1: {first.text} Q2: {about_x}"
            solution = f"{first.solution} So X is {first.answer}. {second.solution}"
            answer = second.answer
    target = f"{solution} {ANSWER_MARK} {answer}" if solutions else str(answer)
    return Example(f"gsm-{side}{number}-{split}", source, target)


def _pairs(path: Path) -> list[ComposedQuestion]:
    """Pair each question with the first one in the file whose answer it contains."""
    rows = list(_rows(path))
    by_answer: defaultdict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        by_answer[row.answer].append(place)
    used: set[int] = set()
    found = []
    for place, second in enumerate(rows):
        if place in used:
            continue
        for at in _numbers(second.text):
            digits = second.text[slice(*at)].replace(",", "")
            value = int(digits) if len(digits) <= _MOST_DIGITS else -1  # equal to no answer
            firsts = (n for n in by_answer[value] if n not in used and n != place)
            if (first := next(firsts, None)) is not None:
                found.append(ComposedQuestion(rows[first], second, *at))
                used |= {first, place}
                break
    if not found:
        raise DataError("no two questions of it make a pair", place=Place(path))
    return found


def _numbers(text: str) -> list[tuple[int, int]]:
    """Return the spans of the numbers that occur once in a question."""
    spans = [match.span() for match in _NUMBER.finditer(text)]
    names = [text[slice(*span)] for span in spans]
    return [span for span, name in zip(spans, names, strict=True) if names.count(name) == 1]


def _rows(path: Path) -> Iterator[GsmQuestion]:
    """Yield the rows whose answers are whole numbers."""
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row: dict[str, Any] = json.loads(line)
            text, whole = one_line(row["question"]), one_line(row["answer"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _fault(line, path, number) from error
        solution, mark, answer = _CALCULATION.sub("", whole).rpartition(ANSWER_MARK)
        if not mark or not text:
            raise _fault(line, path, number)
        if (value := answer.strip().replace(",", "")).isdecimal() and value.isascii():
            if len(value) > _MOST_DIGITS:
                raise DataError(
                    "the answer has too many digits",
                    value=len(value),
                    allowed=f"at most {_MOST_DIGITS} digits",
                    place=Place(path, number),
                )
            yield GsmQuestion(text, solution.strip(), int(value))


def _fault(line: str, path: Path, number: int) -> DataError:
    return DataError(
        "not a question with its solution",
        value=line,
        allowed='{"question": "…", "answer": "… #### 72"}',
        place=Place(path, number),
    )


LOADER = Loader(read_gsm, split_files=("train", "test"), options={"solutions": True})

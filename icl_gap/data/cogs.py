"""COGS: sentences and their logical forms, with a generalization set of 21 cases.

Source: Kim & Linzen 2020, arXiv 2010.05465. Each line of a file is a sentence, a logical form and
what the line is a case of, with a tab between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from icl_gap.data.examples import Pair, Sides, by_content, one_line
from icl_gap.data.places import read_text
from icl_gap.errors import DataError, Place

WHOLE = frozenset({"gen", "iid"})
"""Splits that test all of their file; any other tests the case that it is named after."""


def read(split: str, files: list[Path]) -> Sides:
    """Read a split.

    Args:
        split: Its name.
        files: Train and test.

    Raises:
        DataError: A line has not three fields.
    """
    train, test = files
    case = None if split in WHOLE else split
    return by_content("cogs", _pairs(train, None), _pairs(test, case))


def _pairs(path: Path, case: str | None) -> Iterator[Pair]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        fields = [one_line(field) for field in line.split("\t")]
        if len(fields) != 3 or not all(fields):
            raise DataError(
                "not a sentence, its logical form and its case",
                value=line,
                allowed="three fields with a tab between them",
                place=Place(path, number),
            )
        if case in {None, fields[2]}:
            yield fields[0], fields[1]

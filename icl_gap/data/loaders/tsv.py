"""Plain benchmarks: a source, a tab and its target on each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from icl_gap.data.examples import Pair, Sides, by_content, one_line
from icl_gap.data.locations import read_lines
from icl_gap.errors import DataError, Place


def read(name: str, files: list[Path]) -> Sides:
    """Read both sides.

    Args:
        name: Of the benchmark; it begins the ids.
        files: Train and test.

    Raises:
        DataError: A line has no tab, or more than one, or nothing beside it.
    """
    train, test = files
    return by_content(name, _pairs(train), _pairs(test))


def _pairs(path: Path) -> Iterator[Pair]:
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        fields = [one_line(field) for field in line.split("\t")]
        if len(fields) != 2 or not all(fields):
            raise DataError(
                "not a source and a target",
                value=line,
                allowed="a source, one tab, a target",
                place=Place(path, number),
            )
        yield fields[0], fields[1]

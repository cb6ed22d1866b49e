"""Benchmarks of plain pairs: a source, a tab and its target on each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from icl_gap.data.examples import Pair, Sides, one_line, sides_from_pairs
from icl_gap.data.loaders import Loader, SplitInputs
from icl_gap.data.text_files import read_lines
from icl_gap.errors import DataError, Place


def read_tsv(inputs: SplitInputs) -> Sides:
    """Read both sides of a split; ids begin with the benchmark's name.

    Raises:
        DataError: A line has no tab, or more than one, or nothing beside it.
    """
    train, test = inputs.files
    return sides_from_pairs(inputs.benchmark, _pairs(train), _pairs(test))


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


LOADER = Loader(read_tsv, split_files=("train", "test"))

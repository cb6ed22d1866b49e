"""GeoQuery: 880 questions on the geography of the USA, with FunQL programs.

Questions and programs: Zelle & Mooney 1996, Kate et al. 2005. Normal form, placeholders and the
splits standard, template, tmcd and length: Shaw et al. 2021, arXiv 2010.12725. The splits `csl_*`:
Qiu et al. 2022, arXiv 2112.07610.

An example's id is `geo-<row of all.jsonl>`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from icl_gap.data.examples import Sides
from icl_gap.data.loaders import Loader, SplitInputs
from icl_gap.data.text_files import read_lines, read_text
from icl_gap.errors import DataError, Place
from icl_gap.programs.funql.corpus import (
    Term,
    clean_question,
    convert,
    parse_published,
    spaced,
    with_placeholders,
)
from icl_gap.programs.funql.geobase import read_geobase
from icl_gap.programs.language import Database, MalformedError
from icl_gap.schema import Example

ROWS, FACTS = "all.jsonl", "geobase"

_STATE = re.compile(r"^state\('([^']*)',\s*'([^']*)'", re.MULTILINE)


def read_geoquery(inputs: SplitInputs, *, placeholders: bool) -> Sides:
    """Read a split.

    Args:
        inputs: The split's file of row numbers, `all.jsonl` and `geobase`.
        placeholders: Put `m0`, `m1` for entities, on both sides.

    Returns:
        Both sides in the published order; development rows are not used.

    Raises:
        DataError: A file is not in the form that is expected.
    """
    members, rows, facts = inputs.files
    examples = read_rows(rows, facts, placeholders=placeholders)
    train, test = _members(members, len(examples))
    return Sides([examples[row] for row in train], [examples[row] for row in test])


def read_rows(rows: Path, facts: Path, *, placeholders: bool) -> list[Example]:
    """Return all examples in the order of the corpus.

    Args:
        rows: One JSON object a line, with `query` and `funql`.
        facts: The database as Prolog facts; state names come from it.
        placeholders: As in `read_geoquery`.
    """
    states = state_names(facts)
    return [
        _example(number, line, states, placeholders, rows)
        for number, line in enumerate(read_lines(rows))
    ]


def read_database(rows: Path, facts: Path) -> Database:
    """Read the database that the programs are run on.

    Args:
        rows: Rows of the corpus, as in `read_rows`.
        facts: Prolog facts, as in `read_rows`.

    Returns:
        The facts, with the bindings of every row's placeholders.

    Raises:
        DataError: A row or a fact is not as published.
    """
    states = state_names(facts)
    bindings = {}
    for number, line in enumerate(read_lines(rows)):
        with _row(number, line, rows):
            bindings[_id(number)] = with_placeholders(*_pair(line), states)[2]
    text = read_text(facts)
    try:
        read_geobase(text)  # remembered, so that running a program does not read it again
    except (ValueError, LookupError) as error:
        raise DataError(
            "a fact lacks an argument, or names a state that has no fact of its own",
            value=str(error),
            allowed="geobase as it is published with GeoQuery",
            place=Place(facts),
        ) from error
    return Database(text, bindings)


def state_names(facts: Path) -> dict[str, str]:
    """Return the name of each state by its abbreviation.

    Raises:
        DataError: The file has no fact about a state.
    """
    states = {short: name for name, short in _STATE.findall(read_text(facts))}
    if not states:
        raise DataError("there is no fact on any state in it", place=Place(facts))
    return states


def _example(
    number: int, line: str, states: dict[str, str], placeholders: bool, path: Path
) -> Example:
    with _row(number, line, path):
        source, target = _pair(line)
        if placeholders:
            source, target, _ = with_placeholders(source, target, states)
        return Example(_id(number), source, spaced(target))


def _id(number: int) -> str:
    return f"geo-{number}"


def _pair(line: str) -> tuple[str, Term]:
    row: dict[str, Any] = json.loads(line)
    return clean_question(row["query"]), convert(parse_published(row["funql"]))


@contextmanager
def _row(number: int, line: str, path: Path) -> Iterator[None]:
    """Turn errors of a row into a `DataError` that names it."""
    try:
        yield
    except (
        MalformedError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise DataError(
            f"not a row of GeoQuery: {error}",
            value=line,
            allowed='a JSON object with "query" and "funql"',
            place=Place(path, number + 1),
        ) from error


def _members(path: Path, n_rows: int) -> tuple[list[int], list[int]]:
    try:
        split = json.loads(read_text(path))
        train, test = ([int(row) for row in split[side]] for side in ("train", "test"))
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            "not a split file of GeoQuery",
            value=str(error),
            allowed='{"train": [...], "test": [...]}',
            place=Place(path),
        ) from error
    outside = [row for row in (*train, *test) if not 0 <= row < n_rows]
    if outside:
        raise DataError(
            "the split names a row that is not there",
            value=outside[0],
            allowed=f"0 to {n_rows - 1}",
            place=Place(path),
        )
    return train, test


LOADER = Loader(
    read_geoquery,
    split_files=("members",),
    options={"placeholders": True},
    more_files=lambda _folder: (ROWS, FACTS),
)

"""CFQ: questions and SPARQL queries over Freebase (Keysers et al. 2020, arXiv 1912.09713).

Two forms on disk and a hub repository are read; all give the same text for the same row.

- The official archive: `dataset.json` and `splits/*.json`. The text gets the
  preprocessing of the authors' own experiments: punctuation is separated, prefixes are removed.
- That preprocessing's output for MCD1, as parallel text files, with a file of `dataset.json` row
  numbers beside them. Another split takes the rows that are there.

An example's id is `cfq-<row of dataset.json>`. A hub repository does not tell that row; there the
id is made from the row's text.
"""

from __future__ import annotations

import json
import mmap
import re
import string
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path

from icl_gap.data.examples import Pair, Sides
from icl_gap.data.loaders import Loader, SplitInputs
from icl_gap.data.text_files import read_lines, read_text
from icl_gap.errors import DataError, Place
from icl_gap.schema import Example

OFFICIAL = "dataset.json"
PARALLEL = tuple(
    f"mcd1/{side}_{column}.txt"
    for side in ("train", "dev", "test")
    for column in ("idx", "encode", "decode")
)

_APART = {ord(mark): f" {mark} " for mark in string.punctuation}
_FIELD = re.compile(rb'"(question|sparql)PatternModEntities"\s*:\s*"((?:[^"\\]|\\.)*)"')


def published_files(folder: Path) -> Sequence[str]:
    """Return the names of the files that hold questions and queries, in either form."""
    return [OFFICIAL] if (folder / OFFICIAL).is_file() else PARALLEL


def read_cfq(inputs: SplitInputs, *, postprocess: bool) -> Sides:
    """Read a split.

    Args:
        inputs: The split's file of row numbers, and those that `published_files` names.
        postprocess: Sort and deduplicate the conjuncts of each query, see `sort_conjuncts`.

    Returns:
        The rows that are there, in the published order; development rows are not used.

    Raises:
        DataError: A file is not in the form that is expected.
    """
    members, *texts = inputs.files
    train, test = row_numbers(members)
    wanted = {*train, *test}
    rows = dict(_official(texts[0], wanted) if len(texts) == 1 else _parallel(texts, wanted))
    if len(texts) == 1 and len(rows) < len(wanted):
        raise DataError(
            "the rows that the split names are not all in the file",
            value=f"{len(rows)} of {len(wanted)}",
            allowed="dataset.json of the official archive, whole",
            place=Place(texts[0]),
        )
    return Sides(_side(train, rows, postprocess), _side(test, rows, postprocess))


def _side(numbers: list[int], rows: dict[int, Pair], postprocess: bool) -> list[Example]:
    convert = sort_conjuncts if postprocess else str
    return [
        Example(f"cfq-{number}", rows[number][0], convert(rows[number][1]))
        for number in numbers
        if number in rows
    ]


def convert_cfq_pairs(pairs: Iterable[Pair], *, postprocess: bool) -> Iterator[Pair]:
    """Preprocess questions and queries of a hub repository, which are in the official form.

    Args:
        pairs: Pairs of a question and a query.
        postprocess: As in `read_cfq`.
    """
    for question, query in pairs:
        prepared = preprocess_query(query)
        yield preprocess_question(question), sort_conjuncts(prepared) if postprocess else prepared


def preprocess_question(text: str) -> str:
    """Separate punctuation by spaces: `M1's` becomes `M1 ' s`."""
    return " ".join(text.translate(_APART).split())


def preprocess_query(text: str) -> str:
    """Put a query on one line and remove the prefix of each name.

    `ns:film.editor.film` becomes `film.editor.film`, `ns:m.02zsn` becomes `m_02zsn`, `count(*)`
    becomes `count ( * )`; a prefix inside a property path stays.
    """
    words = text.replace("count(*)", "count ( * )").split()
    spaced = " ".join(["", *words])
    return spaced.replace(" ns:", " ").replace(" m.", " m_")[1:]


def sort_conjuncts(query: str) -> str:
    """Sort a query's conjuncts and drop repeated ones (Herzig et al. 2021, arXiv 2104.07478).

    FILTER conjuncts are sorted with the others and kept as often as they stand.

    Args:
        query: A preprocessed query; one without a `WHERE { … }` is returned unchanged.
    """
    head, opening, rest = query.partition(" WHERE { ")
    if not opening or not rest.endswith(" }"):
        return query
    conjuncts = rest.removesuffix(" }").split(" . ")
    filters = [conjunct for conjunct in conjuncts if conjunct.startswith("FILTER")]
    others = {conjunct for conjunct in conjuncts if not conjunct.startswith("FILTER")}
    return f"{head}{opening}{' . '.join(sorted([*filters, *others]))} }}"


def row_numbers(path: Path) -> tuple[list[int], list[int]]:
    """Return the `dataset.json` rows of train and test that a split file names.

    Raises:
        DataError: The file is no split file.
    """
    try:
        split = json.loads(read_text(path))
        sides = [[int(number) for number in split[key]] for key in ("trainIdxs", "testIdxs")]
    except (ValueError, OverflowError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            "not a split file of CFQ",
            value=str(error),
            allowed='{"trainIdxs": [...], "devIdxs": [...], "testIdxs": [...]}',
            place=Place(path),
        ) from error
    return sides[0], sides[1]


def _official(path: Path, wanted: Container[int]) -> Iterator[tuple[int, Pair]]:
    """Yield the wanted rows of `dataset.json`.

    The file has several gigabytes, most of them in other fields, so it is searched for the two
    fields and never parsed as a whole. A quote inside a JSON string is escaped, so the names of the
    fields cannot occur in a value.
    """
    for number, (question, query) in enumerate(_fields(path)):
        if number in wanted:
            try:
                texts = json.loads(b'["%b","%b"]' % (question, query))
            except ValueError as error:
                raise DataError(
                    f"row {number} is not valid JSON", value=str(error), place=Place(path)
                ) from error
            yield number, (preprocess_question(texts[0]), preprocess_query(texts[1]))


def _fields(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield the question and the query of each row, in the order of the rows."""
    row: dict[bytes, bytes] = {}
    with path.open("rb") as file:
        if not path.stat().st_size:
            raise DataError("the file is empty", place=Place(path))
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for match in _FIELD.finditer(content):
                if match[1] in row:
                    break
                row[match[1]] = match[2]
                if len(row) == 2:
                    yield row[b"question"], row[b"sparql"]
                    row = {}
    if row:
        raise DataError(
            "a row has one of the two fields questionPatternModEntities and "
            "sparqlPatternModEntities without the other",
            place=Place(path),
        )


def _parallel(paths: list[Path], wanted: Container[int]) -> Iterator[tuple[int, Pair]]:
    """Yield the wanted rows of the parallel files: numbers, questions, queries for each set."""
    for start in range(0, len(paths), 3):
        columns = [read_lines(path) for path in paths[start : start + 3]]
        lengths = [len(column) for column in columns]
        if len(set(lengths)) > 1:
            raise DataError(
                "parallel files differ in length",
                value=lengths,
                allowed="one line a row in each of the three files",
                place=Place(paths[start]),
            )
        for number, question, query in zip(*columns, strict=True):
            if (index := _number(number, paths[start])) in wanted:
                yield index, (question, query)


def _number(text: str, path: Path) -> int:
    try:
        return int(text)
    except ValueError:
        raise DataError("not a row number", value=text, place=Place(path)) from None


LOADER = Loader(
    read_cfq,
    split_files=("members",),
    options={"postprocess": True},
    more_files=published_files,
    convert_pairs=convert_cfq_pairs,
)

"""Files of cells: their names, and lines whose checksums reveal damage."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter

from icl_gap.errors import StoreError
from icl_gap.files import check_folder, open_regular
from icl_gap.results.migration import READABLE, migrated_header, migrated_record
from icl_gap.schema import SCHEMA_VERSION, CellInfo, CellResult, Record

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

KEY_LENGTH = 16
"""Hexadecimal digits of a cell's key in its file's name."""
T = TypeVar("T")
_CHECKSUM_LENGTH = len(',"crc":"01234567"}\n')
_HEADER = b'{"key":"'
"""Start of every header, and of no record."""


class CellState(StrEnum):
    """State of a cell's file; each value ends the names of the files in that state.

    A cell is *settled* once each of its requests has a record: it is finished or failed. A run
    moves a cell from partial to finished, or to failed, and back from failed to partial.
    """

    FINISHED = ".jsonl"
    """Each request was scored or skipped."""
    FAILED = ".jsonl.failed"
    """Each request has a record, and some of these are failures, which the next run repeats."""
    PARTIAL = ".jsonl.part"
    """Some requests have no record yet."""


class DamageError(ValueError):
    """A file that is not as it was written."""


class SchemaVersionError(DamageError):
    """A file of a version of the schema that is not read.

    Args:
        version: The version that the file names.
    """

    def __init__(self, version: object) -> None:
        readable = " and ".join(map(str, READABLE))
        super().__init__(f"written in schema version {version}; versions {readable} are read")


def cell_name(info: CellInfo) -> str:
    """Return a readable file name that no two cells share; it ends in the start of the key."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", info.model).strip("-")[:80]
    grid = f"{info.query_split}-{info.condition}.{info.shots}shots.seed{info.seed}"
    return f"{info.dataset}-{info.split}.{plain}.{grid}.{info.key[:KEY_LENGTH]}"


def cell_files(folder: Path, state: CellState) -> dict[str, Path]:
    """Return the files of cells in one state, by the start of their keys.

    Args:
        folder: The results folder.
        state: The state.

    Raises:
        StoreError: Two files hold one cell, or `cells` is not a folder.
    """
    found: dict[str, Path] = {}
    for path in list_cells(folder, state):
        first = found.setdefault(key_prefix(path), path)
        if first is not path:
            raise StoreError(f"{path}: {duplicate_problem(first)}")
    return found


def list_cells(folder: Path, *states: CellState) -> list[Path]:
    """Return all files in some states, sorted within each.

    Raises:
        StoreError: `cells` is not a folder.
    """
    cells = folder / "cells"
    try:
        check_folder(cells)
    except NotADirectoryError:  # `folder` itself is a file, which is an error once it is written to
        return []
    except OSError as error:
        raise StoreError(f"{cells}: cannot be read: {error.strerror}") from error
    return [path for state in states for path in sorted(cells.glob(f"*{state}"))]


def duplicate_problem(first: Path) -> str:
    """Return the problem of a second file of a cell in one state, and what to do."""
    return (
        f"a second file of the cell that {first.name} holds; "
        "find out which of the two is right, and move the other out of the folder"
    )


def settled_files(folder: Path) -> dict[str, Path]:
    """Return the files of settled cells, by the start of their keys.

    A run killed between its last two steps leaves a cell in two states; the later one counts.

    Raises:
        StoreError: As `cell_files`.
    """
    return cell_files(folder, CellState.FAILED) | cell_files(folder, CellState.FINISHED)


def in_state(path: Path, state: CellState) -> Path:
    """Return the path of a cell's file in another state."""
    return path.with_name(path.name.rpartition(CellState.FINISHED)[0] + state)


def key_prefix(path: Path) -> str:
    """Return the start of a cell's key, which ends its file's name."""
    return path.name.rpartition(CellState.FINISHED)[0].rpartition(".")[2]


def is_finished(info: CellInfo, finished: Mapping[str, Path]) -> bool:
    """Return whether a cell's file says that it holds all of the cell's queries.

    Args:
        info: The cell.
        finished: The files of finished cells, by the start of their keys.
    """
    path = finished.get(info.key[:KEY_LENGTH])
    try:
        return path is not None and read_header(path).covers(info.n_queries)
    except StoreError:
        return False


def is_failed(line: bytes) -> bool:
    """Return whether the line of a record says that its request failed."""
    return b'"status":"failed"' in line  # quotes within a text are escaped


def with_checksum(text: str, key: str) -> str:
    """Return a line's text with a checksum of itself and of the cell's key.

    Args:
        text: A JSON object, as `dump_json` writes it.
        key: The cell's key, or the start of it.
    """
    body = text[:-1]
    return body + _checksum_text(body.encode(), key).decode()


def header_line(info: CellInfo) -> bytes:
    """Return the first line of a cell's file."""
    return f"{with_checksum(dump_json(info), info.key)}\n".encode()


def check_record(line: bytes, key: str) -> None:
    """Check that a record's line is as it was written.

    Raises:
        DamageError: It is not, or belongs to another cell.
    """
    if not line.endswith(b"\n"):
        raise DamageError("torn")
    if not _has_checksum(line, key) or line.startswith(_HEADER):
        raise DamageError("not as it was written")


def _has_checksum(line: bytes, key: str) -> bool:
    return line[-_CHECKSUM_LENGTH:] == _checksum_text(line[:-_CHECKSUM_LENGTH], key) + b"\n"


def _checksum_text(body: bytes, key: str) -> bytes:
    return b',"crc":"%08x"}' % _checksum(body, key)


def _checksum(body: bytes, key: str) -> int:
    try:
        start = int(key[:8], 16)
    except ValueError:  # a file whose name ends in no key
        start = 0
    return zlib.crc32(body, start)


def parse_record(line: bytes, key: str, version: int = SCHEMA_VERSION) -> Record:
    """Return the record of a line.

    Args:
        line: The line.
        key: The cell's key, or the start of it.
        version: The version of the schema that the line is written in.

    Raises:
        DamageError: It is not as it was written.
    """
    check_record(line, key)
    value = json.loads(line)
    del value["crc"]
    record: Record = validator(Record).validate_python(migrated_record(value, version))
    return record


def parse_header(line: bytes, key: str) -> CellInfo:
    """Return a cell's description from the first line of its file.

    Args:
        line: The line.
        key: The start of the key that the file's name has.

    Raises:
        SchemaVersionError: Its schema version is not read.
        DamageError: It is not as it was written, or belongs to another cell than the name says.
    """
    if not line:
        raise DamageError("empty")
    if not _has_checksum(line, key):
        raise DamageError("its header is not as it was written")
    try:
        value = json.loads(line)
        del value["crc"]
        version = value["schema_version"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise DamageError("its header describes no cell") from error
    if version not in READABLE:
        raise SchemaVersionError(version)
    try:
        info: CellInfo = validator(CellInfo).validate_python(migrated_header(value))
    except ValueError as error:
        raise DamageError("its header describes no cell") from error
    if not info.key.startswith(key):
        raise DamageError("it holds another cell than its name says")
    return info


def read_header(path: Path) -> CellInfo:
    """Read the description of a settled cell from its file.

    Raises:
        StoreError: The header is damaged, or its schema version is not read.
    """
    try:
        with open_regular(path) as lines:
            return parse_header(lines.readline(), key_prefix(path))
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise damage_error(path, error) from error


def read_cell(path: Path) -> CellResult:
    """Read a settled cell, and check every value of it.

    Raises:
        StoreError: The file is damaged, or its schema version is not read.
    """
    key = key_prefix(path)
    records: list[Record] = []
    try:
        with open_regular(path) as lines:
            info = parse_header(lines.readline(), key)
            for line in lines:  # no comprehension: an error counts the good records
                record = parse_record(line, key, info.schema_version)
                records.append(record)
        if len(records) != info.n_queries:
            raise DamageError(f"{len(records)} records instead of {info.n_queries}")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise damage_error(path, error, good=len(records)) from error
    return CellResult(info, tuple(records))


def damage_error(path: Path, reason: Exception, *, good: int | None = None) -> StoreError:
    """Return the error for a damaged file, with what to do."""
    after = "" if good is None else f" after {good} good records"
    what = str(reason) if isinstance(reason, SchemaVersionError) else f"damaged{after}: {reason}"
    return StoreError(
        f"{path}: {what}; run the sweep again, or `icl-gap store repair` its folder: the file is "
        "set aside, its good records are kept, the others are requested again"
    )


def fields_of(value: DataclassInstance) -> dict[str, Any]:
    """Return the fields by name, without the deep copies of `asdict`."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


# ASCII alone, so that lone surrogates in a model's answer survive.
dump_json = json.JSONEncoder(separators=(",", ":"), default=fields_of).encode


@cache
def validator(kind: type[T]) -> TypeAdapter[T]:
    """Return the validator of a dataclass."""
    return TypeAdapter(kind)

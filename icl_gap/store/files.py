"""The files of a results folder: their names, and lines that are whole."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter

from icl_gap.errors import StoreError
from icl_gap.records import SCHEMA_VERSION, CellInfo, CellResult, Divergence, Record, Usage

MANIFEST = "sweep.json"
KEY_LENGTH = 16
"""Hexadecimal digits of a cell's key in its file's name."""
T = TypeVar("T")
_MEND = "move the file away and run the sweep again"


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell in the manifest."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    name: str
    model: str
    family: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `sweep.json` holds."""

    schema_version: int
    sweep: dict[str, Any]
    cells: tuple[Entry, ...]


def cell_name(info: CellInfo) -> str:
    """A file name that a reader can tell and that no two cells share; its end finds the cell."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", info.model).strip("-")[:80]
    grid = f"{info.query_split}-{info.condition}.{info.shots}shots.seed{info.seed}"
    return f"{info.dataset}-{info.split}.{plain}.{grid}.{info.key[:KEY_LENGTH]}"


def finished_files(folder: Path) -> dict[str, Path]:
    """The files of finished cells by the start of their keys."""
    return {path.stem.rpartition(".")[2]: path for path in folder.glob("cells/*.jsonl")}


def begun_file(folder: Path, info: CellInfo) -> Path | None:
    """Where a cell was begun; its name may tell another label."""
    return next((folder / "cells").glob(f"*.{info.key[:KEY_LENGTH]}.jsonl.part"), None)


def read_record(line: bytes) -> Record:
    """One record of a line that ends.

    Raises:
        ValueError: It does not end, or is no record.
    """
    if not line.endswith(b"\n"):
        raise ValueError("torn")
    record: Record = adapter(Record).validate_python(json.loads(line))
    return record


def read_info(path: Path) -> CellInfo:
    """What a finished cell is, from its file's first line.

    Raises:
        StoreError: The line is damaged, or was written in another form.
    """
    try:
        with path.open("rb") as lines:
            return _info(path, lines.readline())
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: damaged after 0 good records; {_MEND}") from error


def read_cell(path: Path) -> CellResult:
    """A finished cell, every value of it checked.

    Raises:
        StoreError: The file is damaged, or was written in another form.
    """
    records: list[Record] = []
    try:
        with path.open("rb") as lines:
            info = _info(path, lines.readline())
            for line in lines:
                records.append(read_record(line))  # noqa: PERF401 (the good ones are counted)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: damaged after {len(records)} good records; {_MEND}") from error
    if len(records) != info.n_queries:
        raise StoreError(
            f"{path}: damaged: {len(records)} records instead of {info.n_queries}; {_MEND}"
        )
    return CellResult(info, tuple(records))


def _info(path: Path, line: bytes) -> CellInfo:
    head = json.loads(line)
    check_version(path, head)
    info: CellInfo = adapter(CellInfo).validate_python(head)
    return info


def recover(path: Path, info: CellInfo) -> tuple[int, list[Record]]:
    """The length in bytes of a begun file's good lines, and its records.

    Everything from the first bad line on is dropped, as an interrupted write leaves only the end of
    a file torn.
    """
    if not path.exists():
        return 0, []
    head, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
    try:
        begun = adapter(CellInfo).validate_python(json.loads(head))
    except ValueError:
        return 0, []
    if begun.key != info.key or not head.endswith(b"\n"):
        return 0, []
    good, records = len(head), []
    for line in lines:
        try:
            records.append(read_record(line))
        except ValueError:
            break
        good += len(line)
    return good, records


def as_json(value: CellInfo | Record | Divergence | Usage | Entry | Manifest) -> dict[str, Any]:
    """The fields as they are: `asdict` would copy a thousand ids for each record."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


# ASCII alone, so that lone surrogates in a model's answer survive.
compact = json.JSONEncoder(separators=(",", ":"), default=as_json).encode


@cache
def adapter(kind: type[T]) -> TypeAdapter[T]:
    """What checks values of a kind as they are read."""
    return TypeAdapter(kind)


def check_version(path: Path, value: object) -> None:
    """Check that a file was written in the form that this version reads.

    Args:
        path: The file.
        value: What it begins with.

    Raises:
        StoreError: It was written in another form.
        ValueError: It names none.
    """
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version is None:
        raise ValueError("no version")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: written in form {version}, this version reads form {SCHEMA_VERSION}"
        )

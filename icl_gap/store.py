"""Results on disk: one JSONL file per cell, and a manifest that says which cells belong together.

    results/NAME/
        sweep.json              the sweep as run, and the files of its cells
        cells/CELL.jsonl        line 1: the cell (`CellInfo`); then one line per query (`Record`)
        cells/CELL.jsonl.part   a cell that is not finished

A file is only ever appended to, and renamed once it is whole. Opening a cell that was begun takes
its good lines over and cuts a torn last one off, so a sweep stopped at any moment goes on where it
was. No other state is kept.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import jsonlines
from pydantic import TypeAdapter

from icl_gap.errors import StoreError
from icl_gap.records import SCHEMA_VERSION, CellInfo, CellResult, Record

MANIFEST = "sweep.json"
RecordT = TypeVar("RecordT", CellInfo, Record)


@dataclass(frozen=True, slots=True)
class Results(Sequence[CellResult]):
    """What a results folder holds of its sweep: a sequence of its finished cells."""

    folder: Path
    sweep: Mapping[str, Any]
    """The sweep as run."""
    cells: tuple[CellResult, ...]
    """The finished cells, in the order of the grid."""
    unfinished: tuple[str, ...]
    """The names of the cells that are not."""

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, index: int) -> CellResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CellResult, ...]: ...
    def __getitem__(self, index: int | slice) -> CellResult | tuple[CellResult, ...]:
        return self.cells[index]


def cell_name(info: CellInfo) -> str:
    """A file name that a reader can tell and that no two cells share."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", info.model).strip("-")[:80]
    grid = f"{info.query_split}-{info.condition}.{info.shots}shots.seed{info.seed}"
    return f"{info.dataset}-{info.split}.{plain}.{grid}.{info.key[:16]}"


def write_manifest(folder: Path, sweep: Mapping[str, Any], cells: Iterable[CellInfo]) -> None:
    """Say which sweep the folder holds, and which cells make it up.

    Cells of an earlier form of the sweep stay on disk; they count again once a sweep names them.
    """
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "sweep": sweep,
        "cells": [cell_name(info) for info in cells],
    }
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    part = folder / f"{MANIFEST}.part"
    part.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / MANIFEST)


def is_finished(folder: Path, info: CellInfo) -> bool:
    """Whether all of a cell's records are in the store."""
    return _final(folder, cell_name(info)).exists()


class CellWriter:
    """A cell's file, open for more records.

    Args:
        folder: The results folder.
        info: The cell.

    Use it as a context manager; `finish` closes the file for good, and leaving without it keeps
    what was written for the next run.
    """

    def __init__(self, folder: Path, info: CellInfo) -> None:
        self._final = _final(folder, cell_name(info))
        self._part = self._final.with_name(f"{self._final.name}.part")
        self._final.parent.mkdir(parents=True, exist_ok=True)
        good, records = _recover(self._part, info)
        self.written = len(records)
        """How many records the file already holds."""
        self._file = self._part.open("r+" if good else "w", encoding="utf-8", newline="\n")
        self._file.truncate(good)
        self._file.seek(good)
        self._lines = jsonlines.Writer(self._file, dumps=_compact)
        if not good:
            self._lines.write(_as_json(info))
            self._file.flush()

    def append(self, records: Iterable[Record]) -> None:
        """Write records and hand them to the operating system at once."""
        for record in records:
            self._lines.write(_as_json(record))
            self.written += 1
        self._file.flush()

    def finish(self) -> None:
        """Make the file durable, then give it its final name in one step."""
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._final)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def load_results(folder: str | Path) -> Results:
    """Read what a results folder holds.

    Args:
        folder: What `icl-gap run` wrote.

    Raises:
        StoreError: The folder holds no sweep, a file was written by another version of the package,
            or a file is damaged; the error names it.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / MANIFEST)
    cells, unfinished = [], []
    for name in manifest["cells"]:
        path = _final(folder, name)
        if path.exists():
            cells.append(_read_cell(path))
        else:
            unfinished.append(name)
    return Results(folder, manifest["sweep"], tuple(cells), tuple(unfinished))


def _final(folder: Path, name: str) -> Path:
    return folder / "cells" / f"{name}.jsonl"


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(
            f"{path.parent}: no results here ({MANIFEST} is missing); "
            "name a folder that `icl-gap run` wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    _check_version(path, manifest)
    return dict(manifest)


def _read_cell(path: Path) -> CellResult:
    try:
        with jsonlines.open(path) as lines:
            head = lines.read(type=dict)
            _check_version(path, head)
            info = _adapter(CellInfo).validate_python(head)
            records = tuple(
                _adapter(Record).validate_python(line) for line in lines.iter(type=dict)
            )
    except (OSError, EOFError, jsonlines.Error, TypeError, ValueError) as error:
        raise StoreError(f"{path}: damaged: {error}; delete it and run the sweep again") from error
    if len(records) != info.n_queries:
        raise StoreError(
            f"{path}: damaged: {len(records)} records instead of {info.n_queries}; "
            "delete it and run the sweep again"
        )
    return CellResult(info, records)


def _recover(path: Path, info: CellInfo) -> tuple[int, list[Record]]:
    """The length in bytes of a begun file's good lines, and its records.

    A line is good if it ends and can be read; everything from the first bad line on is dropped, as
    an interrupted write leaves only the end of a file torn.
    """
    if not path.exists():
        return 0, []
    good, records = 0, []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
        try:
            value = json.loads(line) if line.endswith(b"\n") else None
            if number == 0 and (value is None or value["key"] != info.key):
                return 0, []
            if number > 0:
                records.append(_adapter(Record).validate_python(value))
        except (ValueError, TypeError, KeyError):
            break
        good += len(line)
    return good, records


def _as_json(value: CellInfo | Record) -> dict[str, Any]:
    """The fields as they are: `asdict` would copy a thousand ids for each record."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


# ASCII alone, so that lone surrogates in a model's answer survive.
_compact = json.JSONEncoder(separators=(",", ":")).encode


@cache
def _adapter(kind: type[RecordT]) -> TypeAdapter[RecordT]:
    return TypeAdapter(kind)


def _check_version(path: Path, value: Mapping[str, Any]) -> None:
    version = value.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: written in form {version}, this version reads form {SCHEMA_VERSION}"
        )

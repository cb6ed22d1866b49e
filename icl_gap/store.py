"""Results on disk: one JSONL file per cell, and a manifest that says which cells belong together.

    results/NAME/
        sweep.json              the sweep as run, and its cells with their labels
        cells/CELL.jsonl        line 1: the cell (`CellInfo`); then one line per query (`Record`)
        cells/CELL.jsonl.part   a cell that is not finished

A cell is found by its key, which ends its name; labels that no result depends on (a model's name,
its family) may change and are those of the manifest. Records come in any order: a begun file is
only ever appended to, and once it is whole, its lines are written in query order under the final
name. Opening a cell that was begun takes its good lines over and cuts a torn last one off, so a
sweep stopped at any moment goes on where it was. No other state is kept.
"""

from __future__ import annotations

import json
import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar, overload

import jsonlines
from pydantic import Field, TypeAdapter

from icl_gap.errors import StoreError
from icl_gap.records import SCHEMA_VERSION, CellInfo, CellResult, Divergence, Record
from icl_gap.track import Track, untracked

MANIFEST = "sweep.json"
_KEY_LENGTH = 16
"""Hexadecimal digits of a cell's key in its file's name."""
_MOST_OPEN = 128
"""Files at a time, of the thousand or so that a process may have."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A cell in the manifest."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    name: str
    model: str
    family: str


@dataclass(frozen=True, slots=True)
class _Manifest:
    schema_version: int
    sweep: dict[str, Any]
    cells: tuple[_Entry, ...]


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
    """A file name that a reader can tell and that no two cells share; its end finds the cell."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", info.model).strip("-")[:80]
    grid = f"{info.query_split}-{info.condition}.{info.shots}shots.seed{info.seed}"
    return f"{info.dataset}-{info.split}.{plain}.{grid}.{info.key[:_KEY_LENGTH]}"


@contextmanager
def open_store(
    folder: Path, sweep: Mapping[str, Any], cells: Iterable[CellInfo]
) -> Iterator[frozenset[str]]:
    """Open a results folder for one run, and say which sweep it holds.

    Cells of an earlier form of the sweep stay on disk; they count again once a sweep names them.

    Args:
        folder: The results folder; made if missing.
        sweep: The sweep as run.
        cells: Its cells.

    Yields:
        The keys of those that are finished.

    Raises:
        StoreError: Another run has it open, or the folder cannot be written.
    """
    cells = list(cells)
    entries = [_Entry(info.key, cell_name(info), info.model, info.family) for info in cells]
    manifest = _as_json(_Manifest(SCHEMA_VERSION, dict(sweep), ()))
    manifest["cells"] = [_as_json(entry) for entry in entries]
    try:
        (folder / "cells").mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            part = folder / f"{MANIFEST}.part"
            part.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
            part.replace(folder / MANIFEST)
            files = _finished_files(folder)
            for final in files.values():  # a run may have died between its last two steps
                final.with_name(f"{final.name}.part").unlink(missing_ok=True)
            yield frozenset(info.key for info in cells if info.key[:_KEY_LENGTH] in files)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system takes back from a process that dies."""
    import fcntl

    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{folder}: another run is writing here; wait for it, or choose another folder"
            ) from None
        yield


class CellWriter:
    """A cell's file, open for more records.

    Args:
        folder: The results folder.
        info: The cell.
        order: The ids of its queries, in the order in which the finished file holds them.

    `finish` closes the file for good; `close` keeps what was written for the next run.
    """

    def __init__(self, folder: Path, info: CellInfo, order: Sequence[str]) -> None:
        cells = folder / "cells"
        self._part = _begun_file(folder, info) or cells / f"{cell_name(info)}.jsonl.part"
        self._final = self._part.with_suffix("")
        self._order = order
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

    def append(self, record: Record) -> None:
        """Write a record and hand it to the operating system at once."""
        self._lines.write(_as_json(record))
        self._file.flush()
        self.written += 1

    def close(self) -> None:
        """Leave the file for the next run."""
        self._file.close()

    def finish(self) -> None:
        """Put the lines in order, make them durable, and give the file its final name in one step.

        Raises:
            StoreError: A query has no record yet.
        """
        self._file.close()
        head, *lines = self._part.read_bytes().splitlines(keepends=True)
        by_query = {json.loads(line)["query_id"]: line for line in lines}
        if missing := [query for query in self._order if query not in by_query]:
            raise StoreError(f"{self._part}: query {missing[0]} has no record yet")
        ordered = self._part.with_suffix(".new")
        with ordered.open("wb") as file:
            file.writelines((head, *(by_query[query] for query in self._order)))
            file.flush()
            os.fsync(file.fileno())
        ordered.replace(self._final)
        self._part.unlink()


def _begun_file(folder: Path, info: CellInfo) -> Path | None:
    """Where a cell was begun; its name may tell another label."""
    return next((folder / "cells").glob(f"*.{info.key[:_KEY_LENGTH]}.jsonl.part"), None)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A cell to be filled."""

    info: CellInfo
    order: Sequence[str]
    """The ids of its queries."""


class StoreWriter:
    """The files of many cells, open for more records in any order.

    Args:
        folder: The results folder.
        sheets: The cells.

    Use it as a context manager. A cell is finished as soon as it is whole.
    """

    def __init__(self, folder: Path, sheets: Iterable[Sheet]) -> None:
        self._folder = folder
        self._sheets = {sheet.info.key: sheet for sheet in sheets}
        self._open: OrderedDict[str, CellWriter] = OrderedDict()
        self._wanted: dict[str, set[str]] = {}
        for key, sheet in self._sheets.items():
            part = _begun_file(folder, sheet.info)
            stored = set() if part is None else {r.query_id for r in _recover(part, sheet.info)[1]}
            self._wanted[key] = set(sheet.order) - stored
            self._settle(key)

    def wants(self, key: str, query_id: str) -> bool:
        """Whether a cell has no record of a query yet; False for a cell that is not to be filled.

        Args:
            key: The cell's.
            query_id: The query's.
        """
        return query_id in self._wanted.get(key, ())

    def append(self, key: str, record: Record) -> None:
        """Write a record.

        Args:
            key: The cell's.
            record: Of a query that the cell wants.
        """
        self._writer(key).append(record)
        self._wanted[key].discard(record.query_id)
        self._settle(key)

    def _writer(self, key: str) -> CellWriter:
        if key not in self._open:
            if len(self._open) == _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            sheet = self._sheets[key]
            self._open[key] = CellWriter(self._folder, sheet.info, sheet.order)
        self._open.move_to_end(key)
        return self._open[key]

    def _settle(self, key: str) -> None:
        """Finish a cell that is whole."""
        if not self._wanted[key]:
            self._writer(key).finish()
            del self._open[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._open.values():
            writer.close()


def load_results(folder: str | Path, *, track: Track = untracked) -> Results:
    """Read what a results folder holds.

    Args:
        folder: What `icl-gap run` wrote.
        track: Shows progress.

    Raises:
        StoreError: The folder holds no sweep, a file was written by another version of the package,
            or a file is damaged; the error names it.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / MANIFEST)
    files = _finished_files(folder)
    cells, unfinished = [], []
    for entry in track(manifest.cells, "reading results", len(manifest.cells)):
        path = files.get(entry.key[:_KEY_LENGTH])
        if path is None:
            unfinished.append(entry.name)
        else:
            cell = _read_cell(path)
            info = replace(cell.info, model=entry.model, family=entry.family)
            cells.append(CellResult(info, cell.records))
    return Results(folder, manifest.sweep, tuple(cells), tuple(unfinished))


def _finished_files(folder: Path) -> dict[str, Path]:
    """The files of finished cells by the start of their keys."""
    return {path.stem.rpartition(".")[2]: path for path in folder.glob("cells/*.jsonl")}


def _read_manifest(path: Path) -> _Manifest:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        _check_version(path, value)
        manifest: _Manifest = _adapter(_Manifest).validate_python(value)
    except FileNotFoundError:
        raise StoreError(
            f"{path.parent}: no results here ({MANIFEST} is missing); "
            "name a folder that `icl-gap run` wrote"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: damaged; run the sweep again, which writes it anew") from error
    return manifest


def _read_cell(path: Path) -> CellResult:
    records: list[Record] = []
    try:
        with path.open("rb") as lines:
            head = json.loads(lines.readline())
            _check_version(path, head)
            info = _adapter(CellInfo).validate_python(head)
            for line in lines:
                records.append(_read_record(line))  # noqa: PERF401 (the good ones are counted)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: damaged after {len(records)} good records; {_MEND}") from error
    if len(records) != info.n_queries:
        raise StoreError(
            f"{path}: damaged: {len(records)} records instead of {info.n_queries}; {_MEND}"
        )
    return CellResult(info, tuple(records))


_MEND = "move the file away and run the sweep again"


def _read_record(line: bytes) -> Record:
    """One record of a line that ends.

    Raises:
        ValueError: It does not end, or is no record.
    """
    if not line.endswith(b"\n"):
        raise ValueError("torn")
    record: Record = _adapter(Record).validate_python(json.loads(line))
    return record


def _recover(path: Path, info: CellInfo) -> tuple[int, list[Record]]:
    """The length in bytes of a begun file's good lines, and its records.

    Everything from the first bad line on is dropped, as an interrupted write leaves only the end of
    a file torn.
    """
    if not path.exists():
        return 0, []
    head, *lines = path.read_bytes().splitlines(keepends=True) or [b""]
    try:
        begun = _adapter(CellInfo).validate_python(json.loads(head))
    except ValueError:
        return 0, []
    if begun.key != info.key or not head.endswith(b"\n"):
        return 0, []
    good, records = len(head), []
    for line in lines:
        try:
            records.append(_read_record(line))
        except ValueError:
            break
        good += len(line)
    return good, records


def _as_json(value: CellInfo | Record | Divergence | _Entry | _Manifest) -> dict[str, Any]:
    """The fields as they are: `asdict` would copy a thousand ids for each record."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


# ASCII alone, so that lone surrogates in a model's answer survive.
_compact = json.JSONEncoder(separators=(",", ":"), default=_as_json).encode


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


def _check_version(path: Path, value: object) -> None:
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version is None:
        raise ValueError("no version")
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: written in form {version}, this version reads form {SCHEMA_VERSION}"
        )

"""Write results: a folder open for one run, and its cells."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jsonlines

from icl_gap.errors import StoreError
from icl_gap.records import SCHEMA_VERSION, CellInfo, Record
from icl_gap.store.files import (
    KEY_LENGTH,
    MANIFEST,
    Entry,
    Manifest,
    as_json,
    begun_file,
    cell_name,
    compact,
    finished_files,
    recover,
)

_MOST_OPEN = 128
"""Files at a time, of the thousand or so that a process may have."""


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
    entries = [Entry(info.key, cell_name(info), info.model, info.family) for info in cells]
    manifest = as_json(Manifest(SCHEMA_VERSION, dict(sweep), ()))
    manifest["cells"] = [as_json(entry) for entry in entries]
    try:
        (folder / "cells").mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            part = folder / f"{MANIFEST}.part"
            part.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
            part.replace(folder / MANIFEST)
            files = finished_files(folder)
            for final in files.values():  # a run may have died between its last two steps
                final.with_name(f"{final.name}.part").unlink(missing_ok=True)
            yield frozenset(info.key for info in cells if info.key[:KEY_LENGTH] in files)
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
        known: Whether what the file holds was written by this process, and so is whole.

    `finish` closes the file for good; `close` keeps what was written for the next run.
    """

    def __init__(
        self, folder: Path, info: CellInfo, order: Sequence[str], *, known: bool = False
    ) -> None:
        cells = folder / "cells"
        self._part = begun_file(folder, info) or cells / f"{cell_name(info)}.jsonl.part"
        self._final = self._part.with_suffix("")
        self._order = order
        if known:
            self._file = self._part.open("a", encoding="utf-8", newline="\n")
            self._lines = jsonlines.Writer(self._file, dumps=compact)
            return
        good, _ = recover(self._part, info)
        self._file = self._part.open("r+" if good else "w", encoding="utf-8", newline="\n")
        self._file.truncate(good)
        self._file.seek(good)
        self._lines = jsonlines.Writer(self._file, dumps=compact)
        if not good:
            self._lines.write(as_json(info))
            self._file.flush()

    def append(self, record: Record) -> None:
        """Write a record and hand it to the operating system at once."""
        self._lines.write(as_json(record))
        self._file.flush()

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
        self._known: set[str] = set()
        for key, sheet in self._sheets.items():
            part = begun_file(folder, sheet.info)
            stored = set() if part is None else {r.query_id for r in recover(part, sheet.info)[1]}
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
            known = key in self._known
            self._open[key] = CellWriter(self._folder, sheet.info, sheet.order, known=known)
            self._known.add(key)
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

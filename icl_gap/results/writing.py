"""Write results: a folder open for one run, and its cells."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jsonlines

from icl_gap.errors import StoreError
from icl_gap.files import (
    append_regular,
    check_regular,
    make_folder,
    read_regular,
    write_atomically,
)
from icl_gap.results.agreement import same_description
from icl_gap.results.cell_files import (
    KEY_LENGTH,
    CellState,
    cell_files,
    cell_name,
    dump_json,
    fields_of,
    header_line,
    in_state,
    is_failed,
    is_finished,
    parse_header,
    with_checksum,
)
from icl_gap.results.locking import locked, store_errors
from icl_gap.results.manifest import (
    CellLabels,
    Manifest,
    ManifestCell,
    check_version,
    write_settled,
)
from icl_gap.results.repairing import (
    DAMAGED,
    remove_leftovers,
    repair_cell,
    repair_manifest,
    restart_cell,
)
from icl_gap.results.request_forms import continued, same_form, with_provenance
from icl_gap.results.verifying import CellCheck, DamagedFile, check_cell, inconsistent_cells
from icl_gap.schema import SCHEMA_VERSION, CellInfo, Record

_MOST_OPEN = 128
"""Files kept open at a time, of the thousand or so that a process may have."""
_log = logging.getLogger(__name__)


@contextmanager
def open_store(
    folder: Path, sweep: Mapping[str, Any], cells: Iterable[CellInfo]
) -> Iterator[frozenset[str]]:
    """Open a results folder for one run, and write down the sweep it holds.

    Every file of the sweep's cells is checked. A damaged one is set aside, its good records are
    kept, and a warning is logged. Cells, and queries beyond the limit, of an earlier form of the
    sweep stay on disk; they count again once a sweep has them.

    Args:
        folder: The results folder; made if missing.
        sweep: The sweep as run.
        cells: Its cells.

    Yields:
        The keys of the finished cells.

    Raises:
        StoreError: Another run has the folder open, two files hold one cell, the folder holds
            results of an earlier version of the schema, or it cannot be written.
    """
    cells = list(cells)
    entries = tuple(
        ManifestCell(info.key, cell_name(info), _labels(info), info.n_queries) for info in cells
    )
    manifest = Manifest(SCHEMA_VERSION, dict(sweep), entries)
    with store_errors(folder):
        make_folder(folder, follow=True)
        make_folder(folder / "cells")
    with ExitStack() as held:
        with store_errors(folder):
            held.enter_context(locked(folder))
            remove_leftovers(folder)
            check_version(folder)
            repair_manifest(folder)
            write_settled(folder, manifest)
            finished = frozenset(_finished(folder, cells))
        try:
            yield finished
        except BaseException:
            with suppress(OSError, StoreError):  # the run's own error must reach the user
                write_settled(folder, manifest)
            raise
        with store_errors(folder):
            write_settled(folder, manifest)


def _labels(info: CellInfo) -> CellLabels:
    return CellLabels(**{field.name: getattr(info, field.name) for field in fields(CellLabels)})


def _finished(folder: Path, cells: Sequence[CellInfo]) -> set[str]:
    """Return the keys of the finished cells: their files are undamaged and describe one model."""
    partial, failed = (cell_files(folder, state) for state in (CellState.PARTIAL, CellState.FAILED))
    finished = cell_files(folder, CellState.FINISHED)
    good: dict[str, tuple[Path, CellInfo]] = {}
    for info in cells:
        start = info.key[:KEY_LENGTH]
        if start in finished:
            if (known := _checked(finished[start]).info) is not None:
                for stale in (partial.get(start), failed.get(start)):
                    if stale is not None:  # a run was killed between its last two steps
                        stale.unlink()
                if known.covers(info.n_queries):
                    good[info.key] = (finished[start], known)
        elif start in failed:
            found = _checked(failed[start])
            if found.info is not None and _has_failed_beyond(found, info.n_queries):
                good[info.key] = (failed[start], found.info)
    for damage in inconsistent_cells(folder, good.values()):
        restart_cell(damage.path, check_cell(damage.path))
        _warn(damage)
        good = {key: each for key, each in good.items() if each[0] != damage.path}
    return set(good)


def _checked(path: Path) -> CellCheck:
    """Check a cell's file; repair it and warn where it is damaged, and return none of it then."""
    found = repair_cell(path)
    if found.problem is not None:
        _warn(found.damage(path))
        return CellCheck(None, b"", (), found.problem)
    return found


def _has_failed_beyond(found: CellCheck, n_queries: int) -> bool:
    """Return whether the first queries of a settled file are there and none of them failed."""
    covers = found.info is not None and found.info.covers(n_queries)
    return covers and not any(map(is_failed, found.records[:n_queries]))


@dataclass(frozen=True, slots=True)
class CellFile:
    """A cell to write: its description, and its queries in order."""

    info: CellInfo
    query_ids: Sequence[str]
    """Ids of all queries of its side, in query order; the first `info.n_queries` are wanted."""


class StoreWriter:
    """Writer of many cells, open for more records in any order.

    Args:
        folder: The results folder, open.
        cells: The cells to write.

    Use it as a context manager. A cell is settled as soon as it has a record of each query; where
    some of them failed, the next run repeats these.

    Raises:
        StoreError: A file cannot be written.
    """

    def __init__(self, folder: Path, cells: Iterable[CellFile]) -> None:
        self._folder = folder
        self._cells = {cell.info.key: cell for cell in cells}
        self._paths: dict[str, Path] = {}
        self._missing: dict[str, set[str]] = {}
        self._open: OrderedDict[str, TextIOWrapper] = OrderedDict()
        with store_errors(folder):
            partial = cell_files(folder, CellState.PARTIAL)
            failed = cell_files(folder, CellState.FAILED)
            finished = cell_files(folder, CellState.FINISHED)
            for key, cell in self._cells.items():
                start = key[:KEY_LENGTH]
                if is_finished(cell.info, finished):  # meanwhile, under another model's name
                    continue
                fresh = folder / "cells" / f"{cell_name(cell.info)}{CellState.PARTIAL}"
                if (settled := finished.get(start, failed.get(start))) is not None:
                    check_regular(path := in_state(settled, CellState.PARTIAL))
                    partial[start] = settled.rename(path)
                self._paths[key] = partial.get(start, fresh)
                kept = _resume(self._paths[key], cell.info)
                self._missing[key] = set(cell.query_ids[: cell.info.n_queries]) - kept
                self._settle_if_complete(key)

    def wants(self, key: str, query_id: str) -> bool:
        """Return whether a cell lacks the record of a query; False for a cell not written here.

        Args:
            key: The cell's key.
            query_id: The query's id.
        """
        return query_id in self._missing.get(key, ())

    def append(self, key: str, record: Record) -> None:
        """Write a record and hand it to the operating system at once.

        Args:
            key: The cell's key.
            record: The record of a query that the cell lacks.

        Raises:
            StoreError: It cannot be written.
        """
        with store_errors(self._folder):
            file = self._file(key)
            lines = jsonlines.Writer(file, dumps=lambda value: with_checksum(dump_json(value), key))
            lines.write(fields_of(record))
            file.flush()
            self._missing[key].discard(record.query_id)
            self._settle_if_complete(key)

    def describe(self, provenance: Mapping[str, Mapping[str, Any]]) -> None:
        """Add to the provenance of cells that lack records.

        Args:
            provenance: What to add, by the cell's key.

        Raises:
            StoreError: A file cannot be written.
        """
        with store_errors(self._folder):
            for key in (key for key in provenance if self._missing.get(key)):
                cell, path = self._cells[key], self._paths[key]
                now = with_provenance(cell.info, provenance[key])
                self._cells[key] = replace(cell, info=now)
                if (file := self._open.pop(key, None)) is not None:
                    file.close()
                if path.exists() and (lines := read_regular(path).splitlines(keepends=True)):
                    now = with_provenance(parse_header(lines[0], key), provenance[key])
                    write_atomically(path, (header_line(now), *lines[1:]))

    def _file(self, key: str) -> TextIOWrapper:
        if key not in self._open:
            if len(self._open) == _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            content = append_regular(self._paths[key])
            if content.tell() == 0:
                content.write(header_line(self._cells[key].info))
            file = TextIOWrapper(content, "utf-8", newline="\n")
            self._open[key] = file
        self._open.move_to_end(key)
        return self._open[key]

    def _settle_if_complete(self, key: str) -> None:
        """Sort the lines of a cell that lacks no record, and give its file the final name."""
        if self._missing[key]:
            return
        self._file(key).close()
        del self._open[key]
        path, cell = self._paths[key], self._cells[key]
        if any(path.parent.glob(f"*.{key[:KEY_LENGTH]}{CellState.FINISHED}")):  # settled meanwhile
            path.unlink(missing_ok=True)
            return
        header, *lines = read_regular(path).splitlines(keepends=True)
        records = [(json.loads(line), line) for line in lines]
        last = {record["query_id"]: line for record, line in records}
        statuses = {record["query_id"]: record["status"] for record, _ in records}
        failed = "failed" in statuses.values()
        in_order = [query_id for query_id in cell.query_ids if query_id in last]
        before = parse_header(header, key)
        complete = _n_leading(in_order, cell.query_ids)
        info = replace(
            before,
            n_queries=len(in_order),
            n_complete=None if complete == len(in_order) else complete,
        )
        write_atomically(
            in_state(path, CellState.FAILED if failed else CellState.FINISHED),
            (
                header if info == before else header_line(info),
                *(last[query_id] for query_id in in_order),
            ),
        )
        path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with store_errors(self._folder):
            for file in self._open.values():
                file.close()


def _n_leading(some: Sequence[str], query_ids: Sequence[str]) -> int:
    """Return how many of the first queries are among some, both in query order."""
    pairs = zip(some, query_ids, strict=False)
    return next((n for n, (one, other) in enumerate(pairs) if one != other), len(some))


def _resume(path: Path, info: CellInfo) -> set[str]:
    """Prepare a partial file for more records.

    Its header stays as it is, unless it is missing or describes the model differently than the
    loaded model does.

    Args:
        path: The file, which may be missing.
        info: The cell's description, as the loaded model gives it.

    Returns:
        The ids of the queries whose records are kept.
    """
    check_regular(path)
    if not path.exists():
        return set()
    found = repair_cell(path)
    if found.problem is not None:
        _warn(found.damage(path))
    before = found.info
    described = before is not None and same_description(before, info) and same_form(before, info)
    if found.records and not described:
        now = info if before is None else continued(info, before)
        write_atomically(path, (header_line(now), *found.records))
    elif found.problem is None and found.size < path.stat().st_size:
        with append_regular(path) as file:
            file.truncate(found.size)
    records = map(json.loads, found.records)
    return {record["query_id"] for record in records if record["status"] != "failed"}


def _warn(damage: DamagedFile) -> None:
    folder = damage.path.parent.parent / DAMAGED
    _log.warning("%s; the file is set aside in %s", damage, folder)

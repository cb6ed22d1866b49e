"""Write results: a folder open for one run, and its cells."""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jsonlines

from icl_gap.errors import StoreError
from icl_gap.files import (
    append_regular,
    check_folder,
    check_regular,
    make_folder,
    read_regular,
    write_atomically,
)
from icl_gap.results.agreement import same_description
from icl_gap.results.cell_files import (
    BEGUN,
    FAILED,
    KEY_LENGTH,
    WHOLE,
    as_json,
    cell_files,
    cell_name,
    compact,
    head_of,
    in_state,
    seal,
)
from icl_gap.results.checking import Checked, Fault, check_file, disagreeing
from icl_gap.results.locking import locked, writes
from icl_gap.results.manifest import Entry, Labels, Manifest, note_settled
from icl_gap.results.mending import ASIDE, mend, mend_manifest, remove_left_over, start_over
from icl_gap.schema import SCHEMA_VERSION, CellInfo, Record

_MOST_OPEN = 128
"""Files at a time, of the thousand or so that a process may have."""
_log = logging.getLogger(__name__)


def whole_cells(folder: Path, cells: Iterable[CellInfo]) -> frozenset[str]:
    """The keys of those cells that look finished, by the names of their files alone.

    Nothing is opened or written: `open_store` finds which of them are damaged.

    Raises:
        StoreError: Two files hold one cell, or the folder is none.
    """
    with writes(folder):
        check_folder(folder, follow=True)
    whole = cell_files(folder, WHOLE)
    return frozenset(info.key for info in cells if info.key[:KEY_LENGTH] in whole)


@contextmanager
def open_store(
    folder: Path, sweep: Mapping[str, Any], cells: Iterable[CellInfo]
) -> Iterator[frozenset[str]]:
    """Open a results folder for one run, and say which sweep it holds.

    Every file of the sweep's cells is checked. A damaged one is set aside, its good records are
    kept, and a warning is logged. Cells of an earlier form of the sweep stay on disk; they count
    again once a sweep names them.

    Args:
        folder: The results folder; made if missing.
        sweep: The sweep as run.
        cells: Its cells.

    Yields:
        The keys of those that are finished.

    Raises:
        StoreError: Another run has it open, two files hold one cell, or the folder cannot be
            written.
    """
    cells = list(cells)
    entries = tuple(Entry(info.key, cell_name(info), _labels(info)) for info in cells)
    manifest = Manifest(SCHEMA_VERSION, dict(sweep), entries)
    with writes(folder):
        make_folder(folder, follow=True)
        make_folder(folder / "cells")
    with ExitStack() as held:
        with writes(folder):
            held.enter_context(locked(folder))
            remove_left_over(folder)
            mend_manifest(folder)
            note_settled(folder, manifest)
            finished = frozenset(_finished(folder, cells))
        try:
            yield finished
        except BaseException:
            with suppress(OSError, StoreError):  # the run's own error is the one to tell
                note_settled(folder, manifest)
            raise
        with writes(folder):
            note_settled(folder, manifest)


def _labels(info: CellInfo) -> Labels:
    return Labels(**{field.name: getattr(info, field.name) for field in fields(Labels)})


def _finished(folder: Path, cells: Sequence[CellInfo]) -> set[str]:
    """The keys of finished cells, whose files are found whole and agree on their model."""
    begun, failed = cell_files(folder, BEGUN), cell_files(folder, FAILED)
    whole = cell_files(folder, WHOLE)
    good: dict[str, tuple[Path, CellInfo]] = {}
    for info in cells:
        start = info.key[:KEY_LENGTH]
        if start in whole:
            if (known := _mended(whole[start])) is not None:
                for stale in (begun.get(start), failed.get(start)):
                    if stale is not None:  # a run died between its last two steps
                        stale.unlink()
                good[info.key] = (whole[start], known)
        elif start in failed:
            _mended(failed[start])
    for fault in disagreeing(folder, good.values()):
        start_over(fault.path, check_file(fault.path))
        _tell(fault)
        good = {key: each for key, each in good.items() if each[0] != fault.path}
    return set(good)


def _mended(path: Path) -> CellInfo | None:
    """Check a file, and mend and tell it where it is damaged; its first line if it was good."""
    found = mend(path)
    if found.problem is not None:
        _tell(_fault(path, found))
        return None
    return found.info


@dataclass(frozen=True, slots=True)
class Sheet:
    """A cell to be filled."""

    info: CellInfo
    order: Sequence[str]
    """The ids of its queries."""


class StoreWriter:
    """The files of many cells, open for more records in any order.

    Args:
        folder: The results folder, open.
        sheets: The cells.

    Use it as a context manager. A cell is settled as soon as it has a record of each query; where
    some are failures, the next run takes it up again and wants these anew.

    Raises:
        StoreError: A file cannot be written.
    """

    def __init__(self, folder: Path, sheets: Iterable[Sheet]) -> None:
        self._folder = folder
        self._sheets = {sheet.info.key: sheet for sheet in sheets}
        self._paths: dict[str, Path] = {}
        self._wanted: dict[str, set[str]] = {}
        self._open: OrderedDict[str, TextIOWrapper] = OrderedDict()
        with writes(folder):
            begun, failed = cell_files(folder, BEGUN), cell_files(folder, FAILED)
            whole = cell_files(folder, WHOLE)
            for key, sheet in self._sheets.items():
                start = key[:KEY_LENGTH]
                if start in whole:  # settled meanwhile, under another name of the same model
                    continue
                fresh = folder / "cells" / f"{cell_name(sheet.info)}{BEGUN}"
                if start in failed:
                    check_regular(part := in_state(failed[start], BEGUN))
                    begun[start] = failed[start].rename(part)
                self._paths[key] = begun.get(start, fresh)
                self._wanted[key] = set(sheet.order) - _taken_up(self._paths[key], sheet.info)
                self._settle(key)

    def wants(self, key: str, query_id: str) -> bool:
        """Whether a cell has no answer to a query yet; False for a cell that is not to be filled.

        Args:
            key: The cell's.
            query_id: The query's.
        """
        return query_id in self._wanted.get(key, ())

    def append(self, key: str, record: Record) -> None:
        """Write a record and hand it to the operating system at once.

        Args:
            key: The cell's.
            record: Of a query that the cell wants.

        Raises:
            StoreError: It cannot be written.
        """
        with writes(self._folder):
            file = self._file(key)
            lines = jsonlines.Writer(file, dumps=lambda value: seal(compact(value), key))
            lines.write(as_json(record))
            file.flush()
            self._wanted[key].discard(record.query_id)
            self._settle(key)

    def _file(self, key: str) -> TextIOWrapper:
        if key not in self._open:
            if len(self._open) == _MOST_OPEN:
                self._open.popitem(last=False)[1].close()
            content = append_regular(self._paths[key])
            if content.tell() == 0:
                content.write(head_of(self._sheets[key].info))
            file = TextIOWrapper(content, "utf-8", newline="\n")
            self._open[key] = file
        self._open.move_to_end(key)
        return self._open[key]

    def _settle(self, key: str) -> None:
        """Put the lines of a cell that wants no more in order, and give it its final name."""
        if self._wanted[key]:
            return
        self._file(key).close()
        del self._open[key]
        part, sheet = self._paths[key], self._sheets[key]
        if any(part.parent.glob(f"*.{key[:KEY_LENGTH]}{WHOLE}")):  # as above
            part.unlink(missing_ok=True)
            return
        head, *lines = read_regular(part).splitlines(keepends=True)
        records = [(json.loads(line), line) for line in lines]
        last = {record["query_id"]: line for record, line in records}
        statuses = {record["query_id"]: record["status"] for record, _ in records}
        failed = "failed" in statuses.values()
        write_atomically(
            in_state(part, FAILED if failed else WHOLE),
            (head, *(last[query] for query in sheet.order)),
        )
        part.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with writes(self._folder):
            for file in self._open.values():
                file.close()


def _taken_up(part: Path, info: CellInfo) -> set[str]:
    """Make a begun file ready for more records.

    Its first line stays as it is, unless it is missing or says something else of the model than the
    model does.

    Args:
        part: The file, which may be missing.
        info: The cell, as the loaded model tells it.

    Returns:
        The queries that need none.
    """
    check_regular(part)
    if not part.exists():
        return set()
    found = mend(part)
    if found.problem is not None:
        _tell(_fault(part, found))
    described = found.info is not None and same_description(found.info, info)
    if found.records and not described:
        write_atomically(part, (head_of(info), *found.records))
    elif found.problem is None and found.size < part.stat().st_size:
        with append_regular(part) as file:
            file.truncate(found.size)
    records = map(json.loads, found.records)
    return {record["query_id"] for record in records if record["status"] != "failed"}


def _fault(path: Path, found: Checked) -> Fault:
    return Fault(path, str(found.problem), len(found.records))


def _tell(fault: Fault) -> None:
    _log.warning("%s; the file is set aside in %s", fault, fault.path.parent.parent / ASIDE)

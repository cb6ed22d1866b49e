"""Merging of the results that several machines made for one sweep."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.files import make_folder, write_atomically
from icl_gap.progress import Progress, no_progress
from icl_gap.results.cell_files import (
    CellState,
    cell_files,
    damage_error,
    header_line,
    in_state,
    is_failed,
    key_prefix,
    parse_header,
)
from icl_gap.results.columns import INCIDENTAL
from icl_gap.results.locking import locked, store_errors
from icl_gap.results.manifest import (
    MANIFEST,
    Manifest,
    read_manifest,
    write_manifest,
    write_settled,
)
from icl_gap.results.migration import migrated_record
from icl_gap.results.repairing import remove_leftovers
from icl_gap.results.request_forms import Endpoints
from icl_gap.results.verifying import check_cell


@dataclass(slots=True)
class _MergedCell:
    """A cell, put together from its files."""

    path: Path
    """The first of its files, in the order of states."""
    header: bytes
    """The header; empty where no file has one yet."""
    lines: dict[str, bytes]
    """Records by query id; the first `n_complete` are those of the first queries."""
    n_complete: int = 0


def merge_stores(
    folders: Sequence[str | Path], out: str | Path, *, progress: Progress = no_progress
) -> None:
    """Merge the results of one sweep into what one run of it would have left.

    Args:
        folders: Results folders of the same sweep, each with any part of it.
        out: A new folder, or one of the same sweep, whose results are kept too.
        progress: Shows progress.

    Raises:
        StoreError: A folder holds no results, or those of another sweep; a file is damaged; two
            records of one request differ in what may not differ; cells of one model are of two
            endpoints of its server; or `out` cannot be written.
    """
    out, parts = Path(out), [Path(folder) for folder in folders]
    if out.exists():
        with store_errors(out), locked(out):
            remove_leftovers(out)
            there = (out / MANIFEST).exists()
            manifest, found = _read([*parts, out] if there else parts, progress)
            _write_all(out, manifest, found, progress)
        return
    manifest, found = _read(parts, progress)
    with store_errors(out):
        make_folder(out)
        with locked(out):
            if (out / MANIFEST).exists():
                raise StoreError(f"{out}: another run began to write here; merge once it is done")
            _write_all(out, manifest, found, progress)


def _read(folders: Sequence[Path], progress: Progress) -> tuple[Manifest, dict[str, _MergedCell]]:
    """Read the parts of a sweep: its manifest, and its cells by the start of their keys."""
    first, *others = [read_manifest(folder) for folder in folders]
    for folder, manifest in zip(folders[1:], others, strict=True):
        if manifest.cells != first.cells:
            raise StoreError(f"{folder}: not the sweep of {folders[0]}; merge parts of one sweep")
    found: dict[str, _MergedCell] = {}
    files = [
        path
        for state in CellState
        for folder in folders
        for path in cell_files(folder, state).values()
    ]
    endpoints = Endpoints()
    for path in progress(files, "reading", len(files)):
        _add(found, path, first.schema_version, endpoints)
    return first, found


def _write_all(
    out: Path, manifest: Manifest, found: Mapping[str, _MergedCell], progress: Progress
) -> None:
    """Write all cells, then the manifest."""
    make_folder(out / "cells")
    write_manifest(out, replace(manifest, settled=()))
    before = [cell_files(out, state) for state in CellState]
    for key, each in progress(found.items(), "writing", len(found)):
        _write(out, each, [files[key] for files in before if key in files])
    write_settled(out, manifest)


def _add(found: dict[str, _MergedCell], path: Path, version: int, endpoints: Endpoints) -> None:
    """Add the records of a file, in a version of the schema, to its cell."""
    checked = check_cell(path)
    if checked.problem is not None:
        raise damage_error(path, ValueError(checked.problem))
    if not checked.header and not checked.records:  # stopped before its header was written
        return
    endpoints.add(path, checked)
    known = found.setdefault(key_prefix(path), _MergedCell(path, checked.header, {}))
    known.header = known.header or checked.header
    records = {(record := json.loads(line))["query_id"]: (record, line) for line in checked.records}
    for query, (record, line) in records.items():
        before = known.lines.get(query)
        if before is None or json.loads(before)["status"] == "failed":
            known.lines[query] = line
        elif record["status"] != "failed" and _outcome(line, version) != _outcome(before, version):
            raise StoreError(
                f"{path}: its record of query {query} is not that of {known.path}; "
                "find out which of the two is right, and leave the other folder out"
            )
    info = None if path.name.endswith(CellState.PARTIAL) else checked.info
    if info is not None and info.covers(known.n_complete + 1):  # more of the first queries
        known.n_complete = info.n_queries if info.n_complete is None else info.n_complete
        known.lines = {query: known.lines[query] for query in records} | known.lines


def _outcome(line: bytes, version: int) -> dict[str, object]:
    """Return the fields in which all records of one request agree."""
    record = migrated_record(json.loads(line), version)
    return {name: value for name, value in record.items() if name not in {*INCIDENTAL, "crc"}}


def _write(out: Path, cell: _MergedCell, before: Sequence[Path]) -> None:
    """Write a cell in the state of its records, and remove its files in other states.

    The records of a settled cell are in the order of its queries, which only a run knows. So
    several partial files make a partial file.

    Args:
        out: The folder.
        cell: The cell.
        before: The files that it has there already, perhaps under an older model name.
    """
    state = CellState.PARTIAL
    if not cell.path.name.endswith(CellState.PARTIAL):
        failed = any(map(is_failed, cell.lines.values()))
        state = CellState.FAILED if failed else CellState.FINISHED
    path = in_state(before[0] if before else out / "cells" / cell.path.name, state)
    write_atomically(path, (_header(cell, state), *cell.lines.values()))
    for other in before:
        if other != path:
            other.unlink()


def _header(cell: _MergedCell, state: CellState) -> bytes:
    """Return the header of a cell, which counts the records of a settled one."""
    if state is CellState.PARTIAL:
        return cell.header
    info = parse_header(cell.header, key_prefix(cell.path))
    counted = replace(
        info,
        n_queries=len(cell.lines),
        n_complete=None if cell.n_complete == len(cell.lines) else cell.n_complete,
    )
    return cell.header if counted == info else header_line(counted)

"""Results of one sweep that several machines have made, brought together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.records import CellInfo
from icl_gap.store.checking import check_file, write_durably
from icl_gap.store.files import (
    BEGUN,
    FAILED,
    WHOLE,
    cell_files,
    damaged,
    in_state,
)
from icl_gap.store.locking import locked, writes
from icl_gap.store.manifest import MANIFEST, read_manifest
from icl_gap.track import Track, untracked

_TIMINGS = ("seconds", "batch_tokens", "usage", "served_model", "crc")
"""Fields that may differ where records are the same."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of a cell."""

    path: Path
    """The file that told first, and most."""
    info: CellInfo
    head: bytes
    lines: dict[str, bytes]
    """The records by their queries."""


def merge_stores(
    folders: Sequence[str | Path], out: str | Path, *, track: Track = untracked
) -> None:
    """Bring the results of one sweep together, as one run of it would have left them.

    Args:
        folders: Results folders of the same sweep, whatever parts of it they hold.
        out: A folder that is not there yet, or one of the same sweep, whose results count too.
        track: Shows progress.

    Raises:
        StoreError: A folder holds no results, or those of another sweep; a file is damaged; two
            records of one request differ in more than timings; or `out` cannot be written.
    """
    out = Path(out)
    every = [Path(folder) for folder in folders]
    every += [out] if (out / MANIFEST).exists() else []
    first, *others = [read_manifest(folder) for folder in every]
    for folder, manifest in zip(every[1:], others, strict=True):
        if manifest.cells != first.cells:
            raise StoreError(f"{folder}: not the sweep of {every[0]}; merge parts of one sweep")
    found: dict[str, _Found] = {}
    files = [
        path
        for suffix in (WHOLE, FAILED, BEGUN)
        for folder in every
        for path in cell_files(folder, suffix).values()
    ]
    for path in track(files, "reading", len(files)):
        _add(found, path)
    with writes(out):
        (out / "cells").mkdir(parents=True, exist_ok=True)
        with locked(out):
            write_durably(out / MANIFEST, [(every[0] / MANIFEST).read_bytes()])
            for each in track(found.values(), "writing", len(found)):
                _write(out, each)


def _add(found: dict[str, _Found], path: Path) -> None:
    """Add a file's records to what is known of its cell."""
    checked = check_file(path)
    if checked.problem is not None:
        raise damaged(path, ValueError(checked.problem))
    if checked.info is None:  # stopped before its first line was written
        return
    known = found.setdefault(checked.info.key, _Found(path, checked.info, checked.head, {}))
    for line in checked.records:
        record = json.loads(line)
        query, before = record["query_id"], known.lines.get(record["query_id"])
        if before is None or json.loads(before)["status"] == "failed":
            known.lines[query] = line
        elif record["status"] != "failed" and _told(record) != _told(json.loads(before)):
            raise StoreError(
                f"{path}: its record of query {query} is not that of {known.path}; "
                "find out which of the two is right, and leave the other folder out"
            )


def _told(record: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in record.items() if name not in _TIMINGS}


def _write(out: Path, cell: _Found) -> None:
    """Write a cell in the state that its records leave it in, and remove it in any other.

    The records of a settled cell stand in the order of its queries, which only a run knows: what
    several begun files hold together stays begun.
    """
    state = BEGUN
    if not cell.path.name.endswith(BEGUN):
        failed = any(b'"status":"failed"' in line for line in cell.lines.values())
        state = FAILED if failed else WHOLE
    name = out / "cells" / cell.path.name
    write_durably(in_state(name, state), (cell.head, *cell.lines.values()))
    for other in {WHOLE, FAILED, BEGUN} - {state}:
        in_state(name, other).unlink(missing_ok=True)

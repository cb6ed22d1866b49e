"""Read results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from icl_gap.errors import StoreError
from icl_gap.records import CellInfo, CellResult, Record
from icl_gap.store.files import (
    KEY_LENGTH,
    MANIFEST,
    Manifest,
    adapter,
    check_version,
    finished_files,
    read_record,
)
from icl_gap.track import Track, untracked

_MEND = "move the file away and run the sweep again"


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
    files = finished_files(folder)
    cells, unfinished = [], []
    for entry in track(manifest.cells, "reading results", len(manifest.cells)):
        path = files.get(entry.key[:KEY_LENGTH])
        if path is None:
            unfinished.append(entry.name)
        else:
            cell = _read_cell(path)
            info = replace(cell.info, model=entry.model, family=entry.family)
            cells.append(CellResult(info, cell.records))
    return Results(folder, manifest.sweep, tuple(cells), tuple(unfinished))


def _read_manifest(path: Path) -> Manifest:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        check_version(path, value)
        manifest: Manifest = adapter(Manifest).validate_python(value)
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
            check_version(path, head)
            info = adapter(CellInfo).validate_python(head)
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

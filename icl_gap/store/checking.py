"""Damage: found in the files of a results folder, and mended.

What is broken is set aside, never deleted; its good lines are kept, and a run asks for the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.records import CellInfo
from icl_gap.store.files import (
    BEGUN,
    FAILED,
    WHOLE,
    DamageError,
    OtherFormError,
    check_record,
    head_of,
    in_state,
    key_of,
    read_head,
)
from icl_gap.store.locking import locked, writes
from icl_gap.store.manifest import MANIFEST, read_manifest
from icl_gap.track import Track, untracked

ASIDE = "damaged"
"""The folder beside `cells` for files that are set aside."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A file that is not as it was written."""

    path: Path
    problem: str
    good: int
    """How many of its records are."""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.good} good records"


@dataclass(frozen=True, slots=True)
class Checked:
    """What is good in a cell's file."""

    info: CellInfo | None
    """None where the first line does not tell."""
    head: bytes
    """The first line where it is good; else empty."""
    records: tuple[bytes, ...]
    """The lines of the good records."""
    problem: str | None
    """None where nothing is wrong, but for an end as an interrupted write leaves it."""

    @property
    def size(self) -> int:
        """Of the good lines, in bytes."""
        return len(self.head) + sum(map(len, self.records))


def check_file(path: Path) -> Checked:
    """Check every line of a cell's file.

    Raises:
        StoreError: It cannot be read.
    """
    lines, key, begun = _lines(path), key_of(path), path.name.endswith(BEGUN)
    if begun and lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    if begun and not lines:  # stopped before its first line ended
        return Checked(None, b"", (), None)
    info, problems = None, []
    try:
        info = read_head(lines[0] if lines else b"", key)
    except OtherFormError as error:
        return Checked(None, b"", (), str(error))
    except DamageError as error:
        problems.append(str(error))
    records = []
    for number, line in enumerate(lines if info is None else lines[1:], start=1):
        try:
            check_record(line, key)
        except DamageError as error:
            problems.append(f"record {number} is {error}")
        else:
            records.append(line)
    if info is not None and not begun and not problems:
        problems += _missing(records, info)
    return Checked(info, lines[0] if info else b"", tuple(records), _told(problems))


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def _missing(records: list[bytes], info: CellInfo) -> list[str]:
    """What is wrong where a settled cell has not one record of each query."""
    different = len({line.partition(b',"exemplar_ids"')[0] for line in records})
    if different == len(records) == info.n_queries:
        return []
    of = f", of {different} queries," if different < len(records) else ""
    return [f"{len(records)} records{of} instead of {info.n_queries}"]


def _told(problems: list[str]) -> str | None:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else None


def mend(path: Path, info: CellInfo | None = None) -> Checked:
    """Check a cell's file, and set it aside if it is damaged; its good records go on as begun.

    What a begun file of the cell holds already is kept beside them.

    Args:
        path: The file, in the folder `cells` of a results folder that nobody else writes to.
        info: The cell, where it is known; else its first line must wait for one who knows it.

    Returns:
        What was good, and what was wrong.

    Raises:
        OSError: The folder cannot be written.
        StoreError: The file cannot be read.
    """
    found, begun = check_file(path), in_state(path, BEGUN)
    if found.problem is not None:
        before = check_file(begun) if begun != path and begun.exists() else None
        records = (*(before.records if before else ()), *found.records)
        head = found.head if info is None else head_of(info)
        aside = _place_aside(path)
        os.link(path, aside)  # a stop at any moment leaves the records in one place or the other
        if records:
            write_durably(begun, (head or (before.head if before else b""), *records))
        if begun != path or not records:
            path.unlink()
    return found


def set_aside(path: Path) -> None:
    """Move a damaged file that is no cell's to the others that were found damaged."""
    path.rename(_place_aside(path))


def _place_aside(path: Path) -> Path:
    results = path.parent.parent if path.parent.name == "cells" else path.parent
    folder = results / ASIDE
    folder.mkdir(exist_ok=True)
    names = (f"{path.name}.{n}" for n in range(1, 10**6))
    return next(folder / name for name in names if not (folder / name).exists())


def write_durably(path: Path, lines: Iterable[bytes]) -> None:
    """Write a file in one step: it is there whole, or as it was.

    Raises:
        OSError: It cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def verify_store(folder: str | Path, *, track: Track = untracked) -> list[Fault]:
    """Check every file of a results folder: each line of each cell, and the files beside them.

    Args:
        folder: What `icl-gap run` wrote.
        track: Shows progress.

    Raises:
        StoreError: There is no such folder, or a file cannot be read.
    """
    folder = Path(folder)
    faults = _check_beside(folder)
    paths = list(_cells(folder))
    checked = [(path, check_file(path)) for path in track(paths, "checking", len(paths))]
    return faults + list(_faults(checked))


def repair_store(folder: str | Path, *, track: Track = untracked) -> list[Fault]:
    """Set damaged files aside and keep their good records, so that a run can go on.

    Args:
        folder: What `icl-gap run` wrote.
        track: Shows progress.

    Returns:
        What was wrong.

    Raises:
        StoreError: There is no such folder, another run writes to it, or it cannot be written.
    """
    folder = Path(folder)
    beside = _check_beside(folder)
    with writes(folder), locked(folder):
        for fault in beside:
            if fault.path.exists():
                set_aside(fault.path)
        paths = list(_cells(folder))
        mended = [(path, mend(path)) for path in track(paths, "checking", len(paths))]
    return beside + list(_faults(mended))


def _check_beside(folder: Path) -> list[Fault]:
    """Check the manifest, and that what else stands beside the cells is JSON."""
    if not (folder / "cells").is_dir():
        raise StoreError(f"{folder}: no results here; name a folder that `icl-gap run` wrote")
    faults = []
    try:
        read_manifest(folder)
    except StoreError as error:
        problem = str(error).removeprefix(f"{folder / MANIFEST}: ")
        faults.append(Fault(folder / MANIFEST, problem, 0))
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            if path.name != MANIFEST:
                faults.append(Fault(path, "not JSON", 0))
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    return faults


def _faults(checked: Iterable[tuple[Path, Checked]]) -> Iterator[Fault]:
    for path, found in checked:
        if found.problem is not None:
            yield Fault(path, found.problem, len(found.records))


def _cells(folder: Path) -> Iterator[Path]:
    for suffix in (WHOLE, FAILED, BEGUN):
        yield from sorted((folder / "cells").glob(f"*{suffix}"))

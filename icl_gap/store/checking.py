"""Damage: found in the files of a results folder, and mended.

What is broken is set aside, never deleted; its good lines are kept, and a run asks for the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.records import CellInfo
from icl_gap.store.files import (
    BEGUN,
    FAILED,
    MANIFEST,
    WHOLE,
    DamageError,
    OtherFormError,
    check_record,
    head_of,
    key_of,
    read_head,
    read_manifest,
)
from icl_gap.store.locking import locked
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
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    key, begun = key_of(path), path.name.endswith(BEGUN)
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
    if info is not None and not begun and not problems and len(records) != info.n_queries:
        problems.append(f"{len(records)} records instead of {info.n_queries}")
    return Checked(info, lines[0] if info else b"", tuple(records), _told(problems))


def _told(problems: list[str]) -> str | None:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else None


def mend(path: Path, info: CellInfo | None = None) -> Checked:
    """Check a cell's file, and set it aside if it is damaged; its good records go on as begun.

    Args:
        path: The file, in the folder `cells` of a results folder that nobody else writes to.
        info: The cell, where it is known; else its first line must wait for one who knows it.

    Returns:
        What was good, and what was wrong.

    Raises:
        OSError: The folder cannot be written.
        StoreError: The file cannot be read.
    """
    found = check_file(path)
    if found.problem is not None:
        path.rename(_place_aside(path))
        if found.records:
            head = found.head if info is None else head_of(info)
            begun = path.with_name(path.name.rpartition(WHOLE)[0] + BEGUN)
            write_durably(begun, (head, *found.records))
    return found


def _place_aside(path: Path) -> Path:
    folder = path.parent.parent / ASIDE
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
    """Check every file of a results folder: its manifest, and each line of each cell.

    Args:
        folder: What `icl-gap run` wrote.
        track: Shows progress.

    Raises:
        StoreError: There is no such folder, or a file cannot be read.
    """
    folder = Path(folder)
    faults = _check_manifest(folder)
    paths = list(_cells(folder))
    checked = [(path, check_file(path)) for path in track(paths, "checking", len(paths))]
    return faults + list(_faults(checked))


def repair_store(folder: str | Path, *, track: Track = untracked) -> list[Fault]:
    """Set damaged files aside and keep their good records, so that a run can go on.

    A damaged manifest is left, for a run writes it anew.

    Args:
        folder: What `icl-gap run` wrote.
        track: Shows progress.

    Returns:
        What was wrong.

    Raises:
        StoreError: There is no such folder, another run writes to it, or it cannot be written.
    """
    folder = Path(folder)
    faults = _check_manifest(folder)
    try:
        with locked(folder):
            paths = list(_cells(folder))
            mended = [(path, mend(path)) for path in track(paths, "checking", len(paths))]
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return faults + list(_faults(mended))


def _check_manifest(folder: Path) -> list[Fault]:
    if not (folder / "cells").is_dir():
        raise StoreError(f"{folder}: no results here; name a folder that `icl-gap run` wrote")
    try:
        read_manifest(folder)
    except StoreError as error:
        problem = str(error).removeprefix(f"{folder / MANIFEST}: ")
        return [Fault(folder / MANIFEST, problem, 0)]
    return []


def _faults(checked: Iterable[tuple[Path, Checked]]) -> Iterator[Fault]:
    for path, found in checked:
        if found.problem is not None:
            yield Fault(path, found.problem, len(found.records))


def _cells(folder: Path) -> Iterator[Path]:
    for suffix in (WHOLE, FAILED, BEGUN):
        yield from sorted((folder / "cells").glob(f"*{suffix}"))

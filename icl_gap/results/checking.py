"""Damage: found in the files of a results folder, and told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.files import IrregularError, check_regular, read_regular
from icl_gap.progress import Progress, no_progress
from icl_gap.results.agreement import disagreements
from icl_gap.results.cell_files import (
    BEGUN,
    FAILED,
    KEY_LENGTH,
    WHOLE,
    DamageError,
    OtherFormError,
    check_record,
    key_of,
    list_cells,
    read_head,
    twin_of,
)
from icl_gap.results.manifest import MANIFEST, Manifest, read_manifest
from icl_gap.results.sealed import PRECISION, read_sealed
from icl_gap.schema import CellInfo


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
    info, head, problems, records = None, b"", list[str](), []
    if not begun or (lines and not _is_record(lines[0], key)):  # else its first line is to come
        try:
            info = read_head(lines[0] if lines else b"", key)
            head = lines.pop(0)
        except OtherFormError as error:
            return Checked(None, b"", (), str(error))
        except DamageError as error:
            problems.append(str(error))
    for number, line in enumerate(lines, start=1):
        try:
            check_record(line, key)
        except DamageError as error:
            problems.append(f"record {number} is {error}")
        else:
            records.append(line)
    if info is not None and not begun and not problems:
        problems += _missing(records, info)
    return Checked(info, head, tuple(records), _told(problems))


def _is_record(line: bytes, key: str) -> bool:
    try:
        check_record(line, key)
    except DamageError:
        return False
    return True


def _lines(path: Path) -> list[bytes]:
    try:
        return read_regular(path).splitlines(keepends=True)
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


def verify_store(folder: str | Path, *, progress: Progress = no_progress) -> list[Fault]:
    """Check a results folder: each line of each cell, the files beside them, and what is missing.

    Cells that a sweep has not come to are no damage; see `absent_cells`.

    Args:
        folder: What `icl-gap run` wrote.
        progress: Shows progress.

    Raises:
        StoreError: There is no such folder, or a file cannot be read.
    """
    folder = Path(folder)
    faults = check_beside(folder)
    good = []
    paths = list_cells(folder, WHOLE, FAILED, BEGUN)
    for path in progress(paths, "checking", len(paths)):
        found = _checked(path)
        if found.problem is not None:
            faults.append(Fault(path, found.problem, len(found.records)))
        elif found.info is not None:
            good.append((path, found.info))
    return [*faults, *disagreeing(folder, good), *_twins(folder), *absent_settled(folder)]


def absent_cells(folder: str | Path) -> tuple[str, ...]:
    """The names of the cells that a sweep has not come to: none has a file, or ever was settled.

    Args:
        folder: What `icl-gap run` wrote.

    Returns:
        None of them where the manifest is damaged, which `verify_store` tells.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    known = _keys_there(folder).union(manifest.settled if manifest else ())
    cells = manifest.cells if manifest else ()
    return tuple(each.name for each in cells if each.key[:KEY_LENGTH] not in known)


def absent_settled(folder: Path) -> list[Fault]:
    """Find the cells that were settled when a run ended, and of which no file is left."""
    manifest = _manifest(folder)
    if manifest is None:
        return []
    lost = set(manifest.settled) - _keys_there(folder)
    problem = "missing, and was there when the last run ended; run the sweep again"
    return [
        Fault(folder / "cells" / f"{each.name}{WHOLE}", problem, 0)
        for each in manifest.cells
        if each.key[:KEY_LENGTH] in lost
    ]


def _keys_there(folder: Path) -> set[str]:
    """The starts of the keys of all cells that have a file.

    In the order in which a run changes their states, so that none is missed while one goes on.
    """
    return set(map(key_of, list_cells(folder, FAILED, BEGUN, WHOLE)))


def disagreeing(folder: Path, cells: Iterable[tuple[Path, CellInfo]]) -> list[Fault]:
    """Find the settled cells that must be described anew, as they and others differ.

    Args:
        folder: The results folder.
        cells: Files that are whole, and their first lines.
    """
    manifest = _manifest(folder)
    labels = {each.key: each.labels for each in manifest.cells} if manifest else {}
    settled = {
        info.key: (path, labels[info.key].of(info))
        for path, info in cells
        if info.key in labels and not path.name.endswith(BEGUN)
    }
    problems = disagreements(info for _, info in settled.values())
    return [
        Fault(settled[key][0], problem, settled[key][1].n_queries)
        for key, problem in problems.items()
    ]


def check_beside(folder: Path) -> list[Fault]:
    """Check the manifest and what else stands beside the cells.

    Raises:
        StoreError: There is no such folder, or a file cannot be read.
    """
    if not (folder / "cells").is_dir():
        raise StoreError(f"{folder}: no results here; name a folder that `icl-gap run` wrote")
    faults = []
    try:
        read_manifest(folder)
    except StoreError as error:
        problem = str(error).removeprefix(f"{folder / MANIFEST}: ")
        faults.append(Fault(folder / MANIFEST, problem, 0))
    others = [path for path in sorted(folder.glob("*.json")) if path.name != MANIFEST]
    told = ((path, _json_problem(path)) for path in others)
    return faults + [Fault(path, problem, 0) for path, problem in told if problem]


def _json_problem(path: Path) -> str | None:
    """The problem of a JSON file beside the cells; only the package's own has a checksum."""
    try:
        if path.name == PRECISION:
            read_sealed(path)
        else:
            json.loads(read_regular(path))
    except IrregularError as error:
        return error.strerror
    except DamageError as error:
        return str(error)
    except (ValueError, RecursionError):
        return "not JSON"
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    return None


def _checked(path: Path) -> Checked:
    try:
        check_regular(path)
    except IrregularError as error:
        return Checked(None, b"", (), error.strerror)
    return check_file(path)


def _twins(folder: Path) -> Iterator[Fault]:
    """Second files of a cell in one state."""
    for suffix in (WHOLE, FAILED, BEGUN):
        first: dict[str, Path] = {}
        for path in list_cells(folder, suffix):
            twin = first.setdefault(key_of(path), path)
            if twin is not path:
                yield Fault(path, twin_of(twin), 0)


def _manifest(folder: Path) -> Manifest | None:
    """The manifest, where it can be read."""
    try:
        return read_manifest(folder)
    except StoreError:
        return None

"""Verification: find the damage in the files of a results folder."""

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
    KEY_LENGTH,
    CellState,
    DamageError,
    SchemaVersionError,
    check_record,
    duplicate_problem,
    key_prefix,
    list_cells,
    parse_header,
)
from icl_gap.results.checksummed import CHECKSUMMED, read_checksummed
from icl_gap.results.manifest import MANIFEST, Manifest, read_manifest
from icl_gap.schema import CellInfo


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that is damaged, or missing, with the reason."""

    path: Path
    problem: str
    n_good: int
    """Number of its records that are undamaged."""

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.n_good} good records"


@dataclass(frozen=True, slots=True)
class CellCheck:
    """The undamaged content of a cell's file."""

    info: CellInfo | None
    """The cell; None where the header is damaged or missing."""
    header: bytes
    """The first line if it is undamaged; else empty."""
    records: tuple[bytes, ...]
    """The lines of the undamaged records."""
    problem: str | None
    """None where the file is undamaged, apart from the torn last line of an interrupted write."""

    @property
    def size(self) -> int:
        """Size of the undamaged lines, in bytes."""
        return len(self.header) + sum(map(len, self.records))

    def damage(self, path: Path) -> DamagedFile:
        """Return the report of a file that was found with this content."""
        return DamagedFile(path, str(self.problem), len(self.records))


def check_cell(path: Path) -> CellCheck:
    """Check every line of a cell's file.

    Raises:
        StoreError: It cannot be read.
    """
    lines, key, partial = _lines(path), key_prefix(path), path.name.endswith(CellState.PARTIAL)
    if partial and lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    info, header, problems, records = None, b"", list[str](), []
    if not partial or (lines and not _is_record(lines[0], key)):  # else its header is to come
        try:
            info = parse_header(lines[0] if lines else b"", key)
            header = lines.pop(0)
        except SchemaVersionError as error:
            return CellCheck(None, b"", (), str(error))
        except DamageError as error:
            problems.append(str(error))
    for number, line in enumerate(lines, start=1):
        try:
            check_record(line, key)
        except DamageError as error:
            problems.append(f"record {number} is {error}")
        else:
            records.append(line)
    if info is not None and not partial and not problems:
        problems += _wrong_count(records, info)
    return CellCheck(info, header, tuple(records), _first_of(problems))


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


def _wrong_count(records: list[bytes], info: CellInfo) -> list[str]:
    """Return the problem of a settled cell that has not exactly one record for each query."""
    different = len({line.partition(b',"exemplar_ids"')[0] for line in records})
    if different == len(records) == info.n_queries:
        return []
    of = f", of {different} queries," if different < len(records) else ""
    return [f"{len(records)} records{of} instead of {info.n_queries}"]


def _first_of(problems: list[str]) -> str | None:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}" if problems else None


def verify_store(folder: str | Path, *, progress: Progress = no_progress) -> list[DamagedFile]:
    """Check a results folder: each line of each cell, the files beside them, and lost files.

    Cells that the sweep has not reached are no damage; see `missing_cells`.

    Args:
        folder: A folder that `icl-gap run` wrote.
        progress: Shows progress.

    Returns:
        The damaged and lost files.

    Raises:
        StoreError: There is no such folder, or a file cannot be read.
    """
    folder = Path(folder)
    damaged = check_other_files(folder)
    good = []
    paths = list_cells(folder, *CellState)
    for path in progress(paths, "checking", len(paths)):
        found = _checked(path)
        if found.problem is not None:
            damaged.append(found.damage(path))
        elif found.info is not None:
            good.append((path, found.info))
    return [*damaged, *inconsistent_cells(folder, good), *_duplicates(folder), *lost_cells(folder)]


def missing_cells(folder: str | Path) -> tuple[str, ...]:
    """Return the names of the cells that the sweep has not reached: they never had a file.

    Args:
        folder: A folder that `icl-gap run` wrote.

    Returns:
        The names; none where the manifest is damaged, which `verify_store` reports.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    known = _keys_present(folder).union(manifest.settled if manifest else ())
    cells = manifest.cells if manifest else ()
    return tuple(each.name for each in cells if each.key[:KEY_LENGTH] not in known)


def lost_cells(folder: Path) -> list[DamagedFile]:
    """Find the cells that were settled when a run ended, and whose files are gone."""
    manifest = _manifest(folder)
    if manifest is None:
        return []
    lost = set(manifest.settled) - _keys_present(folder)
    problem = "missing, and was there when the last run ended; run the sweep again"
    return [
        DamagedFile(folder / "cells" / f"{each.name}{CellState.FINISHED}", problem, 0)
        for each in manifest.cells
        if each.key[:KEY_LENGTH] in lost
    ]


def _keys_present(folder: Path) -> set[str]:
    """Return the starts of the keys of all cells that have a file.

    States are listed in the order in which a run changes them, so that no cell is missed while one
    goes on.
    """
    states = (CellState.FAILED, CellState.PARTIAL, CellState.FINISHED)
    return set(map(key_prefix, list_cells(folder, *states)))


def inconsistent_cells(folder: Path, cells: Iterable[tuple[Path, CellInfo]]) -> list[DamagedFile]:
    """Find the settled cells whose headers describe their model differently than other cells do.

    Args:
        folder: The results folder.
        cells: Undamaged files, with their headers.
    """
    manifest = _manifest(folder)
    labels = {each.key: each.labels for each in manifest.cells} if manifest else {}
    settled = {
        info.key: (path, labels[info.key].applied_to(info))
        for path, info in cells
        if info.key in labels and not path.name.endswith(CellState.PARTIAL)
    }
    problems = disagreements(info for _, info in settled.values())
    return [
        DamagedFile(settled[key][0], problem, settled[key][1].n_queries)
        for key, problem in problems.items()
    ]


def check_other_files(folder: Path) -> list[DamagedFile]:
    """Check the manifest and the other JSON files beside the cells.

    Raises:
        StoreError: There is no such folder, or a file cannot be read.
    """
    if not (folder / "cells").is_dir():
        raise StoreError(f"{folder}: no results here; name a folder that `icl-gap run` wrote")
    damaged = []
    try:
        read_manifest(folder)
    except StoreError as error:
        problem = str(error).removeprefix(f"{folder / MANIFEST}: ")
        damaged.append(DamagedFile(folder / MANIFEST, problem, 0))
    others = [path for path in sorted(folder.glob("*.json")) if path.name != MANIFEST]
    problems = ((path, _json_problem(path)) for path in others)
    return damaged + [DamagedFile(path, problem, 0) for path, problem in problems if problem]


def _json_problem(path: Path) -> str | None:
    """Return the problem of a JSON file beside the cells; only the package's own has a checksum."""
    try:
        if path.name in CHECKSUMMED:
            read_checksummed(path)
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


def _checked(path: Path) -> CellCheck:
    try:
        check_regular(path)
    except IrregularError as error:
        return CellCheck(None, b"", (), error.strerror)
    return check_cell(path)


def _duplicates(folder: Path) -> Iterator[DamagedFile]:
    """Yield the second files of a cell in one state."""
    for state in CellState:
        first: dict[str, Path] = {}
        for path in list_cells(folder, state):
            known = first.setdefault(key_prefix(path), path)
            if known is not path:
                yield DamagedFile(path, duplicate_problem(known), 0)


def _manifest(folder: Path) -> Manifest | None:
    """Return the manifest, or None where it cannot be read."""
    try:
        return read_manifest(folder)
    except StoreError:
        return None

"""Repair: damaged files are set aside, never deleted, and their good records are kept for a run."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.files import (
    IrregularError,
    check_folder,
    check_regular,
    make_folder,
    remove_temporaries,
    sync_folder,
    write_atomically,
)
from icl_gap.progress import Progress, no_progress
from icl_gap.results.cell_files import CellState, cell_files, in_state
from icl_gap.results.locking import locked, store_errors
from icl_gap.results.manifest import MANIFEST, read_manifest
from icl_gap.results.verifying import (
    CellCheck,
    DamagedFile,
    check_cell,
    check_other_files,
    inconsistent_cells,
    lost_cells,
)

DAMAGED = "damaged"
"""Name of the folder, beside `cells`, of files that are set aside."""
_log = logging.getLogger(__name__)


def repair_cell(path: Path) -> CellCheck:
    """Check a cell's file, and if it is damaged set it aside and keep its good records as partial.

    Args:
        path: The file, in the folder `cells` of a results folder that nobody else writes to.

    Returns:
        The undamaged content, and the problem.

    Raises:
        OSError: The folder cannot be written.
        StoreError: The file cannot be read.
    """
    found = check_cell(path)
    if found.problem is not None:
        restart_cell(path, found)
    return found


def restart_cell(path: Path, found: CellCheck) -> None:
    """Set a cell's file aside, and make its undamaged content a partial file.

    An undamaged header is kept. Without one the records wait until the model is loaded, which alone
    knows all that a header says. Records of a partial file that the cell has already are kept too.

    Args:
        path: The file.
        found: Its undamaged content.

    Raises:
        OSError: The folder cannot be written.
        StoreError: A file cannot be read.
    """
    partial = in_state(path, CellState.PARTIAL)
    before = repair_cell(partial) if partial != path and os.path.lexists(partial) else None
    header, records = found.header, found.records
    if before is not None:
        header, records = header or before.header, (*before.records, *records)
    aside = _free_name(path)
    os.link(path, aside, follow_symlinks=False)
    sync_folder(aside.parent)  # a stop at any moment leaves the records in one place or the other
    if records:
        write_atomically(partial, (header, *records))
    if partial != path or not records:
        path.unlink()


def repair_manifest(folder: Path) -> None:
    """Set a manifest that cannot be read aside, with a warning.

    Raises:
        OSError: The folder cannot be written.
    """
    path = folder / MANIFEST
    check_regular(path)
    if path.exists():
        try:
            read_manifest(folder)
        except StoreError as error:
            set_aside(path)
            _log.warning("%s; the file is set aside in %s", error, folder / DAMAGED)


def set_aside(path: Path) -> None:
    """Move a damaged file into the folder of damaged files, under a free name.

    Raises:
        OSError: The folder cannot be written.
    """
    aside = _free_name(path)
    path.rename(aside)
    sync_folder(aside.parent)


def _free_name(path: Path) -> Path:
    results = path.parent.parent if path.parent.name == "cells" else path.parent
    folder = results / DAMAGED
    make_folder(folder)
    names = (f"{path.name}.{n}" for n in range(1, 10**6))
    return next(folder / name for name in names if not os.path.lexists(folder / name))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed runs from a results folder, which is locked.

    Raises:
        OSError: The folder cannot be written.
    """
    remove_temporaries(folder)
    for name in ("cells", "figures"):
        check_folder(folder / name)
        remove_temporaries(folder / name)


def repair_store(folder: str | Path, *, progress: Progress = no_progress) -> list[DamagedFile]:
    """Set damaged files aside and keep their good records, so that a run can go on.

    Args:
        folder: A folder that `icl-gap run` wrote.
        progress: Shows progress.

    Returns:
        The files that were damaged, and those that are lost.

    Raises:
        StoreError: There is no such folder, two files hold one cell, another run writes to the
            folder, or it cannot be written.
    """
    folder = Path(folder)
    damaged = check_other_files(folder)
    good = []
    with store_errors(folder), locked(folder):
        remove_leftovers(folder)
        paths = [path for state in CellState for path in cell_files(folder, state).values()]
        for each in damaged:
            if os.path.lexists(each.path):
                set_aside(each.path)
        for path in progress(paths, "checking", len(paths)):
            found = _repaired(path)
            if found.problem is not None:
                damaged.append(found.damage(path))
            elif found.info is not None:
                good.append((path, found.info))
        inconsistent = inconsistent_cells(folder, good)
        for each in inconsistent:
            restart_cell(each.path, check_cell(each.path))
    return [*damaged, *inconsistent, *lost_cells(folder)]


def _repaired(path: Path) -> CellCheck:
    try:
        check_regular(path)
    except IrregularError as error:
        set_aside(path)
        return CellCheck(None, b"", (), str(error.strerror))
    return repair_cell(path)

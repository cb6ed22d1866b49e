"""Mending: what is broken is set aside, never deleted; its good lines wait for a run to go on."""

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
from icl_gap.results.cell_files import BEGUN, FAILED, WHOLE, cell_files, in_state
from icl_gap.results.checking import (
    Checked,
    Fault,
    absent_settled,
    check_beside,
    check_file,
    disagreeing,
)
from icl_gap.results.locking import locked, writes
from icl_gap.results.manifest import MANIFEST, read_manifest

ASIDE = "damaged"
"""The folder beside `cells` for files that are set aside."""
_log = logging.getLogger(__name__)


def mend(path: Path) -> Checked:
    """Check a cell's file, and set it aside if it is damaged; its good records go on as begun.

    Args:
        path: The file, in the folder `cells` of a results folder that nobody else writes to.

    Returns:
        What was good, and what was wrong.

    Raises:
        OSError: The folder cannot be written.
        StoreError: The file cannot be read.
    """
    found = check_file(path)
    if found.problem is not None:
        start_over(path, found)
    return found


def start_over(path: Path, found: Checked) -> None:
    """Set a cell's file aside, and go on with what is good of it as begun.

    A first line is kept where a good one is at hand; else the records wait without one until the
    model is loaded, which alone knows all that the line tells. What a begun file of the cell holds
    already is kept beside them.

    Args:
        path: The file.
        found: What is good in it.

    Raises:
        OSError: The folder cannot be written.
        StoreError: A file cannot be read.
    """
    begun = in_state(path, BEGUN)
    before = mend(begun) if begun != path and os.path.lexists(begun) else None
    head, records = found.head, found.records
    if before is not None:
        head, records = head or before.head, (*before.records, *records)
    aside = _place_aside(path)
    os.link(path, aside, follow_symlinks=False)
    sync_folder(aside.parent)  # a stop at any moment leaves the records in one place or the other
    if records:
        write_atomically(begun, (head, *records))
    if begun != path or not records:
        path.unlink()


def mend_manifest(folder: Path) -> None:
    """Set a manifest aside that is damaged, or was written in another form, with a warning.

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
            _log.warning("%s; the file is set aside in %s", error, folder / ASIDE)


def set_aside(path: Path) -> None:
    """Move a damaged file that is no cell's to the others that were found damaged.

    Raises:
        OSError: The folder cannot be written.
    """
    aside = _place_aside(path)
    path.rename(aside)
    sync_folder(aside.parent)


def _place_aside(path: Path) -> Path:
    results = path.parent.parent if path.parent.name == "cells" else path.parent
    folder = results / ASIDE
    make_folder(folder)
    names = (f"{path.name}.{n}" for n in range(1, 10**6))
    return next(folder / name for name in names if not os.path.lexists(folder / name))


def remove_left_over(folder: Path) -> None:
    """Remove the temporary files that killed runs left in a results folder, which is locked.

    Raises:
        OSError: The folder cannot be written.
    """
    remove_temporaries(folder)
    for name in ("cells", "figures"):
        check_folder(folder / name)
        remove_temporaries(folder / name)


def repair_store(folder: str | Path, *, progress: Progress = no_progress) -> list[Fault]:
    """Set damaged files aside and keep their good records, so that a run can go on.

    Args:
        folder: What `icl-gap run` wrote.
        progress: Shows progress.

    Returns:
        What was wrong.

    Raises:
        StoreError: There is no such folder, two files hold one cell, another run writes to the
            folder, or it cannot be written.
    """
    folder = Path(folder)
    faults = check_beside(folder)
    good = []
    with writes(folder), locked(folder):
        remove_left_over(folder)
        states = [cell_files(folder, suffix) for suffix in (WHOLE, FAILED, BEGUN)]
        for fault in faults:
            if os.path.lexists(fault.path):
                set_aside(fault.path)
        paths = [path for files in states for path in files.values()]
        for path in progress(paths, "checking", len(paths)):
            found = _repaired(path)
            if found.problem is not None:
                faults.append(Fault(path, found.problem, len(found.records)))
            elif found.info is not None:
                good.append((path, found.info))
        described = disagreeing(folder, good)
        for fault in described:
            start_over(fault.path, check_file(fault.path))
    return [*faults, *described, *absent_settled(folder)]


def _repaired(path: Path) -> Checked:
    try:
        check_regular(path)
    except IrregularError as error:
        set_aside(path)
        return Checked(None, b"", (), str(error.strerror))
    return mend(path)

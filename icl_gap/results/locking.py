"""Writing to a results folder: one run at a time, with errors that name the folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.files import IrregularError, check_regular


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The system takes it back from a process that dies.

    Raises:
        OSError: The file system has no such locks, or the lock's file cannot be written.
        StoreError: Another process holds the lock.
    """
    from filelock import FileLock, Timeout

    path = folder / ".lock"
    check_regular(path)  # `FileLock` refuses symbolic links, and would lock a FIFO
    lock = FileLock(path, blocking=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"{folder}: another run is writing here; wait for it, or choose another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def store_errors(folder: Path) -> Iterator[None]:
    """Turn the system's errors about a folder into `StoreError`.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        yield
    except IrregularError as error:
        raise StoreError(f"{error.filename}: cannot be written: {error.strerror}") from error
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error

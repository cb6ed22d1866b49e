"""Writing to a results folder: one run at a time, and told where it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icl_gap.errors import StoreError
from icl_gap.files import IrregularError, append_regular


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system takes back from a process that dies.

    Raises:
        OSError: The lock cannot be written.
        StoreError: Another process holds it.
    """
    import fcntl

    with append_regular(folder / ".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{folder}: another run is writing here; wait for it, or choose another folder"
            ) from None
        yield


@contextmanager
def store_errors(folder: Path) -> Iterator[None]:
    """Tell what the system says of a folder, in a user's words.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        yield
    except IrregularError as error:
        raise StoreError(f"{error.filename}: cannot be written: {error.strerror}") from error
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error

"""Files on disk: read only if they are regular, and replaced only as a whole.

A results folder may come from anywhere, and an output path may be mistyped. A symbolic link, a FIFO
or a device there is neither read, nor written through, nor replaced. All functions raise `OSError`
for that as for what the system refuses, so callers handle both in the same way.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_TEMPORARY = re.compile(r"\.icl-gap-[0-9a-f]{32}\.tmp")
"""Names of temporary files, which replace others once they are complete."""
_FILE_TYPES = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class IrregularError(OSError):
    """A path that holds another type of file than it may.

    Args:
        path: The path.
        mode: The mode of the file that is there.
        wanted: The type of file that may be there.
    """

    def __init__(self, path: str | Path, mode: int, wanted: str = "a regular file") -> None:
        found = next((name for test, name in _FILE_TYPES if test(mode)), "a file")
        problem = f"it is {found}, and must be {wanted}; move it away, or choose another path"
        super().__init__(errno.EINVAL, problem, str(path))


def check_regular(path: Path) -> None:
    """Check that a path is free, or holds a regular file.

    Raises:
        IrregularError: Something else is there.
    """
    with suppress(FileNotFoundError):
        _check(path, path.lstat().st_mode)


def open_regular(path: Path, *, follow: bool = False) -> BinaryIO:
    """Open a regular file to read it. No other is opened, so a FIFO cannot block.

    Args:
        path: The file.
        follow: Allow a symbolic link to a regular file.

    Raises:
        IrregularError: It is not a regular file.
        OSError: It cannot be read.
    """
    _check(path, path.stat(follow_symlinks=follow).st_mode)
    return os.fdopen(_open(path, os.O_RDONLY, follow=follow), "rb")


def read_regular(path: Path, *, follow: bool = False) -> bytes:
    """Read a whole file; see `open_regular`."""
    with open_regular(path, follow=follow) as file:
        return file.read()


def append_regular(path: Path) -> BinaryIO:
    """Open a file to append to it; it is made if it is missing.

    Raises:
        IrregularError: It is not a regular file.
        OSError: It cannot be written.
    """
    check_regular(path)
    return os.fdopen(_open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT), "ab")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes a path when the block ends; an error leaves the path as it was.

    The file is on the disk before it takes the path, and the path is on the disk when the block
    ends. So after a power cut, the old file or the new one is there whole.

    Args:
        path: The file to write. A regular file there is replaced.

    Raises:
        IrregularError: Something other than a regular file is there.
        OSError: It cannot be written.
    """
    check_regular(path)
    new, descriptor = _temporary(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            check_regular(path)
            new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_atomically(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file in one step, so that it is there whole or as it was; see `replacing`."""
    with replacing(path) as file:
        file.writelines(chunks)


def make_folder(path: Path, *, follow: bool = False) -> None:
    """Make a folder and those above it, where they are missing, and bring their names to the disk.

    Args:
        path: The folder.
        follow: Allow a symbolic link to a folder.

    Raises:
        IrregularError: Something other than a folder is there.
        OSError: It cannot be made.
    """
    try:
        path.mkdir()
    except FileNotFoundError:
        make_folder(path.parent, follow=True)
        path.mkdir(exist_ok=True)
    except OSError:
        if not os.path.lexists(path):
            raise
        check_folder(path, follow=follow)
        return
    sync_folder(path.parent)


def check_folder(path: Path, *, follow: bool = False) -> None:
    """Check that a path is free, or holds a folder.

    Raises:
        IrregularError: Something else is there.
    """
    with suppress(FileNotFoundError):
        mode = path.stat(follow_symlinks=follow).st_mode
        if not stat.S_ISDIR(mode):
            raise IrregularError(path, mode, "a folder")


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk.

    Raises:
        OSError: The system could not.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # file systems without it
            raise
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder; those of living ones stay.

    Raises:
        OSError: The folder cannot be read, or not be written.
    """
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_unless_locked(Path(entry.path))


def _remove_unless_locked(path: Path) -> None:
    with suppress(FileNotFoundError), open_regular(path) as file:
        if _lock(file.fileno(), wait=False):
            path.unlink()


def _temporary(folder: Path) -> tuple[Path, int]:
    """Open a new file with an unpredictable name, locked for as long as it is open."""
    while True:
        new = folder / f".icl-gap-{secrets.token_hex(16)}.tmp"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        _lock(descriptor, wait=True)
        if os.fstat(descriptor).st_nlink:
            return new, descriptor
        os.close(descriptor)  # removed by another process before it was locked


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Lock a file until it is closed, and return whether that was possible."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process holds it, or the file system has no locks
        return False
    return True


def _open(path: Path, flags: int, *, follow: bool = False) -> int:
    """Open a file without waiting for another process, and check that it is regular."""
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP and not follow:
            raise IrregularError(path, stat.S_IFLNK) from error
        raise
    try:
        _check(path, os.fstat(descriptor).st_mode)
    except IrregularError:
        os.close(descriptor)
        raise
    return descriptor


def _check(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise IrregularError(path, mode)

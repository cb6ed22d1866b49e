"""Paths that users write: one that cannot be, such as one with a name too long, is not there."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """A path with `~` written out; unchanged where that names a user whom the system lacks."""
    path = Path(path)
    with suppress(RuntimeError):
        return path.expanduser()
    return path


def is_there(path: Path) -> bool:
    """Whether there is anything under a path."""
    return _holds(path.exists)


def is_folder(path: Path) -> bool:
    """Whether there is a folder under a path."""
    return _holds(path.is_dir)


def is_file(path: Path) -> bool:
    """Whether there is a regular file under a path."""
    return _holds(path.is_file)


def _holds(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError:
        return False

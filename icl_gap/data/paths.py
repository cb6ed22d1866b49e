"""Paths that users write; an impossible one, as with a name too long, counts as missing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Return a path with `~` expanded; unchanged if it names an unknown user."""
    path = Path(path)
    with suppress(RuntimeError):
        return path.expanduser()
    return path


def is_there(path: Path) -> bool:
    """Return whether a path exists."""
    return _holds(path.exists)


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder."""
    return _holds(path.is_dir)


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file."""
    return _holds(path.is_file)


def _holds(test: Callable[[], bool]) -> bool:
    try:
        return test()
    except OSError:
        return False

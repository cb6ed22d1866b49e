"""The folder for what can be made or fetched again."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from icl_gap.errors import InputError
from icl_gap.specs import user_path


def cache_root() -> Path:
    """Return the cache folder: `ICL_GAP_CACHE`, else `~/.cache/icl_gap`.

    Raises:
        InputError: There is neither.
    """
    if named := os.environ.get("ICL_GAP_CACHE"):
        path = Path(named)
        with suppress(RuntimeError):
            return path.expanduser()
        return path
    try:
        return user_path("~/.cache/icl_gap")
    except InputError:
        raise InputError(
            "there is no home folder to keep a cache in",
            allowed="a folder named by ICL_GAP_CACHE, or by HOME",
        ) from None

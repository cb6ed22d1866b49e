"""Provenance: what a result was made with, kept to trace it and no part of its key."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = (
    "icl-gap",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "numpy",
    "openai",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
)


def collect_provenance(device: str) -> dict[str, Any]:
    """Return package versions, machine, commit of this checkout, and the time.

    Args:
        device: The device that the model runs on.
    """
    return {
        "device": device,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": _versions(),
        "git_commit": _commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # bitsandbytes is an extra
    return found


@cache
def _commit() -> str | None:
    """Return the commit of the checkout this package runs from, marked where files differ."""
    here = Path(__file__).parent.parent
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    if not (here.parent / ".git").exists():
        return None
    try:
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)  # noqa: S603 (a fixed command)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None

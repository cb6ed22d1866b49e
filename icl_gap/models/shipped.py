"""Models that ship with the package: ordinary folders that are known by their names."""

from __future__ import annotations

from pathlib import Path

from icl_gap.errors import ModelError

_FOLDER = Path(__file__).parent.parent / "nano" / "weights"
_PREFIX = "nano-"


def shipped_models() -> tuple[str, ...]:
    """Return the names of the models that ship, in order."""
    return tuple(sorted(config.parent.name for config in _FOLDER.glob("*/config.json")))


def shipped_folder(name: str) -> Path | None:
    """Return the folder of a model that ships; None for a name without the prefix `nano-`.

    Args:
        name: A name such as `nano-codegen-m`. A path never counts: `./nano-codegen-m` is a folder
            of the user's own.

    Raises:
        ModelError: The name has the prefix, and no such model ships.
    """
    if not name.startswith(_PREFIX) or "/" in name:
        return None
    folder = _FOLDER / name
    if not (folder / "config.json").is_file():
        raise ModelError(
            "no such model ships with the package",
            value=name,
            allowed=(*shipped_models(), f"./{name} for a folder of your own"),
        ).at(key="model")
    return folder

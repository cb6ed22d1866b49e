"""The models that ship with the package: folders as any other, known by their names."""

from __future__ import annotations

from pathlib import Path

from icl_gap.errors import ModelError

FAMILY_MARK = "icl_gap_family"
"""The key in `config.json` of a model that belongs to another family than its architecture's."""

_FOLDER = Path(__file__).parent.parent / "nano" / "weights"
_PREFIX = "nano-"


def shipped_models() -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(sorted(config.parent.name for config in _FOLDER.glob("*/config.json")))


def shipped_folder(name: str) -> Path | None:
    """The folder of a model that ships; None for a name that is not of their kind.

    Args:
        name: `nano-codegen-s`, say. A path is never such a name: `./nano-codegen-s` is a folder of
            the user's own.

    Raises:
        ModelError: The name is of their kind, and no such model ships.
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

"""The base model of a folder or a GGUF file, whose name without its size is the family."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from icl_gap.models.hf.folder import FAMILY_MARK
from icl_gap.models.hf.gguf_header import GGUFHeader
from icl_gap.models.hf.hub import is_path
from icl_gap.models.zoo import find_zoo_model

_NUMBER = r"\d+(?:[.p]\d+)?"
_SIZE = re.compile(
    rf"(?:^|[-_ ])(?:{_NUMBER}[bmk]|{_NUMBER}b\d+|\d+x{_NUMBER}b|[ae]{_NUMBER}b)(?=$|[-_ ])",
    re.IGNORECASE,
)
"""Part of a name that is a size, as `0.5B`, `1b7`, `8x7b` or `A3B`."""
_FORMAT = re.compile(r"[-_ .](?:gguf|awq|gptq|bf16|fp?(?:8|16|32)|int\d|i?q\d\w*)$", re.IGNORECASE)
"""End of a name that is a precision or the format of a file."""
_SIZE_WORD = re.compile(r"[-_ ](?:x{0,2}s|tiny|mini|small|m|medium|x{0,2}l|large)$", re.IGNORECASE)
_NAMES = ("_name_or_path", "_model_name_or_path")
"""Keys of `config.json` that may name the model that a folder comes from."""


def family_of_folder(folder: Path, config: Mapping[str, Any]) -> str:
    """Return the family of a folder whose entry names none.

    It is what `config.json` says (`icl_gap_family`), or follows from the base model that
    `config.json` or the model card names; failing these, from the folder's name. Its architecture
    says too little: models of many makers have that of Llama.

    Args:
        folder: The folder.
        config: The contents of its `config.json`.
    """
    if marked := config.get(FAMILY_MARK):
        return str(marked)
    named = (config.get(key) for key in _NAMES)
    for each in (*named, *_bases_of_card(folder / "README.md")):
        if isinstance(each, str) and each.strip() and not is_path(each):  # no place on a machine
            return family_of_name(each)
    return family_of_name(folder.resolve().name)


def family_of_file(header: GGUFHeader, path: Path) -> str:
    """Return the family of a GGUF file whose entry names none.

    Args:
        header: The file's header.
        path: The file.
    """
    base = header.metadata.get("general.basename")
    return str(base) if base else family_of_name(path.stem)


def family_of_name(name: str) -> str:
    """Return the family that a model's name tells of.

    Args:
        name: The name on the hub, or of a folder or a file.

    Returns:
        The zoo's family, or the name without the owner, its size and the format of its weights, so
        that the sizes of a model share a family.
    """
    known = find_zoo_model(name)
    if known is not None:
        return known.family
    own = name.rpartition("/")[2]
    bare = own
    while (shorter := _FORMAT.sub("", bare)) != bare:
        bare = shorter
    sized = _SIZE.sub("", bare)
    bare = sized if sized != bare else _SIZE_WORD.sub("", bare)
    return bare.strip("-_ ") or own


def _bases_of_card(card: Path) -> Iterator[object]:
    """Yield the base models that the front matter of a model card names."""
    try:
        _, start, rest = card.read_text(encoding="utf-8").partition("---\n")
        fields = yaml.safe_load(rest.partition("\n---")[0]) if start else None
    except (OSError, ValueError, yaml.YAMLError):
        return
    found = fields.get("base_model") if isinstance(fields, dict) else None
    yield from found if isinstance(found, list) else [found]

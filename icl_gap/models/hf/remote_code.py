"""Checks for model folders whose settings would make a library fetch and run code.

`transformers` loads an attention implementation named `owner/repository` from the hub, as a kernel,
and a folder's `config.json` may name any. For `auto_map` it has a switch of its own: without
`trust_remote_code` it uses its own classes, or loads nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from icl_gap.errors import ModelError
from icl_gap.models.hf.folder import read_optional_json

_IMPLEMENTATION = re.compile(r"_*(attn|experts)_implementation(_internal)?")
_OWN_NAME = re.compile(r"\w*", re.ASCII)
"""Names without `/`, `:`, `|` or `@`, which are the library's own."""
_SWITCHES = frozenset({"kernel_config", "use_kernels", "allow_all_kernels", "attribute_map"})
"""Keys that enable kernels of the hub, or make another key an alias of one that does."""
_OWN_MODULES = "sentence_transformers."


def refuse_code(folder: Path) -> None:
    """Refuse a model of `transformers` whose configuration names code.

    Args:
        folder: The model's folder. All `config*.json` are checked, as one may refer the library to
            another (`configuration_files`).

    Raises:
        ModelError: A configuration names code, or cannot be read.
    """
    for path in sorted(folder.glob("config*.json")):
        for found in _naming_code(read_optional_json(path)):
            raise needs_trust(f"{found} in {path}")


def needs_trust(value: str) -> ModelError:
    """Return the error for a model with code that the sweep does not allow to run.

    Args:
        value: Location of the code, or of the setting that names it.
    """
    return ModelError(
        "this model comes with Python code, or names code to fetch, which is not run unless the"
        " sweep says so",
        value=value,
        allowed="a model without it; or `trust_remote_code: true`, once you have read that code",
    )


def library_error(error: Exception, problem: str, value: str) -> ModelError:
    """Return the error for a failure of `transformers` or of a model's code.

    Args:
        error: The exception, which may say that code is not allowed to run.
        problem: What failed, to which the exception's first line is added.
        value: The model, or its folder.
    """
    if "trust_remote_code" in str(error):
        return needs_trust(value)
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"{problem}: {reason}", value=value)


def refuse_embedder_code(folder: Path) -> None:
    """Refuse a model of `sentence-transformers` whose settings name code; nothing allows it.

    Args:
        folder: The model's folder; its settings are in its own files and in those of subfolders.

    Raises:
        ModelError: The settings name code, or cannot be read.
    """
    paths = {*folder.glob("*.json"), *folder.glob("[!.]*/*.json")}
    named = "modules.json"
    for path in sorted(each for each in paths if "config" in each.name or each.name == named):
        settings = _read_settings(path)
        for found in (*_naming_code(settings), *_naming_classes(settings)):
            raise ModelError(
                "this model names code, which is never run for embeddings",
                value=f"{found} in {path}",
                allowed="a model that sentence-transformers runs by itself",
            )


def _read_settings(path: Path) -> Mapping[str, Any]:
    """Read any JSON value, and return it under an empty key."""
    try:
        return {"": json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path.name}: {error}", value=str(path)) from error


def _naming_code(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings that name a kernel of the hub, or allow one to be named."""
    for key, value in _entries(settings):
        if _IMPLEMENTATION.fullmatch(key):
            yield from (f"{key}: {name}" for name in _names(value) if not _OWN_NAME.fullmatch(name))
        elif key in _SWITCHES and value:
            yield key


def _naming_classes(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the settings of an embedder that name a class of another package."""
    for key, value in _entries(settings):
        if key in {"type", "types"}:
            for name in _names(value):
                if "." in name and not name.startswith(_OWN_MODULES):
                    yield f"{key}: {name}"


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key of a JSON value, at any depth, with its value."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as found:
                yield from found.items()
                waiting += found.values()
            case list() as found:
                waiting += found


def _names(value: Any) -> Iterator[str]:
    """Yield a name, or the names of the parts of a model."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _names(each)

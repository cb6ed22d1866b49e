"""Files of a model's folder, as `transformers` writes it.

Nothing here reads weights into memory, and nothing imports torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from icl_gap.errors import ModelError

SAFE_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")
SMALL_FILES = ("*.json", "*.txt", "*.model", "*.py")
"""Patterns of configuration, tokenizer and code files, without weights."""
TEMPLATES = ("*.jinja",)
"""Patterns of chat templates. They change a result only where they are used, and the key has them
then."""

FAMILY_MARK = "icl_gap_family"
"""Key in `config.json` of a model that belongs to another family than its architecture's."""
TRAINING_SEED_MARK = "icl_gap_training_seed"
"""Key in `config.json` of a model that differs from others in the seed of its training alone."""
UNTRAINED_MARK = "icl_gap_untrained"
"""Key in `config.json` of a model whose weights were never trained."""
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
_ALIBI_FAMILIES = ("bloom",)
_NO_INFLUENCE = ("README", "LICENSE", "trainer_state", "training_args")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelError: The file cannot be read or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"cannot read {path.name}: {error.strerror}", value=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} is not JSON: {error}", value=str(path)) from error
    if not isinstance(value, dict):
        raise ModelError(f"{path.name} does not hold a JSON object", value=str(path))
    return value


def read_optional_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; return an empty one where there is no such file.

    Raises:
        ModelError: The file exists, and cannot be read or holds something else.
    """
    return read_json(path) if path.is_file() else {}


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json` and check that it names an architecture.

    Raises:
        ModelError: The file is missing, is not a JSON object, or names no architecture.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ModelError(
            "this folder holds no model: it has no config.json",
            value=str(folder),
            allowed="a folder as `save_pretrained` of transformers writes it",
        )
    config = read_json(path)
    if not isinstance(config.get("model_type"), str):
        raise ModelError("config.json names no architecture (model_type)", value=str(path))
    return config


def context_length(config: Mapping[str, Any]) -> int | None:
    """Return the context length in tokens; None where positions have no limit (ALiBi).

    Args:
        config: The contents of `config.json`.
    """
    text = config.get("text_config")
    config = {**config, **text} if isinstance(text, dict) else config
    attention = config.get("attn_config")
    alibi = attention.get("alibi") if isinstance(attention, dict) else config.get("alibi")
    if alibi or config.get("model_type") in _ALIBI_FAMILIES:
        return None
    return next((config[key] for key in _CONTEXT_KEYS if isinstance(config.get(key), int)), None)


def weight_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of the weights: safetensors rather than pickles, an index before its parts.

    Raises:
        ModelError: The folder holds no weights, or a file that the index names is missing.
    """
    for whole, index in (SAFE_WEIGHTS, PICKLED_WEIGHTS):
        if (folder / whole).is_file():
            return (folder / whole,)
        if (folder / index).is_file():
            return (folder / index, *_parts(folder / index))
    raise ModelError(
        "this folder holds no weights", value=str(folder), allowed=(*SAFE_WEIGHTS, *PICKLED_WEIGHTS)
    )


def is_safe(weights: Iterable[Path]) -> bool:
    """Return whether weights are safetensors, which hold no code."""
    return any(path.suffix == ".safetensors" for path in weights)


def check_weights(weights: Iterable[Path]) -> None:
    """Check by the headers of safetensors files that no file is damaged or truncated.

    Raises:
        ModelError: A file is damaged or truncated.
    """
    from safetensors import SafetensorError, safe_open

    for path in weights:
        if path.suffix == ".safetensors":
            try:
                with safe_open(path, framework="numpy"):
                    pass
            except (SafetensorError, OSError) as error:
                raise ModelError(f"damaged weights: {error}", value=str(path)) from error


def fingerprints(folder: Path, weights: Iterable[Path]) -> dict[str, str]:
    """Return the sha256 of each file that can change a result, by name.

    Args:
        folder: The model's folder.
        weights: Files in it to hash beside its small ones: weights, or files of subfolders.

    Raises:
        ModelError: A file cannot be read.
    """
    small = (path for pattern in SMALL_FILES for path in folder.glob(pattern) if path.is_file())
    files = sorted({*_with_influence(small), *weights})
    names = [path.relative_to(folder).as_posix() for path in files]
    try:
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(names, pool.map(sha256, files), strict=True))
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}", value=str(folder)) from error


def parts_of_embedder(folder: Path) -> list[Path]:
    """Return the weights of a sentence-transformers model, and the relevant files of subfolders."""
    weights = (path for pattern in ("*.safetensors", "*.bin") for path in folder.glob(pattern))
    inner = (path for path in folder.glob("[!.]*/*") if path.is_file())
    return [*weights, *_with_influence(inner)]


def sha256(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _with_influence(files: Iterable[Path]) -> Iterator[Path]:
    """Leave out documents, and indices of weights, which `weight_files` adds where it uses them."""
    for path in files:
        if not path.name.startswith(_NO_INFLUENCE) and not path.name.endswith(".index.json"):
            yield path


def _parts(index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index.name} names no files (weight_map)", value=str(index))
    kind = ".safetensors" if index.name in SAFE_WEIGHTS else ".bin"
    names = sorted({str(name) for name in weight_map.values()})
    odd = [name for name in names if Path(name).name != name or not name.endswith(kind)]
    if odd:
        raise ModelError(
            f"{index.name} names what is no file of weights beside it",
            value=f"{odd[0]} in {index}",
            allowed=f"names that end in {kind}, without a folder",
        )
    parts = [index.parent / name for name in names]
    missing = [path.name for path in parts if not path.is_file()]
    if missing:
        raise ModelError(f"weights are missing: {', '.join(missing)}", value=str(index.parent))
    return parts

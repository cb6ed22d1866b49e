"""Folders of models: local ones, and those that the Hugging Face hub holds at some commit.

The small files are fetched for a plan, the weights when the model is loaded. Both work offline
where the cache holds them.
"""

from __future__ import annotations

from pathlib import Path

from icl_gap.errors import ModelError
from icl_gap.models.hf.folder import SMALL_FILES, TEMPLATES
from icl_gap.models.shipped import shipped_folder
from icl_gap.specs import user_path

_SAFE = ("model.safetensors", "model-*.safetensors")
_PICKLED = ("pytorch_model*.bin",)
_SAFE_PARTS = ("*.safetensors", "*/*.safetensors")
_PICKLED_PARTS = ("*.bin", "*/*.bin")


def local_folder(model: str) -> Path | None:
    """Return the folder that a model's name stands for here.

    Args:
        model: The name of a model that ships, or a path; else it is a name on the hub.

    Returns:
        The folder, which may not exist where `model` can only be a path; None for a name on the
        hub.

    Raises:
        ModelError: The name begins as those of shipped models do, and no such model ships.
        InputError: No file system can have such a path.
    """
    folder = shipped_folder(model) or user_path(model)
    return folder if folder.exists() or is_path(model) else None


def is_path(model: str) -> bool:
    """Return whether a model's name can only be a path."""
    return model.startswith(("/", "./", "../", "~", "$")) or model.count("/") > 1


def resolve(model: str, revision: str | None) -> Path:
    """Fetch a model's small files.

    Args:
        model: The name on the hub.
        revision: A branch, tag or commit; None for the main branch.

    Returns:
        The folder of one commit in the local cache; its name is the commit.

    Raises:
        ModelError: The model or revision does not exist, or the hub denies access or is not
            reachable.
    """
    return _snapshot(model, revision, (*SMALL_FILES, *TEMPLATES))


def fetch_weights(model: str, commit: str) -> Path:
    """Fetch the weights of a commit: safetensors, or pickles where there are none.

    Args:
        model: The name on the hub.
        commit: The commit, as `resolve` found it.

    Returns:
        The folder in the local cache.

    Raises:
        ModelError: See `resolve`.
    """
    return _with_weights(model, commit, _SAFE, _PICKLED)


def fetch_file(model: str, name: str, revision: str | None) -> Path:
    """Fetch one file of a model.

    Args:
        model: The name on the hub.
        name: The file's path in the repository.
        revision: A branch, tag or commit; None for the main branch.

    Returns:
        The file in the local cache.

    Raises:
        ModelError: See `resolve`; or there is no such file.
    """
    folder = _snapshot(model, revision, (name,))
    if not (folder / name).is_file():
        raise ModelError("the hub holds no such file", value=f"{name} of {model}").at(key="gguf")
    return folder / name


def fetch_embedder(model: str, revision: str | None) -> Path:
    """Fetch a model of sentence-transformers: its small files, and the weights of all its parts.

    Args:
        model: The name on the hub.
        revision: A branch, tag or commit; None for the main branch.

    Returns:
        The folder of one commit in the local cache; its name is the commit.

    Raises:
        ModelError: See `resolve`.
    """
    folder = _snapshot(model, revision, SMALL_FILES)
    return _with_weights(model, folder.name, _SAFE_PARTS, _PICKLED_PARTS)


def _with_weights(model: str, commit: str, safe: tuple[str, ...], pickled: tuple[str, ...]) -> Path:
    folder = _snapshot(model, commit, safe)
    found = any(path for pattern in safe for path in folder.glob(pattern))
    return folder if found else _snapshot(model, commit, pickled)


def _snapshot(model: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        where = model if revision is None else f"{model} at {revision}"
        raise ModelError(
            f"no such folder, and not found on the hub: {reason}",
            value=where,
            allowed="a folder that holds a model; or a name on the hub, with the hub in reach"
            " (and a login where the model asks for one) or the model in the local cache",
        ) from error

"""Who a model is: all that is known, and all that can change its answers, before weights load."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, assert_never

from icl_gap.errors import ModelError
from icl_gap.models.hf import hub
from icl_gap.models.hf.folder import context_length, fingerprints, read_config, sha256, weight_files
from icl_gap.models.hf.remote_code import refuse_code
from icl_gap.models.server.address import check_server
from icl_gap.models.shipped import FAMILY_MARK, shipped_folder
from icl_gap.models.spec import (
    MockSpec,
    ModelSpec,
    NearestExemplarSpec,
    OpenAISpec,
    RandomInitSpec,
    TransformersSpec,
)
from icl_gap.models.zoo import training_tokens
from icl_gap.schema import SizeSource
from icl_gap.specs import check_path, user_path

UNTRAINED_MARK = "icl_gap_untrained"
"""The key in `config.json` of a model whose weights were never trained."""
DEFAULT_CONTEXT = 2048
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenization_*.py",
    "vocab.*",
    "merges.txt",
    "*.model",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What is known of a model before it is loaded."""

    name: str
    family: str
    context_length: int | None
    """In tokens; None where there is no limit."""
    trained: bool
    key: dict[str, Any]
    """All that can change a result, as JSON values: hashes of files or a commit, never paths."""
    folder: Path | None = None
    """Where the model's files lie; None for a model without files."""
    tokenizer: str | None = None
    """What tells tokenizers apart, their BOS policy included: models with the same one see the
    same exemplars, and their prompts have the same length."""
    training_tokens: int | None = None
    """As stated by those who trained the model; None where that is not known."""
    n_params: int | None = None
    """As the user says, of a model whose weights are not here; as those that follow."""
    n_params_non_embedding: int | None = None
    size_source: SizeSource = "counted"


def identify(spec: ModelSpec) -> Identity:
    """Find out who a model is, without torch and without reading weights into memory.

    Files are hashed, so the identity of a folder stays when it moves. The small files of a model on
    the hub are fetched.

    Args:
        spec: The model.

    Raises:
        ModelError: There is no such model, or its folder is not whole.
    """
    try:
        return _identify(spec)
    except OSError as error:
        raise ModelError(
            f"cannot read the model's files: {error.strerror}", value=str(error.filename)
        ) from error


def _identify(spec: ModelSpec) -> Identity:
    match spec:
        case TransformersSpec():
            identity = _identify_transformers(spec)
        case RandomInitSpec():
            identity = _identify_random_init(spec)
        case NearestExemplarSpec():
            identity = Identity("nearest", "nearest", None, True, {"likeness": 1})
        case MockSpec():
            identity = _identify_mock(spec)
        case OpenAISpec():
            identity = _identify_openai(spec)
        case _:
            assert_never(spec)
    return replace(
        identity, name=spec.name or identity.name, key={"kind": spec.kind, **identity.key}
    )


def _identify_transformers(spec: TransformersSpec) -> Identity:
    shipped = shipped_folder(spec.model)
    local = shipped or user_path(spec.model)
    if local.exists() or _is_path(spec.model):
        if spec.revision is not None:
            raise ModelError(
                "a folder has no revisions", value=spec.revision, allowed="a name on the hub"
            ).at(key="revision")
        folder = local
        source: dict[str, Any] = {"files": _local_files(local)}
        name = local.resolve().name
    else:
        folder = hub.resolve(spec.model, spec.revision)
        source = {"repo": spec.model, "commit": folder.name}
        name = spec.model
    _check_library(spec)
    config = read_config(folder)
    if not spec.trust_remote_code:
        refuse_code(folder)
    trained = not config.get(UNTRAINED_MARK, False)
    return Identity(
        name=name,
        family=spec.family or config.get(FAMILY_MARK) or config["model_type"],
        context_length=context_length(config),
        trained=trained,
        key={**source, **_settings(spec)},
        folder=folder,
        tokenizer=_digest({"bos": spec.bos, **_tokenizer_files(folder)}),
        training_tokens=_training_tokens(spec) if trained else None,
    )


def _training_tokens(spec: TransformersSpec) -> int | None:
    """Of the model as it was published: other revisions may be earlier steps of its training."""
    return training_tokens(spec.model) if spec.revision in {None, "main"} else None


def _check_library(spec: TransformersSpec) -> None:
    """Find out before anything runs whether the quantization's library is there."""
    if spec.quantization is not None and find_spec("bitsandbytes") is None:
        raise ModelError(
            "quantization needs bitsandbytes, which is not installed",
            value=spec.quantization,
            allowed="`pip install 'icl-gap[quantization]'`, or leave quantization out",
        ).at(key="quantization")


def _is_path(model: str) -> bool:
    return model.startswith(("/", "./", "../", "~")) or model.count("/") > 1


def _local_files(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise ModelError("no such folder", value=str(folder), allowed="a folder that holds a model")
    read_config(folder)
    return fingerprints(folder, weight_files(folder))


def _settings(spec: TransformersSpec) -> dict[str, Any]:
    """What the user chose that can change a result.

    In float32 what is computed together does not change it. In any other precision a near tie may
    fall by it, so `kv_cache_tokens` counts; the sweep's other cells do not, for a sweep that grows
    would then have to run anew (`precision_check` tells how often it matters).
    """
    settings: dict[str, Any] = {
        "dtype": spec.dtype,
        "quantization": spec.quantization,
        "bos": spec.bos,
        "trust_remote_code": spec.trust_remote_code,
    }
    if spec.dtype != "float32" or spec.quantization is not None:
        settings["kv_cache_tokens"] = spec.kv_cache_tokens
    return settings


def _identify_random_init(spec: RandomInitSpec) -> Identity:
    files = {} if spec.tokenizer is None else _tokenizer_files(spec.tokenizer)
    if spec.tokenizer is not None and not files.keys() - {"vocab.json", "tokenizer_config.json"}:
        raise ModelError(
            "this folder holds no tokenizer",
            value=str(spec.tokenizer),
            allowed="tokenizer.json, or vocab.json and merges.txt",
        )
    shape = spec.model_dump(
        mode="json", include={"family", "hidden_size", "layers", "heads", "context_length", "seed"}
    )
    return Identity(
        name=f"{spec.family}-{spec.layers}x{spec.hidden_size}",
        family=spec.family,
        context_length=random_init_context(spec),
        trained=False,
        key={"initializer": 1, **shape, "tokenizer": files},
        tokenizer=_digest({"family": spec.family, **files}),
    )


def random_init_context(spec: RandomInitSpec) -> int | None:
    """The context of an untrained model, in tokens; None where its architecture has no limit."""
    return None if spec.family == "bloom" else spec.context_length or DEFAULT_CONTEXT


def _tokenizer_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file of a folder that makes up its tokenizer."""
    paths = sorted(path for pattern in _TOKENIZER_FILES for path in folder.glob(pattern))
    return {path.name: sha256(path) for path in paths}


def _digest(files: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _identify_mock(spec: MockSpec) -> Identity:
    if spec.answers is not None:
        check_path(spec.answers)
    try:
        answers = None if spec.answers is None else sha256(spec.answers)
    except OSError as error:
        problem = f"cannot read the answers: {error.strerror}"
        raise ModelError(problem, value=str(spec.answers)) from error
    key = {"answers": answers, "default": spec.default, "n_params": spec.n_params}
    return Identity("mock", spec.family, None, True, key)


def _identify_openai(spec: OpenAISpec) -> Identity:
    check_server(spec)
    folder = None if spec.tokenizer is None else _tokenizer_folder(spec.tokenizer)
    files = {} if folder is None else _tokenizer_files(folder)
    if folder is not None and not files:
        raise ModelError("this folder holds no tokenizer", value=spec.tokenizer).at(key="tokenizer")
    name = Path(spec.model).name if _is_path(spec.model) else spec.model
    key = {
        "model": spec.model,
        "base_url": spec.base_url.rstrip("/"),
        "tokenizer": files,
        "context_length": spec.context_length,
        "logprobs": spec.logprobs,
    }
    return Identity(
        name=name,
        family=spec.family or name,
        context_length=spec.context_length,
        trained=True,
        key=key,
        folder=folder,
        tokenizer=_digest({"bos": "tokenizer", **files}) if files else None,
        training_tokens=spec.training_tokens,
        n_params=spec.n_params,
        n_params_non_embedding=spec.n_params_non_embedding,
        size_source=spec.size_source,
    )


def _tokenizer_folder(tokenizer: str) -> Path:
    local = shipped_folder(tokenizer) or user_path(tokenizer)
    if local.exists() or _is_path(tokenizer):
        return local
    return hub.resolve(tokenizer, None)

"""Models: what a sweep says of them, who they are, and how they answer.

`identify` and `load_tokenizer` need no torch; `load` brings it in for models that have weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from icl_gap.models.base import Model, Outcome, Request, RequestId, Tokenizer
from icl_gap.models.embedding import Embedder, EmbedderSpec, find_embedder
from icl_gap.models.identity import Identity, identify
from icl_gap.models.spec import (
    MockSpec,
    ModelSpec,
    NearestExemplarSpec,
    OpenAISpec,
    RandomInitSpec,
    TransformersSpec,
)
from icl_gap.models.zoo import FamilySpec, ModelEntry, expand

if TYPE_CHECKING:
    from icl_gap.models.hf.tokenizer import TextTokenizer

__all__ = [
    "Embedder",
    "EmbedderSpec",
    "FamilySpec",
    "Identity",
    "MockSpec",
    "Model",
    "ModelEntry",
    "ModelSpec",
    "NearestExemplarSpec",
    "OpenAISpec",
    "Outcome",
    "RandomInitSpec",
    "Request",
    "RequestId",
    "Tokenizer",
    "TransformersSpec",
    "expand",
    "find_embedder",
    "identify",
    "load",
    "load_tokenizer",
    "save_random_init",
]


def load_tokenizer(spec: ModelSpec, identity: Identity) -> Tokenizer | None:
    """A model's tokenizer; None for a model without one.

    Torch comes in only where the model has no `tokenizer.json`.

    Args:
        spec: The model.
        identity: What `identify` found of it.

    Raises:
        ModelError: The tokenizer is missing or cannot be read.
    """
    match spec:
        case TransformersSpec():
            from icl_gap.models.hf.tokenizer import load_folder_tokenizer

            return load_folder_tokenizer(
                _folder(identity), bos=spec.bos, trust_remote_code=spec.trust_remote_code
            )
        case RandomInitSpec():
            from icl_gap.models.hf.random_init import random_init_tokenizer

            return random_init_tokenizer(spec)
        case OpenAISpec():
            return _openai_tokenizer(identity)
        case NearestExemplarSpec() | MockSpec():
            return None
        case _:
            assert_never(spec)


def load(spec: ModelSpec, identity: Identity) -> Model:
    """Load a model, ready to answer.

    Args:
        spec: The model.
        identity: What `identify` found of it.

    Raises:
        ModelError: The model cannot be loaded as asked.
    """
    match spec:
        case TransformersSpec() | RandomInitSpec():
            from icl_gap.models.hf.transformers_model import load_huggingface

            return load_huggingface(spec, identity)
        case NearestExemplarSpec():
            from icl_gap.models.baselines.nearest_exemplar import Nearest

            return Nearest(identity.name, identity.family)
        case MockSpec():
            from icl_gap.models.baselines.mock import load_mock

            return load_mock(spec, identity.name)
        case OpenAISpec():
            from icl_gap.models.server.server_model import load_openai

            return load_openai(spec, identity, _openai_tokenizer(identity))
        case _:
            assert_never(spec)


def save_random_init(spec: RandomInitSpec, folder: Path) -> None:
    """Write a model with random weights as transformers would; it stays labelled untrained.

    Args:
        spec: The model.
        folder: Where to; made if it is not there.

    Raises:
        ModelError: The tokenizer cannot be read.
    """
    from icl_gap.models.hf import random_init as untrained

    untrained.save_random_init(spec, folder)


def _openai_tokenizer(identity: Identity) -> TextTokenizer | None:
    from icl_gap.models.hf.tokenizer import load_folder_tokenizer

    if identity.folder is None:
        return None
    return load_folder_tokenizer(identity.folder, bos="tokenizer", trust_remote_code=False)


def _folder(identity: Identity) -> Path:
    if identity.folder is None:
        raise ValueError(f"{identity.name} is no model with files")
    return identity.folder

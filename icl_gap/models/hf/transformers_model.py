"""Causal language models of `transformers`, behind the engine."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import assert_never

import torch
from transformers import PreTrainedModel

from icl_gap.errors import ModelError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.hf.checkpoint import count_parameters, load_weights, move_to, pick_device
from icl_gap.models.hf.engine.passes import choose, embedding_rows, input_device
from icl_gap.models.hf.engine.scheduling import Engine
from icl_gap.models.hf.hub import fetch_weights
from icl_gap.models.hf.memory import fit
from icl_gap.models.hf.random_init import build_random_init
from icl_gap.models.hf.tokenizer import TextTokenizer, load_folder_tokenizer
from icl_gap.models.identity import Identity
from icl_gap.models.spec import RandomInitSpec, TransformersSpec
from icl_gap.schema import ModelInfo, Predictions

_PASS_TOKENS = {"cpu": 1024}
"""What a pass computes: on a CPU, as much as its caches make fast."""
_PASS_TOKENS_ELSEWHERE = 4096


class HuggingFaceModel:
    """A causal language model and its tokenizer.

    Args:
        model: The model, on its device.
        tokenizer: Its tokenizer.
        identity: What is known of it already.
        kv_cache_tokens: How many tokens' keys and values are kept at a time.

    Raises:
        ModelError: The tokenizer has ids that the model does not know.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: TextTokenizer,
        identity: Identity,
        kv_cache_tokens: int,
    ) -> None:
        _check_vocabulary(model, tokenizer, identity.name)
        total, inner = count_parameters(model)
        runner = choose(model)
        self.info = ModelInfo(
            name=identity.name,
            family=identity.family,
            n_params=total,
            n_params_non_embedding=inner,
            context_length=identity.context_length,
            trained=identity.trained,
            training_tokens=identity.training_tokens,
            device=_devices(model),
            shares_prefixes=runner.shares,
        )
        self._engine = Engine(
            name=identity.name,
            runner=runner,
            tokenizer=tokenizer,
            context_length=identity.context_length,
            most_tokens=kv_cache_tokens,
            pass_tokens=_PASS_TOKENS.get(input_device(model).type, _PASS_TOKENS_ELSEWHERE),
        )

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond to requests as greedy decoding would; see `icl_gap.models.Model`."""
        return self._engine.respond(requests, predictions, wanted)


def _check_vocabulary(model: PreTrainedModel, tokenizer: TextTokenizer, name: str) -> None:
    """Refuse a tokenizer of another model; embeddings with rows to spare are common."""
    rows, largest = embedding_rows(model), tokenizer.largest_id()
    if largest >= rows:
        raise ModelError(
            f"the tokenizer of {name} does not fit its weights",
            value=f"ids up to {largest}, and embeddings of {rows} tokens",
            allowed=f"ids up to {rows - 1}: the tokenizer that the model was trained with",
        )


def _devices(model: PreTrainedModel) -> str:
    placed = getattr(model, "hf_device_map", None) or {"": input_device(model)}
    return ", ".join(sorted({str(device) for device in placed.values()}))


def load_huggingface(
    spec: TransformersSpec | RandomInitSpec, identity: Identity
) -> HuggingFaceModel:
    """Load the weights and the tokenizer of a model.

    Args:
        spec: The model.
        identity: What `identify` found of it.

    Raises:
        ModelError: The model cannot be loaded as asked.
    """
    _check_memory(spec, identity)
    match spec:
        case TransformersSpec():
            folder = _with_weights(spec, identity)
            tokenizer = load_folder_tokenizer(
                folder, bos=spec.bos, trust_remote_code=spec.trust_remote_code
            )
            model = load_weights(spec, folder)
        case RandomInitSpec():
            model, tokenizer = build_random_init(spec)
            move_to(model, pick_device(None))
        case _:
            assert_never(spec)
    try:
        return HuggingFaceModel(model, tokenizer, identity, spec.kv_cache_tokens)
    except torch.OutOfMemoryError as error:
        raise ModelError("no memory is left to run the model", value=identity.name) from error


def _check_memory(spec: TransformersSpec | RandomInitSpec, identity: Identity) -> None:
    try:
        found = fit(spec, identity)
    except ModelError:  # what is wrong with it, loading tells better
        return
    if found is not None:
        found.check(identity.name)


def _with_weights(spec: TransformersSpec, identity: Identity) -> Path:
    if "commit" in identity.key:
        return fetch_weights(spec.model, identity.key["commit"])
    if identity.folder is None:
        raise ValueError(f"{identity.name} is no model with files")
    return identity.folder

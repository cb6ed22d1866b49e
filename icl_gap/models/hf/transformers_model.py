"""Causal language models of `transformers`, behind the engine."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from transformers import PreTrainedModel

from icl_gap.errors import ModelError
from icl_gap.models.base import Outcome, Request, RequestId
from icl_gap.models.hf.checkpoint import count_parameters
from icl_gap.models.hf.cost import tokens_kept
from icl_gap.models.hf.engine.passes import embedding_rows, input_device
from icl_gap.models.hf.engine.runner_choice import choose_runner
from icl_gap.models.hf.engine.scheduling import Engine
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.identity import Identity
from icl_gap.schema import ModelInfo, Predictions

_PASS_TOKENS = {"cpu": 1024}
"""Tokens that a pass computes, by the type of the device: on a CPU, as many as its caches hold."""
_DEFAULT_PASS_TOKENS = 4096
"""Tokens that a pass computes on another device."""


class HuggingFaceModel:
    """A causal language model and its tokenizer.

    Args:
        model: The model, on its device.
        tokenizer: Its tokenizer.
        identity: The result of `identify`.
        kv_cache_tokens: Number of tokens whose keys and values are kept at a time; None for the
            default.

    Raises:
        ModelError: The tokenizer has ids that the model does not know.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: TextTokenizer,
        identity: Identity,
        kv_cache_tokens: int | None,
    ) -> None:
        _check_vocabulary(model, tokenizer, identity.name)
        total, inner = count_parameters(model)
        runner = choose_runner(model)
        kept = tokens_kept(model.config, model.dtype, kv_cache_tokens)
        self.info = ModelInfo(
            name=identity.name,
            family=identity.family,
            n_params=identity.n_params or total,
            n_params_non_embedding=identity.n_params_non_embedding or inner,
            context_length=identity.context_length,
            trained=identity.trained,
            size_source=identity.size_source,
            training_tokens=identity.training_tokens,
            device=_devices(model),
            shares_prefixes=runner.shares_prefixes,
            chat=identity.chat_template is not None,
        )
        self.engine = Engine(
            name=identity.name,
            runner=runner,
            tokenizer=tokenizer,
            chat_template=identity.chat_template,
            context_length=identity.context_length,
            kv_cache_tokens=kept,
            pass_tokens=pass_tokens(input_device(model)),
        )

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond to requests as greedy decoding would; see `icl_gap.models.Model`."""
        return self.engine.respond(requests, predictions, wanted)


def pass_tokens(device: torch.device) -> int:
    """Return the number of tokens that a pass computes on a device, at most."""
    return _PASS_TOKENS.get(device.type, _DEFAULT_PASS_TOKENS)


def _check_vocabulary(model: PreTrainedModel, tokenizer: TextTokenizer, name: str) -> None:
    """Refuse a tokenizer of another model. Embeddings may have spare rows, and often do."""
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


def huggingface_model(
    model: PreTrainedModel,
    tokenizer: TextTokenizer,
    identity: Identity,
    kv_cache_tokens: int | None,
) -> HuggingFaceModel:
    """Return a loaded model behind the engine; see `HuggingFaceModel` for the arguments.

    Raises:
        ModelError: The tokenizer has ids that the model does not know, or no memory is left.
    """
    try:
        return HuggingFaceModel(model, tokenizer, identity, kv_cache_tokens)
    except torch.OutOfMemoryError as error:
        raise ModelError("no memory is left to run the model", value=identity.name) from error

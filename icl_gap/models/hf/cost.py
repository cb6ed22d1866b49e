"""What running a model takes: its shape, floating-point operations, and this machine's rate.

Nothing is loaded: the shape comes from `config.json`, with weights that hold no numbers.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from icl_gap.errors import ModelError
from icl_gap.models.hf.engine.trie import Sizes
from icl_gap.models.hf.remote_code import needs_trust, refuse_code
from icl_gap.models.identity import Identity
from icl_gap.models.spec import (
    MockSpec,
    ModelSpec,
    NearestExemplarSpec,
    OpenAISpec,
    RandomInitSpec,
    TransformersSpec,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

_SIDE = 2048
_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Shape:
    """What the cost of a model depends on."""

    non_embedding: int
    """Parameters without embeddings and output layer."""
    layers: int
    width: int
    """Of the hidden states."""
    attention_width: int
    """Heads times their size."""
    key_width: int
    """Heads that have keys of their own, times their size."""
    vocabulary: int
    parameters: int
    """All of them, shared ones once."""
    packed: int
    """Parameters that quantization packs: the matrices, without embeddings and output layer."""
    tables: int
    """What else the model keeps, whatever the precision of its weights; in bytes."""

    def operations(self, sizes: Sizes) -> float:
        """Floating-point operations of answering requests as far as their gold answers go.

        Two for each parameter and token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1), four
        for each layer's attention from one token to another, and the output layer where the next
        token is predicted. In a mixture of experts, all experts are counted.

        Args:
            sizes: Of the requests.
        """
        return (
            2.0 * self.non_embedding * sizes.computed
            + 4.0 * self.layers * self.attention_width * sizes.attended
            + 2.0 * self.width * self.vocabulary * sizes.predicted
        )


def shape(spec: ModelSpec, identity: Identity) -> Shape | None:
    """The shape of a model; None for one without weights.

    Args:
        spec: The model.
        identity: What `identify` found of it.

    Raises:
        ModelError: Its `config.json` describes no model that can be made.
    """
    match spec:
        case TransformersSpec() | RandomInitSpec():
            return _shape(spec, identity)
        case NearestExemplarSpec() | MockSpec() | OpenAISpec():
            return None
        case _:
            assert_never(spec)


def _shape(spec: TransformersSpec | RandomInitSpec, identity: Identity) -> Shape:
    import torch

    from icl_gap.models.hf.checkpoint import count_parameters
    from icl_gap.models.hf.silence import quiet_transformers

    with quiet_transformers(), torch.device("meta"):
        from transformers import AutoModelForCausalLM

        described = config_of(spec, identity)
        try:
            model = AutoModelForCausalLM.from_config(described, **_trust(spec))
        except Exception as error:  # whatever a config can do wrong
            raise _unmade(error, identity) from error
        config = model.config.get_text_config()
        heads = config.num_attention_heads if hasattr(config, "num_attention_heads") else 0
        size = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0)
        total, inner = count_parameters(model)
        return Shape(
            non_embedding=inner,
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            attention_width=heads * size,
            key_width=(getattr(config, "num_key_value_heads", None) or heads) * size,
            vocabulary=config.vocab_size,
            parameters=total,
            packed=_packed(model),
            tables=sum(each.nbytes for each in model.buffers()),
        )


def _packed(model: PreTrainedModel) -> int:
    """What bitsandbytes packs: linear layers, but for the output layer (shared weights or not)."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()
    return sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not output
    )


def config_of(spec: TransformersSpec | RandomInitSpec, identity: Identity) -> PreTrainedConfig:
    """The configuration of a model with weights.

    Args:
        spec: The model.
        identity: What `identify` found of it.

    Raises:
        ModelError: Its `config.json` describes no model that `transformers` knows, or names code.
    """
    from transformers import AutoConfig

    match spec:
        case TransformersSpec():
            if identity.folder is None:
                raise ValueError(f"{identity.name} is no model with files")
            if not spec.trust_remote_code:
                refuse_code(identity.folder)
            try:
                config: PreTrainedConfig = AutoConfig.from_pretrained(
                    str(identity.folder), **_trust(spec)
                )
            except Exception as error:  # whatever a config can do wrong
                raise _unmade(error, identity) from error
            return config
        case RandomInitSpec():
            from icl_gap.models.hf.random_init import random_init_config

            return random_init_config(spec)
        case _:
            assert_never(spec)


def _unmade(error: Exception, identity: Identity) -> ModelError:
    if "trust_remote_code" in str(error):
        return needs_trust(identity.name)
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"cannot make the model: {reason}", value=identity.name)


def _trust(spec: TransformersSpec | RandomInitSpec) -> dict[str, bool]:
    return {"trust_remote_code": isinstance(spec, TransformersSpec) and spec.trust_remote_code}


def dtype_of(spec: ModelSpec, identity: Identity) -> torch.dtype:
    """The precision in which a model computes.

    Args:
        spec: The model.
        identity: What `identify` found of it.
    """
    import torch

    named: Any = torch.float32
    if isinstance(spec, TransformersSpec):
        named = config_of(spec, identity).dtype if spec.dtype == "auto" else spec.dtype
    found: torch.dtype = getattr(torch, named) if isinstance(named, str) else named or torch.float32
    return found


def matmul_rate(spec: ModelSpec, identity: Identity) -> float:
    """How many floating-point operations a second the model's device does in matrix products.

    Args:
        spec: Where and in which precision the model runs. Quantized weights are multiplied in the
            precision named.
        identity: What `identify` found of it.

    Raises:
        ModelError: There is no such device here.
    """
    import torch

    from icl_gap.models.hf.checkpoint import pick_device

    dtype = dtype_of(spec, identity)
    device = pick_device(spec.device if isinstance(spec, TransformersSpec) else None)
    one = torch.ones(_SIDE, _SIDE, dtype=dtype, device=device)
    done, began = 0, 0.0
    with torch.inference_mode():
        (one @ one)[0, 0].item()  # warm; reading a number waits for the device
        began = time.perf_counter()
        while time.perf_counter() - began < _SECONDS:
            (one @ one)[0, 0].item()
            done += 1
    return done * 2.0 * _SIDE**3 / (time.perf_counter() - began)

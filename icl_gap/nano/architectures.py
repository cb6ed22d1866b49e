"""The shapes of the nano models, in the architectures of `transformers`."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, assert_never

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

Family = Literal["codegen", "bloom", "opt"]

CONTEXT_LENGTH = 1024
INITIALIZER_RANGE = 0.05
"""Wider than the families' own 0.02, at which models this narrow do not learn to copy."""
HEADS = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """How large a model is."""

    layers: int
    width: int


SHAPES: dict[str, Shape] = {
    "xs": Shape(layers=2, width=32),
    "s": Shape(layers=3, width=48),
    "m": Shape(layers=4, width=80),
    "l": Shape(layers=4, width=128),
}
"""From 25,000 to 790,000 parameters, embeddings left out."""


def build_config(family: Family, shape: Shape, *, vocab_size: int, end: int) -> PreTrainedConfig:
    """The configuration of a nano model.

    Args:
        family: The architecture.
        shape: How large.
        vocab_size: In tokens.
        end: The token that stands for BOS, EOS and padding.
    """
    from transformers import BloomConfig, CodeGenConfig, OPTConfig

    shared: dict[str, Any] = {
        "vocab_size": vocab_size,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    match family:
        case "codegen":
            return CodeGenConfig(
                n_embd=shape.width,
                n_layer=shape.layers,
                n_head=HEADS,
                n_positions=CONTEXT_LENGTH,
                n_ctx=CONTEXT_LENGTH,
                rotary_dim=shape.width // HEADS,
                activation_function="gelu_pytorch_tanh",  # `gelu_new` in one pass over memory
                initializer_range=INITIALIZER_RANGE,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **shared,
            )
        case "bloom":
            return BloomConfig(
                hidden_size=shape.width,
                n_layer=shape.layers,
                n_head=HEADS,
                initializer_range=INITIALIZER_RANGE,
                hidden_dropout=0.0,
                attention_dropout=0.0,
                **shared,
            )
        case "opt":
            return OPTConfig(
                hidden_size=shape.width,
                word_embed_proj_dim=shape.width,
                ffn_dim=4 * shape.width,
                num_hidden_layers=shape.layers,
                num_attention_heads=HEADS,
                max_position_embeddings=CONTEXT_LENGTH,
                init_std=INITIALIZER_RANGE,
                dropout=0.0,
                **shared,
            )
        case _:
            assert_never(family)

"""The shapes of the nano models, in the architectures of `transformers`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from icl_gap.models.hf.architectures import architecture_config
from icl_gap.models.spec import Architecture

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

CONTEXT_LENGTH = 1024
INITIALIZER_RANGE = 0.05
"""Wider than the families' own 0.02, with which models this narrow do not learn to copy."""
HEADS = 4


@dataclass(frozen=True, slots=True)
class NanoShape:
    """The number of layers and their width."""

    layers: int
    width: int


SHAPES: dict[str, NanoShape] = {
    "xxs": NanoShape(layers=2, width=32),
    "xs": NanoShape(layers=4, width=48),
    "s": NanoShape(layers=4, width=64),
    "m": NanoShape(layers=4, width=80),
    "l": NanoShape(layers=4, width=128),
}
"""Sizes from 25,000 to 790,000 parameters in CodeGen, without embeddings."""


_SETTINGS: dict[Architecture, dict[str, Any]] = {
    "codegen": {
        "activation_function": "gelu_pytorch_tanh",  # `gelu_new` in one pass over memory
        "initializer_range": INITIALIZER_RANGE,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
    "bloom": {
        "initializer_range": INITIALIZER_RANGE,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    },
    "opt": {"init_std": INITIALIZER_RANGE, "dropout": 0.0, "tie_word_embeddings": False},
}
"""Settings that differ from the architectures' defaults: no dropout, wider initial weights, and for
OPT an output embedding of its own, since one tied to wide input embeddings hardly learned to
copy."""


def build_config(
    family: Architecture, shape: NanoShape, *, vocab_size: int, end: int
) -> PreTrainedConfig:
    """Return the configuration of a nano model.

    Args:
        family: The architecture.
        shape: Its size.
        vocab_size: In tokens.
        end: The id of the token for BOS, EOS and padding.
    """
    rotary = {"rotary_dim": shape.width // HEADS} if family == "codegen" else {}
    return architecture_config(
        family,
        hidden_size=shape.width,
        layers=shape.layers,
        heads=HEADS,
        context=CONTEXT_LENGTH,
        vocab_size=vocab_size,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        **_SETTINGS[family],
        **rotary,
    )

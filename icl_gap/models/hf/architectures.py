"""Configurations of the architectures of models that are made here."""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from icl_gap.models.spec import Architecture

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def architecture_config(
    architecture: Architecture,
    *,
    hidden_size: int,
    layers: int,
    heads: int,
    context: int | None,
    **more: Any,
) -> PreTrainedConfig:
    """Return the configuration of a model of some size, with other settings by default.

    Args:
        architecture: Architecture.
        hidden_size: Size of the hidden states.
        layers: Number of layers.
        heads: Number of attention heads of each layer.
        context: Context length in tokens; BLOOM has no limit and ignores it.
        **more: Settings of the architecture's configuration class, which override those made here.
    """
    from transformers import BloomConfig, CodeGenConfig, OPTConfig

    length: Any = context  # BLOOM takes None
    match architecture:
        case "opt":
            opt = {
                "hidden_size": hidden_size,
                "word_embed_proj_dim": hidden_size,
                "ffn_dim": 4 * hidden_size,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "max_position_embeddings": length,
            }
            return OPTConfig(**opt | more)
        case "bloom":
            bloom = {"hidden_size": hidden_size, "n_layer": layers, "n_head": heads}
            return BloomConfig(**bloom | more)
        case "codegen":
            codegen = {
                "n_embd": hidden_size,
                "n_layer": layers,
                "n_head": heads,
                "n_positions": length,
                "n_ctx": length,
                "rotary_dim": hidden_size // heads // 2,
            }
            return CodeGenConfig(**codegen | more)
        case _:
            assert_never(architecture)

"""The configurations of the architectures that models are made in here."""

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
    """The configuration of a model of some size, all else as `transformers` sets it.

    Args:
        architecture: Which.
        hidden_size: Of a token's vector.
        layers: How many.
        heads: In each layer.
        context: In tokens; BLOOM has no limit and takes no notice.
        **more: Settings in the architecture's own words; they come before those made here.
    """
    from transformers import BloomConfig, CodeGenConfig, OPTConfig

    length: Any = context  # an integer, but for BLOOM, which has none
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

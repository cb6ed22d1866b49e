"""Attention in a packed pass: the tokens of many paths in one row, each attending to its own path.

The tokens of a segment attend to the slices of their prefix and, causally, to one another (see
`packing`). Models reach this through the attention interface of `transformers`; BLOOM is patched
(see `bloom_attention`).
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

from icl_gap.models.hf.engine.bloom_attention import bloom_modules, pack_bloom, unpack_bloom
from icl_gap.models.hf.engine.kernels import attend_to_paths
from icl_gap.models.hf.engine.packing import UnsupportedError, current_layout, layer_number

NAME = "icl_gap_packed"
"""Name of this attention in the interface of `transformers`. No mask function has that name, so
models make no mask."""


def pack_attention(model: PreTrainedModel) -> None:
    """Make a model's attention follow the layout set by `use_layout`.

    Raises:
        UnsupportedError: Its attention cannot be replaced.
    """
    if modules := bloom_modules(model):
        pack_bloom(modules)
        _set_attention_name(model, NAME)  # so that BLOOM makes no mask
        return
    AttentionInterface.register(NAME, _attention)
    model.set_attn_implementation(NAME)
    if attention_name(model) != NAME:
        raise UnsupportedError("the model does not use the library's attention interface")


def unpack_attention(model: PreTrainedModel, name: str) -> None:
    """Undo `pack_attention`.

    Args:
        model: The model.
        name: Its former `attention_name`.
    """
    if modules := bloom_modules(model):
        unpack_bloom(modules)
        _set_attention_name(model, name)
    else:
        model.set_attn_implementation(name)


def attention_name(model: PreTrainedModel) -> str:
    """Return the name of a model's attention implementation, such as `sdpa`."""
    return str(model.config._attn_implementation)  # noqa: SLF001 (the library has no other way)


def _set_attention_name(model: PreTrainedModel, name: str) -> None:
    model.config._attn_implementation = name  # noqa: SLF001 (as above)


def _attention(  # noqa: PLR0917 (the interface is the library's)
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Implement the attention interface of `transformers`.

    Returns:
        (1, tokens, heads, head size), from queries of (1, heads, tokens, head size); no weights.
    """
    del attention_mask  # the layout takes its place
    odd = [name for name in ("softcap", "s_aux", "position_bias") if options.get(name) is not None]
    if odd or query.shape[0] != 1:
        raise UnsupportedError(", ".join(odd) or "more rows than one")
    layout, number = current_layout(), layer_number(module)
    layout.cache.layers[number] = (key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out = attend_to_paths(layout, number, query, scale=scale, window=options.get("sliding_window"))
    return out.transpose(1, 2).contiguous(), None

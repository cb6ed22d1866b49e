"""BLOOM's attention in a packed pass.

BLOOM does not use the attention interface of `transformers`, so its modules' `forward` is replaced.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.models.bloom.modeling_bloom import BloomAttention, build_alibi_tensor

from icl_gap.models.hf.engine.packing import (
    PackedLayout,
    Span,
    UnsupportedError,
    current_layout,
    layer_number,
)


def bloom_modules(model: PreTrainedModel) -> list[BloomAttention]:
    """Return the attention modules of a BLOOM model; none for another architecture."""
    return [module for module in model.modules() if isinstance(module, BloomAttention)]


def pack_bloom(modules: Sequence[BloomAttention]) -> None:
    """Replace the `forward` of BLOOM's attention modules.

    Raises:
        UnsupportedError: A module is split for tensor parallelism (`slow_but_exact`).
    """
    if any(module.pretraining_tp > 1 and module.slow_but_exact for module in modules):
        raise UnsupportedError("`slow_but_exact`")
    for module in modules:
        vars(module)["forward"] = MethodType(_forward, module)


def unpack_bloom(modules: Sequence[BloomAttention]) -> None:
    """Undo `pack_bloom`."""
    for module in modules:
        vars(module).pop("forward", None)


def _forward(
    self: BloomAttention,
    hidden_states: Tensor,
    residual: Tensor,
    alibi: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend by BLOOM's own formula, each segment over its whole path."""
    del alibi, attention_mask, options  # made for the packed row as if it were one path
    layout = current_layout()
    number = layer_number(self)
    query, key, value = self._reshape(self.query_key_value(hidden_states))
    layout.cache.layers[number] = (key, value)
    two = torch.ones(1, 2, device=query.device)  # the bias at position 1 is the slope
    slopes = build_alibi_tensor(two, self.num_heads, torch.float32)[:, :, 1:]
    out = [
        _attend_with_alibi(layout, span, number, query[0], slopes=slopes, module=self)
        for span in layout.spans
    ]
    context = torch.cat(out, dim=1).transpose(0, 1).flatten(1).unsqueeze(0)
    return self.dense(context) + residual, None


def _attend_with_alibi(
    layout: PackedLayout,
    span: Span,
    number: int,
    query: Tensor,
    *,
    slopes: Tensor,
    module: BloomAttention,
) -> Tensor:
    """Attend with linear biases (Press et al. 2022, arXiv 2108.12409), as BLOOM computes them.

    Args:
        layout: The layout of the pass.
        span: The segment whose tokens attend.
        number: The layer.
        query: (heads, tokens, head size), of the whole pass.
        slopes: (heads, 1, 1).
        module: The attention module, for its scale.

    Returns:
        (heads, tokens of the span, head size).
    """
    keys, values = layout.full_path(span, number)
    own = query[:, span.start : span.end]
    positions = torch.arange(keys.shape[2], device=query.device)
    bias = (slopes * positions).to(query.dtype)
    scale = module.inv_norm_factor
    scores = bias.baddbmm(own, keys[0].transpose(1, 2), beta=1.0, alpha=scale)
    hidden = ~layout.mask(span, None, query.device)
    scores = scores.masked_fill_(hidden, torch.finfo(scores.dtype).min)
    weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.bmm(weights, values[0])

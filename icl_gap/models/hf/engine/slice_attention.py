"""Attention on the CPU: to each slice of the prefixes by itself, merged by log-sum-exp.

Softmax over a path is the mean of the softmaxes over its slices, weighted by their sums of
exponentials (Milakov & Gimelshein 2018, arXiv 1805.02867). So no keys are concatenated, and a slice
that many segments share is read once for all of them.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

import torch
from torch import Tensor

from icl_gap.models.hf.engine.packing import AttendedSlice, PackedLayout
from icl_gap.models.hf.engine.sliding_window import visible_slices, window_bias


def attend_by_slice(
    layout: PackedLayout,
    number: int,
    query: Tensor,
    *,
    scale: float,
    window: int | None = None,
    slopes: Tensor | None = None,
) -> Tensor:
    """Attend by the CPU's flash kernel.

    Args:
        layout: The layout of the pass.
        number: The layer.
        query: (1, heads, tokens, head size), the size of keys and of values.
        scale: Factor of the scores.
        window: Tokens that each token attends to, itself included; None for all before it.
        slopes: Slopes of linear biases, (heads,).

    Returns:
        (1, heads, tokens, head size).
    """
    keys, values = layout.cache.layers[number]
    groups = query.shape[1] // keys.shape[1]
    out = torch.empty(query.shape, dtype=torch.float32)
    log_sums = torch.empty(query.shape[:-1], dtype=torch.float32)
    visible = visible_slices(layout, window)
    for start, end in visible.own:
        own = slice(start, end)
        out[:, :, own], log_sums[:, :, own] = _flash(
            query[:, :, own],
            _repeat_heads(keys[:, :, own], groups),
            _repeat_heads(values[:, :, own], groups),
            _linear_bias(slopes, int(layout.positions[start]), end - start, query.dtype),
            scale=scale,
            causal=True,
        )
    for each in visible.before:
        part, sums = out[:, :, each.start : each.end], log_sums[:, :, each.start : each.end]
        bias = _linear_bias(slopes, each.position, len(each.keys), query.dtype)
        if each.hidden and window is not None:
            edge = window_bias(layout, each, window, query.dtype)
            bias = edge if bias is None else bias + edge
        more, more_sums = _attend_to_slice(each, number, query, bias, scale=scale)
        total = torch.logaddexp(sums, more_sums)
        part.lerp_(more.float(), (more_sums - total).exp_().unsqueeze(-1))
        sums.copy_(total)
    return out.to(query.dtype)


def _attend_to_slice(
    each: AttendedSlice, number: int, query: Tensor, bias: Tensor | None, *, scale: float
) -> tuple[Tensor, Tensor]:
    """Return attention to one slice, and the log-sum-exp of each token's scores."""
    keys, values = each.keys.layer(number)
    own = query[:, :, each.start : each.end]
    groups = query.shape[1] // keys.shape[1]
    if bias is None:
        out, log_sums = _flash(
            _stack_heads(own, groups), keys, values, None, scale=scale, causal=False
        )
        return out.reshape(own.shape), log_sums.reshape(own.shape[:-1])
    keys, values = _repeat_heads(keys, groups), _repeat_heads(values, groups)
    return _flash(own, keys, values, bias, scale=scale, causal=False)


def _flash(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, *, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    """Return attention, and the log-sum-exp of each token's scores."""
    # The public function neither returns the log-sum-exp nor takes a bias beside the causal mask.
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
    out, log_sums = kernel(query, key, value, 0.0, causal, attn_mask=bias, scale=scale)
    return out, log_sums


def _linear_bias(
    slopes: Tensor | None, position: int, length: int, dtype: torch.dtype
) -> Tensor | None:
    """Return linear biases of consecutive keys, (1, heads, 1, length), or None without slopes."""
    if slopes is None:
        return None
    # A bias by the key's position alone, as softmax does not depend on the query's share of it.
    positions = torch.arange(position, position + length)
    return (slopes[:, None] * positions).to(dtype)[None, :, None]


def _repeat_heads(part: Tensor, groups: int) -> Tensor:
    """Repeat keys or values for each query head that shares them (grouped-query attention)."""
    return part if groups == 1 else part.repeat_interleave(groups, 1)


def _stack_heads(query: Tensor, groups: int) -> Tensor:
    """Reshape queries that share keys (grouped-query attention) to more tokens of fewer heads."""
    if groups == 1:
        return query
    _, heads, tokens, size = query.shape
    return query.reshape(1, heads // groups, groups * tokens, size)

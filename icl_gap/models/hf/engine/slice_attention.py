"""Attention on the CPU: to each slice of the prefixes by itself, merged by log-sum-exp.

Softmax over a path is the mean of the softmaxes over its slices, weighted by their sums of
exponentials (Milakov & Gimelshein 2018, arXiv 1805.02867). So no keys are concatenated, and a slice
that many segments share is read once for all of them.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor

from icl_gap.models.hf.engine.linear_maps import has_onednn, linear
from icl_gap.models.hf.engine.packing import PackedLayout
from icl_gap.models.hf.engine.sliding_window import visible_slices, window_bias

_MIN_PRODUCTS = 1 << 22
"""Multiplications of queries and the keys of a head below which the flash kernel is as fast."""
_SCORES = 1 << 18
"""Scores computed at a time: they fit the processor's cache."""
_MIN_ROWS = 32
"""Tokens whose scores are computed at a time, at least."""


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
    out = torch.empty(query.shape, dtype=torch.float32)
    log_sums = torch.empty(query.shape[:-1], dtype=torch.float32)
    visible = visible_slices(layout, window)
    for start, end in visible.own:
        own = slice(start, end)
        bias = _linear_bias(slopes, int(layout.positions[start]), end - start, query.dtype)
        out[:, :, own], log_sums[:, :, own] = _attend(
            query[:, :, own], keys[:, :, own], values[:, :, own], bias, scale=scale, causal=True
        )
    for each in visible.before:
        part, sums = out[:, :, each.start : each.end], log_sums[:, :, each.start : each.end]
        bias = _linear_bias(slopes, each.position, len(each.keys), query.dtype)
        if each.hidden and window is not None:
            edge = window_bias(layout, each, window, query.dtype)
            bias = edge if bias is None else bias + edge
        own_query = query[:, :, each.start : each.end]
        slice_keys = each.keys.layer(number)
        more, more_sums = _attend(own_query, *slice_keys, bias, scale=scale, causal=False)
        total = torch.logaddexp(sums, more_sums)
        part.lerp_(more.float(), (more_sums - total).exp_().unsqueeze(-1))
        sums.copy_(total)
    return out.to(query.dtype)


def _attend(
    query: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None, *, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    """Return attention to consecutive keys, and the log-sum-exp of each token's scores.

    Args:
        query: (1, heads, tokens, head size).
        keys: (1, heads of keys, keys, head size); with `causal`, those of the tokens.
        values: As the keys.
        bias: Biases of the scores, (1, heads, tokens or 1, keys); None for none.
        scale: Factor of the scores.
        causal: Whether each token attends to itself and those before it alone.
    """
    groups = query.shape[1] // keys.shape[1]
    products = query.shape[2] * groups * keys.shape[2] * keys.shape[3]
    if bias is None and products >= _MIN_PRODUCTS and has_onednn():
        exact = (each.float() for each in (query, keys, values))
        return _multiply(*exact, scale=scale, causal=causal)
    if bias is None and not causal:
        stacked = _stack_heads(query, groups)
        out, log_sums = _flash(stacked, keys, values, None, scale=scale, causal=False)
        return out.reshape(query.shape), log_sums.reshape(query.shape[:-1])
    keys, values = _repeat_heads(keys, groups), _repeat_heads(values, groups)
    return _flash(query, keys, values, bias, scale=scale, causal=causal)


def _multiply(
    query: Tensor, keys: Tensor, values: Tensor, *, scale: float, causal: bool
) -> tuple[Tensor, Tensor]:
    """Attend by plain products in float32, by oneDNN, where the flash kernel multiplies by MKL."""
    groups, tokens = query.shape[1] // keys.shape[1], query.shape[2]
    out, log_sums = torch.empty_like(query), query.new_empty(query.shape[:-1])
    height = max(_MIN_ROWS, _SCORES // (groups * keys.shape[2]))
    for head, start in product(range(keys.shape[1]), range(0, tokens, height)):
        end = min(start + height, tokens)
        seen = end if causal else keys.shape[2]
        own = 0, slice(head * groups, (head + 1) * groups), slice(start, end)
        scores = linear(query[own] * scale, keys[0, head, :seen])
        if causal:
            later = torch.ones(end - start, end - start, dtype=torch.bool).triu_(1)
            scores[..., start:].masked_fill_(later, -math.inf)
        largest = scores.amax(-1, keepdim=True)
        # In place: a copy of something this large costs as much as the arithmetic.
        total = scores.sub_(largest).exp_().sum(-1, keepdim=True)
        out[own] = linear(scores, values[0, head, :seen].t()).div_(total)
        log_sums[own] = (largest + total.log())[..., 0]
    return out, log_sums


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

"""Attention in a packed pass, by the kernel that fits the device and the layer."""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from icl_gap.models.hf.engine.packing import PackedLayout, Span
from icl_gap.models.hf.engine.slice_attention import attend_by_slice


def attend_to_paths(
    layout: PackedLayout,
    number: int,
    query: Tensor,
    *,
    scale: float,
    window: int | None = None,
    slopes: Tensor | None = None,
) -> Tensor:
    """Let the tokens of a packed row attend, each to its own path.

    Args:
        layout: The layout of the pass, whose cache holds the keys and values of the layer.
        number: The layer.
        query: (1, heads, tokens, head size).
        scale: Factor of the scores.
        window: Tokens that each token attends to, itself included; None for all before it.
        slopes: Slopes of linear biases (Press et al. 2022, arXiv 2108.12409), (heads,). A key's
            score grows by slope times its position, rounded to the type of the query.

    Returns:
        (1, heads, tokens, value size).
    """
    if _can_attend_by_slice(layout, number, query):
        return attend_by_slice(layout, number, query, scale=scale, window=window, slopes=slopes)
    spans = (
        _attend_to_path(layout, span, number, query, scale=scale, window=window, slopes=slopes)
        for span in layout.spans
    )
    return torch.cat(list(spans), dim=2)


def _can_attend_by_slice(layout: PackedLayout, number: int, query: Tensor) -> bool:
    """Return True if the CPU's flash kernel applies."""
    keys, values = layout.cache.layers[number]
    return query.device.type == "cpu" and keys.shape[-1] == values.shape[-1]


def _attend_to_path(
    layout: PackedLayout,
    span: Span,
    number: int,
    query: Tensor,
    *,
    scale: float,
    window: int | None,
    slopes: Tensor | None,
) -> Tensor:
    """Let a span attend to its whole path at once, by the kernel that torch has for the device.

    Returns:
        (1, heads, tokens of the span, value size).
    """
    keys, values = layout.full_path(span, number)
    no_mask = not span.prefix and window is None and slopes is None
    # The fastest kernels take no mask.
    mask = None if no_mask else layout.mask(span, window, query.device)
    if mask is not None and slopes is not None:
        positions = torch.arange(span.path_length, device=query.device)
        bias = (slopes[:, None] * positions).to(query.dtype)
        mask = bias[:, None].masked_fill(~mask, -math.inf).unsqueeze(0)
    return functional.scaled_dot_product_attention(
        query[:, :, span.start : span.end],
        keys,
        values,
        attn_mask=mask,
        is_causal=no_mask,
        scale=scale,
        enable_gqa=keys.shape[1] != query.shape[1],
    )

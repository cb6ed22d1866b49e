"""Attention in a packed pass, by the kernel that fits the device and the layer."""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from icl_gap.models.hf.engine.packing import CacheSlice, KVCache, PackedLayout, Span
from icl_gap.models.hf.engine.slice_attention import attend_by_slice
from icl_gap.models.hf.engine.trie_attention import attend_to_trie


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
    if _can_attend_to_trie(layout, number, query, slopes):
        return attend_to_trie(layout, number, query, scale=scale, window=window, slopes=slopes)
    return _attend_path_by_path(layout, number, query, scale=scale, window=window, slopes=slopes)


def _can_attend_by_slice(layout: PackedLayout, number: int, query: Tensor) -> bool:
    """Return True if the CPU's flash kernel applies."""
    keys, values = layout.cache.layers[number]
    return query.device.type == "cpu" and keys.shape[-1] == values.shape[-1]


def _can_attend_to_trie(
    layout: PackedLayout, number: int, query: Tensor, slopes: Tensor | None
) -> bool:
    """Return True if the device has a kernel of FlexAttention for the layer."""
    keys, values = layout.cache.layers[number]
    heads, sizes = (query.shape[1], keys.shape[1]), (keys.shape[3], values.shape[3])
    if query.device.type == "cpu":
        return False
    return _trie_kernel_works(query.device, query.dtype, heads, sizes, biased=slopes is not None)


@cache
@torch.inference_mode()  # as passes are run: a kernel is compiled anew without it
def _trie_kernel_works(
    device: torch.device,
    dtype: torch.dtype,
    heads: tuple[int, int],
    sizes: tuple[int, int],
    *,
    biased: bool,
) -> bool:
    """Return True if FlexAttention computes on two small tries what the kernel of torch does.

    Args:
        device: The device.
        dtype: The type of queries, keys and values.
        heads: Heads of queries and of keys.
        sizes: Size of a head of keys and of values.
        biased: True if there are linear biases.

    Raises:
        torch.OutOfMemoryError: There is too little memory for the trial.
    """

    def fill(*shape: int) -> Tensor:
        numbers = torch.arange(math.prod(shape), device=device)
        return (numbers % 997).float().sin().reshape(shape).to(dtype)

    slopes = 0.5 ** torch.arange(1, 1 + heads[0], device=device) if biased else None
    try:
        for prefix, one, other in ((40, 20, 30), (600, 300, 700)):
            caches = [
                KVCache({0: (fill(1, heads[1], n, sizes[0]), fill(1, heads[1], n, sizes[1]))})
                for n in (prefix, one + other)
            ]
            before = (CacheSlice(caches[0], 0, prefix),)
            spans = [Span(0, one, before), Span(one, one + other, before)]
            layout = PackedLayout(spans, caches[1])
            query, options = fill(1, heads[0], one + other, sizes[0]), {"scale": sizes[0] ** -0.5}
            found = attend_to_trie(layout, 0, query, window=None, slopes=slopes, **options)
            wanted = _attend_path_by_path(layout, 0, query, window=None, slopes=slopes, **options)
            bound = math.sqrt(torch.finfo(dtype).eps)
            if not torch.allclose(found.float(), wanted.float(), rtol=bound, atol=bound):
                return False
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001 (a compiler may fail in any way; the other kernel serves)
        return False
    return True


def _attend_path_by_path(
    layout: PackedLayout,
    number: int,
    query: Tensor,
    *,
    scale: float,
    window: int | None,
    slopes: Tensor | None,
) -> Tensor:
    """Let each span attend to its own path, whose keys are concatenated."""
    spans = (
        _attend_to_path(layout, span, number, query, scale=scale, window=window, slopes=slopes)
        for span in layout.spans
    )
    return torch.cat(list(spans), dim=2)


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

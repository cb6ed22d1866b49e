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
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from icl_gap.models.hf.engine.bloom_attention import bloom_modules, pack_bloom, unpack_bloom
from icl_gap.models.hf.engine.packing import (
    PackedLayout,
    Span,
    UnsupportedError,
    current_layout,
    layer_number,
)

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
    layout = current_layout()
    number = layer_number(module)
    layout.cache.layers[number] = (key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = options.get("sliding_window")
    if _can_attend_by_slice(layout, query, key, value, window):
        out = _attend_by_slice(layout, number, query, scale)
    else:
        spans = (
            _attend_to_path(layout, span, number, query, scale=scale, window=window)
            for span in layout.spans
        )
        out = torch.cat(list(spans), dim=2)
    return out.transpose(1, 2).contiguous(), None


def _can_attend_by_slice(
    layout: PackedLayout, query: Tensor, key: Tensor, value: Tensor, window: int | None
) -> bool:
    """Return True if the CPU's flash kernel applies; it has no sliding window."""
    longest = max(span.path_length for span in layout.spans)
    within_window = window is None or longest <= window
    return within_window and query.device.type == "cpu" and key.shape[-1] == value.shape[-1]


def _attend_by_slice(layout: PackedLayout, number: int, query: Tensor, scale: float) -> Tensor:
    """Attend to each slice of the prefixes by itself and merge the results, on the CPU.

    Softmax over a path is the mean of the softmaxes over its slices, weighted by their sums of
    exponentials (Milakov & Gimelshein 2018, arXiv 1805.02867). So no keys are concatenated, and a
    slice that many segments share is read once for all of them.

    Args:
        layout: The layout of the pass.
        number: The layer.
        query: (1, heads, tokens, head size).
        scale: Factor of the scores.

    Returns:
        (1, heads, tokens, head size).
    """
    keys, values = layout.cache.layers[number]
    groups = query.shape[1] // keys.shape[1]
    shape = (*query.shape[:-1], values.shape[-1])
    out = torch.empty(shape, dtype=torch.float32, device=query.device)
    log_sums = torch.empty(shape[:-1], dtype=torch.float32, device=query.device)
    for span in layout.spans:
        own = slice(span.start, span.end)
        out[:, :, own], log_sums[:, :, own] = _flash(
            query[:, :, own],
            _repeat_heads(keys[:, :, own], groups),
            _repeat_heads(values[:, :, own], groups),
            scale,
            causal=True,
        )
    for shared, start, end in layout.shared:
        stacked = _stack_heads(query[:, :, start:end], groups)
        more, more_sums = _flash(stacked, *shared.layer(number), scale, causal=False)
        part = out[:, :, start:end]
        more, more_sums = more.reshape(part.shape), more_sums.reshape(part.shape[:-1])
        total = torch.logaddexp(log_sums[:, :, start:end], more_sums)
        part.lerp_(more.float(), (more_sums - total).exp_().unsqueeze(-1))
        log_sums[:, :, start:end] = total
    return out.to(query.dtype)


def _flash(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """Return attention, and the log-sum-exp of each token's scores."""
    # The public function does not return the log-sum-exp.
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
    out, log_sums = kernel(query, key, value, 0.0, causal, scale=scale)
    return out, log_sums


def _repeat_heads(part: Tensor, groups: int) -> Tensor:
    """Repeat keys or values for each query head that shares them (grouped-query attention)."""
    return part if groups == 1 else part.repeat_interleave(groups, 1)


def _stack_heads(query: Tensor, groups: int) -> Tensor:
    """Reshape queries that share keys (grouped-query attention) to more tokens of fewer heads."""
    if groups == 1:
        return query
    _, heads, tokens, size = query.shape
    return query.reshape(1, heads // groups, groups * tokens, size)


def _attend_to_path(
    layout: PackedLayout,
    span: Span,
    number: int,
    query: Tensor,
    *,
    scale: float,
    window: int | None,
) -> Tensor:
    """Attend to a whole path at once, by the kernel that torch has for the device.

    Args:
        layout: The layout of the pass.
        span: The segment whose tokens attend.
        number: The layer.
        query: (1, heads, tokens, head size), of the whole pass.
        scale: Factor of the scores.
        window: Tokens that each token attends to, itself included; None for all before it.

    Returns:
        (1, heads, tokens of the span, head size).
    """
    keys, values = layout.full_path(span, number)
    no_mask = not span.prefix and window is None  # the fastest kernels take no mask
    return functional.scaled_dot_product_attention(
        query[:, :, span.start : span.end],
        keys,
        values,
        attn_mask=None if no_mask else layout.mask(span, window, query.device),
        is_causal=no_mask,
        scale=scale,
        enable_gqa=keys.shape[1] != query.shape[1],
    )

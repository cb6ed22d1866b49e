"""Attention in a packed pass: the tokens of many paths in one row, each attending to its own path.

A segment's tokens attend to the pieces of its path before it and, causally, to one another (see
`layout`). Models reach this through the library's attention interface; BLOOM, which does not use
that interface, has its attention modules' `forward` replaced.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.models.bloom.modeling_bloom import BloomAttention, build_alibi_tensor

from icl_gap.models.hf.engine.packing import Layer, Packing, Span

NAME = "icl_gap_packed"
"""Of this attention in the library's interface. It has no mask of that name there, so models make
none."""


class UnsupportedError(Exception):
    """A kind of attention that packing does not cover."""


_current: ContextVar[Packing] = ContextVar("packing")


@contextmanager
def packing(layout: Packing) -> Iterator[None]:
    """Within, the model's attention follows a layout."""
    token = _current.set(layout)
    try:
        yield
    finally:
        _current.reset(token)


def pack_attention(model: PreTrainedModel) -> None:
    """Make a model attend as `packing` says.

    Raises:
        UnsupportedError: Its attention cannot be replaced.
    """
    blooms = [module for module in model.modules() if isinstance(module, BloomAttention)]
    if blooms:
        if any(bloom.pretraining_tp > 1 and bloom.slow_but_exact for bloom in blooms):
            raise UnsupportedError("`slow_but_exact`")
        for bloom in blooms:
            vars(bloom)["forward"] = MethodType(_bloom_forward, bloom)
        _name_attention(model, NAME)  # so that BLOOM makes no mask
        return
    AttentionInterface.register(NAME, _attention)
    model.set_attn_implementation(NAME)
    if attention_of(model) != NAME:
        raise UnsupportedError("the model does not use the library's attention interface")


def attention_of(model: PreTrainedModel) -> str:
    """The name of a model's attention in the library's interface."""
    return str(model.config._attn_implementation)  # noqa: SLF001 (the library has no other way)


def _name_attention(model: PreTrainedModel, name: str) -> None:
    model.config._attn_implementation = name  # noqa: SLF001 (as above)


def unpack_attention(model: PreTrainedModel, name: str) -> None:
    """Undo `pack_attention`.

    Args:
        model: The model.
        name: Of the attention that it had.
    """
    blooms = [module for module in model.modules() if isinstance(module, BloomAttention)]
    for bloom in blooms:
        vars(bloom).pop("forward", None)
    if blooms:
        _name_attention(model, name)
    else:
        model.set_attn_implementation(name)


def _attention(  # noqa: PLR0917 (the interface is the library's)
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """The library's attention interface: (1, heads, tokens, size) to (1, tokens, heads, size)."""
    del attention_mask  # the layout says who attends to whom
    odd = [name for name in ("softcap", "s_aux", "position_bias") if options.get(name) is not None]
    if odd or query.shape[0] != 1:
        raise UnsupportedError(", ".join(odd) or "more rows than one")
    layout = _current.get()
    number = _layer_number(module)
    layout.made.layers[number] = (key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = options.get("sliding_window")
    if _pieces_will_do(layout, query, key, value, window):
        out = _by_pieces(layout, number, query, scale)
    else:
        spans = (
            _whole(layout, span, number, query, scale=scale, window=window) for span in layout.spans
        )
        out = torch.cat(list(spans), dim=2)
    return out.transpose(1, 2).contiguous(), None


def _pieces_will_do(
    layout: Packing, query: Tensor, key: Tensor, value: Tensor, window: int | None
) -> bool:
    """Whether the CPU's kernel can attend piece by piece: it knows no window."""
    reach = max(span.before + span.end - span.start for span in layout.spans)
    in_sight = window is None or reach <= window
    return in_sight and query.device.type == "cpu" and key.shape[-1] == value.shape[-1]


def _layer_number(module: torch.nn.Module) -> int:
    number = getattr(module, "layer_idx", None)
    if not isinstance(number, int):
        raise UnsupportedError("layers without numbers")
    return number


def _by_pieces(layout: Packing, number: int, query: Tensor, scale: float) -> Tensor:
    """Attend to each piece by itself and join the results, on the CPU.

    Softmax over a path is a mean of the softmaxes over its pieces, weighted by their sums of
    exponentials (Milakov & Gimelshein 2018, arXiv 1805.02867), so no keys need to be copied
    together, and a piece that many segments share is read once for all of them.

    Args:
        layout: The pass.
        number: The layer's.
        query: (1, heads, tokens, size).
        scale: Of the scores.
    """
    keys, values = layout.made.layers[number]
    groups = query.shape[1] // keys.shape[1]
    shape = (*query.shape[:-1], values.shape[-1])
    out = torch.empty(shape, dtype=torch.float32, device=query.device)
    weight = torch.empty(shape[:-1], dtype=torch.float32, device=query.device)
    for span in layout.spans:
        own = slice(span.start, span.end)
        out[:, :, own], weight[:, :, own] = _flash(
            query[:, :, own],
            _repeated(keys[:, :, own], groups),
            _repeated(values[:, :, own], groups),
            scale,
            causal=True,
        )
    for piece, start, end in layout.shared:
        their_keys, their_values = piece.source.layers[number]
        part = slice(piece.start, piece.end)
        more, more_weight = _flash(
            _stacked(query[:, :, start:end], groups),
            their_keys[:, :, part],
            their_values[:, :, part],
            scale,
            causal=False,
        )
        stretch = out[:, :, start:end]
        more, more_weight = more.reshape(stretch.shape), more_weight.reshape(stretch.shape[:-1])
        total = torch.logaddexp(weight[:, :, start:end], more_weight)
        stretch.lerp_(more.float(), (more_weight - total).exp_().unsqueeze(-1))
        weight[:, :, start:end] = total
    return out.to(query.dtype)


def _flash(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, causal: bool
) -> tuple[Tensor, Tensor]:
    """Attention, and the logarithm of each token's sum of exponentials."""
    # The public function gives no sums of exponentials.
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # noqa: SLF001
    out, weight = kernel(query, key, value, 0.0, causal, scale=scale)
    return out, weight


def _repeated(part: Tensor, groups: int) -> Tensor:
    """Keys or values once for each query head that shares them."""
    return part if groups == 1 else part.repeat_interleave(groups, 1)


def _stacked(query: Tensor, groups: int) -> Tensor:
    """Queries that share keys (grouped-query attention) as more tokens of fewer heads."""
    if groups == 1:
        return query
    _, heads, tokens, size = query.shape
    return query.reshape(1, heads // groups, groups * tokens, size)


def _path(layout: Packing, span: Span, number: int) -> Layer:
    """All keys and values of a span's path, its own last."""
    parts = [
        (keys[:, :, piece.start : piece.end], values[:, :, piece.start : piece.end])
        for piece in span.pieces
        for keys, values in [piece.source.layers[number]]
    ]
    keys, values = layout.made.layers[number]
    parts.append((keys[:, :, span.start : span.end], values[:, :, span.start : span.end]))
    return torch.cat([k for k, _ in parts], 2), torch.cat([v for _, v in parts], 2)


def _whole(
    layout: Packing,
    span: Span,
    number: int,
    query: Tensor,
    *,
    scale: float,
    window: int | None,
) -> Tensor:
    """Attend to a whole path at once, by whatever kernel the library has for the device.

    Args:
        layout: The pass.
        span: Whose tokens attend.
        number: The layer's.
        query: (1, heads, tokens, size), of the pass.
        scale: Of the scores.
        window: To how many tokens each attends, itself included; None for all.
    """
    keys, values = _path(layout, span, number)
    alone = not span.pieces and window is None  # the fastest kernels know this case, and no mask
    return functional.scaled_dot_product_attention(
        query[:, :, span.start : span.end],
        keys,
        values,
        attn_mask=None if alone else layout.mask(span, window, query.device),
        is_causal=alone,
        scale=scale,
        enable_gqa=keys.shape[1] != query.shape[1],
    )


def _bloom_forward(
    self: BloomAttention,
    hidden_states: Tensor,
    residual: Tensor,
    alibi: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """BLOOM's attention, by its own formula, each segment over its whole path."""
    del alibi, attention_mask, options  # of the packed row, which is no path
    layout = _current.get()
    number = _layer_number(self)
    query, key, value = self._reshape(self.query_key_value(hidden_states))
    layout.made.layers[number] = (key, value)
    two = torch.ones(1, 2, device=query.device)  # the bias at place 1 is the slope
    slopes = build_alibi_tensor(two, self.num_heads, torch.float32)[:, :, 1:]
    out = [
        _with_alibi(layout, span, number, query[0], slopes=slopes, module=self)
        for span in layout.spans
    ]
    context = torch.cat(out, dim=1).transpose(0, 1).flatten(1).unsqueeze(0)
    return self.dense(context) + residual, None


def _with_alibi(
    layout: Packing,
    span: Span,
    number: int,
    query: Tensor,
    *,
    slopes: Tensor,
    module: BloomAttention,
) -> Tensor:
    """Attention with linear biases (Press et al. 2022, arXiv 2108.12409), as BLOOM computes it.

    Args:
        layout: The pass.
        span: Whose tokens attend.
        number: The layer's.
        query: (heads, tokens, size), of the pass.
        slopes: (heads, 1, 1).
        module: Whose scale counts.
    """
    keys, values = _path(layout, span, number)
    own = query[:, span.start : span.end]
    places = torch.arange(keys.shape[2], device=query.device)
    bias = (slopes * places).to(query.dtype)
    scale = module.inv_norm_factor
    scores = bias.baddbmm(own, keys[0].transpose(1, 2), beta=1.0, alpha=scale)
    hidden = ~layout.mask(span, None, query.device)
    scores = scores.masked_fill_(hidden, torch.finfo(scores.dtype).min)
    weights = functional.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    return torch.bmm(weights, values[0])

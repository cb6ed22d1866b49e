"""Blockwise attention, with which narrow models train fast on a CPU.

It computes the same function as the architectures' own attention. There, softmax over whole rows in
float32 takes most of a narrow model's step, and causal attention never needs half of the scores.
Here the queries of a block see only the keys before the end of the block, in the precision of the
autocast context. BLOOM has no switch for its attention, so it is replaced during training; its
linear biases count from each query, so that near keys keep all their digits.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

from functools import cache
from types import MethodType
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.models.bloom.modeling_bloom import (
    BloomAttention,
    BloomMLP,
    build_alibi_tensor,
)

BLOCKS = {torch.bfloat16: 64, torch.float32: 128}
"""The number of queries in a block: the fastest of those tried with each precision."""

_NAME = "icl_gap_blockwise"


def use_blockwise_attention(model: PreTrainedModel) -> None:
    """Make a model use `attend`."""
    AttentionInterface.register(_NAME, attend)
    AttentionMaskInterface.register(_NAME, lambda *_args, **_kwargs: None)
    if model.config.model_type != "bloom":
        model.set_attn_implementation(_NAME)
        return
    for module in model.modules():
        if isinstance(module, BloomAttention):
            vars(module)["forward"] = MethodType(_bloom_forward, module)
        elif isinstance(module, BloomMLP):
            # The same function, in one pass over memory.
            module.add_module("gelu_impl", nn.GELU(approximate="tanh"))


def attend(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    scaling: float | None = None,
    slopes: torch.Tensor | None = None,
    **_ignored: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention, as an attention function of `transformers`.

    Args:
        _module: Not used.
        query: (rows, heads, length, head size), as are key and value.
        key: As above.
        value: As above.
        _mask: Not used: rows are causal and have no padding.
        scaling: The factor of the scores; by default the inverse square root of the head size.
        slopes: (heads,): the slopes of the linear biases (ALiBi), if the architecture has them.
        **_ignored: Dropout and other options that training does not use.

    Returns:
        (rows, length, heads, head size), and no weights.
    """
    rows, heads, length, size = query.shape
    wanted = value.dtype
    mixed = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if mixed else torch.float32
    block = BLOCKS[dtype]
    with torch.autocast("cpu", enabled=False):
        query = query.to(dtype) * (size**-0.5 if scaling is None else scaling)
        query, key, value = (
            part.to(dtype).reshape(rows * heads, length, size) for part in (query, key, value)
        )
        keys = key.transpose(1, 2)
        parts = []
        for start in range(0, length, block):
            end = min(start + block, length)
            bias = _causal(start, end, dtype).expand(rows * heads, -1, -1)
            if slopes is not None:
                linear = slopes.view(-1, 1, 1) * _distances(start, end)
                bias = bias + linear.to(dtype).repeat(rows, 1, 1)
            scores = torch.baddbmm(bias, query[:, start:end], keys[:, :, :end])
            parts.append(torch.bmm(scores.softmax(-1), value[:, :end]))
        out = torch.cat(parts, 1).reshape(rows, heads, length, size)
    return out.transpose(1, 2).to(wanted).contiguous(), None


def _bloom_forward(
    self: BloomAttention, hidden_states: torch.Tensor, residual: torch.Tensor, **_ignored: Any
) -> tuple[torch.Tensor, None]:
    """Compute BLOOM's attention, without dropout."""
    query, key, value = self._reshape(self.query_key_value(hidden_states))
    mixed, _ = attend(self, query, key, value, None, self.inv_norm_factor, _slopes(self.num_heads))
    return self.dense(mixed.flatten(2)) + residual, None


@cache
def _causal(start: int, end: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the causal mask of queries start..end against keys 0..end, to add to their scores."""
    return torch.full((end - start, end), float("-inf"), dtype=dtype).triu(start + 1)


@cache
def _distances(start: int, end: int) -> torch.Tensor:
    """Return the positions of keys 0..end minus those of queries start..end."""
    return torch.arange(end)[None, :] - torch.arange(start, end)[:, None]


@cache
def _slopes(heads: int) -> torch.Tensor:
    """Return ALiBi's slopes: the growth of the biases from one position to the next."""
    biases = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)
    return biases[:, 0, 1] - biases[:, 0, 0]

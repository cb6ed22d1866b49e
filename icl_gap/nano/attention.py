"""Causal attention for training on a CPU, a block of queries at a time.

Half of the scores of a causal row are never needed, and softmax over whole rows in float32 takes
most of the time of a narrow model's step. Here queries of a block meet only the keys before their
end, in bfloat16.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

BLOCK = 64
_NAME = "icl_gap_blockwise"


def use_blockwise_attention(model: PreTrainedModel) -> None:
    """Have a model attend by `attend`, where the library lets its attention be chosen."""
    AttentionInterface.register(_NAME, attend)
    AttentionMaskInterface.register(_NAME, lambda *_args, **_kwargs: None)
    if model.config.model_type != "bloom":
        model.set_attn_implementation(_NAME)


def attend(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    scaling: float | None = None,
    **_ignored: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention, as an attention function of `transformers`.

    Args:
        _module: Not used.
        query: (rows, heads, length, head size), as are key and value.
        key: As above.
        value: As above.
        _mask: Not used: rows are causal and have no padding.
        scaling: Of the scores; by default the inverse square root of the head size.
        **_ignored: Dropout and the like, which training here does not use.

    Returns:
        (rows, length, heads, head size), and no weights.
    """
    rows, heads, length, size = query.shape
    with torch.autocast("cpu", enabled=False):
        query = query.bfloat16() * (size**-0.5 if scaling is None else scaling)
        query, key, value = (
            part.bfloat16().reshape(rows * heads, length, size) for part in (query, key, value)
        )
        keys = key.transpose(1, 2)
        parts = []
        for start in range(0, length, BLOCK):
            end = min(start + BLOCK, length)
            mask = _causal(start, end).expand(rows * heads, -1, -1)
            scores = torch.baddbmm(mask, query[:, start:end], keys[:, :, :end])
            parts.append(torch.bmm(scores.softmax(-1), value[:, :end]))
        out = torch.cat(parts, 1).reshape(rows, heads, length, size)
    return out.transpose(1, 2).contiguous(), None


@cache
def _causal(start: int, end: int) -> torch.Tensor:
    """What is added to the scores of queries start..end against keys 0..end."""
    return torch.full((end - start, end), float("-inf"), dtype=torch.bfloat16).triu(start + 1)

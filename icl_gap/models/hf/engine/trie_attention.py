"""Attention on a GPU: FlexAttention over a packed row, under the mask of its token trie.

A pass is one call a layer, over each key once (Dong et al. 2024, arXiv 2412.05496). The row and its
keys are padded to few sizes, and sizes are variables of the compiled kernel, with or without a
window: one for as many keys as tokens, one for more.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from icl_gap.models.hf.engine.packing import PackedLayout
from icl_gap.models.hf.engine.trie_keys import TrieKeys, mask_blocks, trie_keys

BLOCK = 128
"""Tokens of a block of the mask, of queries and of keys."""
_MAX_KERNELS = 256
"""Kernels that a process compiles at most: two for each type, number of heads and size of a head
among its models. By itself, torch compiles 8, and allows this many."""


@dataclass(frozen=True, slots=True, eq=False)
class _Mask:
    """A mask on a device, padded."""

    keys: int
    first: Tensor
    last: Tensor
    key_positions: Tensor
    earliest: Tensor
    """Position of the first key that the window leaves to each token."""
    blocks: tuple[Tensor, ...]
    """Counts and numbers of blocks seen in part, then of those seen whole; see `MaskBlocks`."""


def attend_to_trie(
    layout: PackedLayout,
    number: int,
    query: Tensor,
    *,
    scale: float,
    window: int | None = None,
    slopes: Tensor | None = None,
) -> Tensor:
    """Attend by FlexAttention, compiled for the device.

    Args:
        layout: The layout of the pass.
        number: The layer.
        query: (1, heads, tokens, head size).
        scale: Factor of the scores.
        window: Tokens that each token attends to, itself included; None for all before it.
        slopes: Slopes of linear biases, (heads,).

    Returns:
        (1, heads, tokens, value size).
    """
    device, tokens = query.device, query.shape[2]
    trie = layout.once("trie_keys", lambda: trie_keys(layout))
    mask = layout.once(("trie_mask", window, device), lambda: _mask(trie, layout, window, device))
    parts = [layout.cache.layers[number], *(each.layer(number) for each in trie.slices)]
    keys, values = (_join(list(each), mask.keys) for each in zip(*parts, strict=True))
    bias = None
    if slopes is not None:
        bias = (slopes.to(device)[:, None] * mask.key_positions).to(query.dtype)
    padded = functional.pad(query, (0, 0, 0, len(mask.earliest) - tokens))
    out = _compiled()(padded, keys, values, mask, bias, scale=scale)
    return out[:, :, :tokens]


def _mask(trie: TrieKeys, layout: PackedLayout, window: int | None, device: torch.device) -> _Mask:
    rows, columns = padded_size(len(layout.positions)), padded_size(len(trie.positions))
    blocks = mask_blocks(trie, layout.positions, window, BLOCK, (rows, columns))

    def move(values: Any, size: int, padding: int) -> Tensor:
        padded = np.full(size, padding, np.int32)
        padded[: len(values)] = values
        return torch.from_numpy(padded).to(device)

    # Without a window, the same kernel does.
    earliest = np.zeros(1) if window is None else layout.positions - window + 1
    parts = (blocks.partial_counts, blocks.partial, blocks.full_counts, blocks.full)
    return _Mask(
        keys=columns,
        first=move(trie.first, columns, rows),
        last=move(trie.last, columns, 0),
        key_positions=move(trie.positions, columns, 0),
        earliest=move(earliest, rows, 0),
        blocks=tuple(torch.from_numpy(each).to(device)[None, None] for each in parts),
    )


def padded_size(tokens: int) -> int:
    """Return the least power of two times `BLOCK` that holds some tokens, two blocks at least."""
    # One block would be compiled by itself.
    return BLOCK << max(1, ((tokens - 1) // BLOCK).bit_length())


def _join(parts: list[Tensor], size: int) -> Tensor:
    """Concatenate keys or values and pad them with zeros."""
    missing = size - sum(each.shape[2] for each in parts)
    shape = (1, parts[0].shape[1], missing, parts[0].shape[3])
    return torch.cat([*parts, parts[0].new_zeros(shape)], 2)


def attend_under_mask(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: _Mask,
    bias: Tensor | None,
    *,
    scale: float,
) -> Tensor:
    """Attend by FlexAttention, as compiled.

    Args:
        query: (1, heads, tokens, head size), padded.
        keys: (1, heads of keys, keys, head size), padded.
        values: (1, heads of keys, keys, value size).
        mask: The mask.
        bias: Biases of the scores, (heads, keys).
        scale: Factor of the scores.

    Returns:
        (1, heads, tokens, value size); zeros for padding.
    """

    def sees(batch: Tensor, head: Tensor, token: Tensor, key: Tensor) -> Tensor:
        del batch, head
        seen = (token >= mask.first[key]) & (token < mask.last[key])
        return seen & (mask.key_positions[key] >= mask.earliest[token])

    def add_bias(score: Tensor, batch: Tensor, head: Tensor, token: Tensor, key: Tensor) -> Tensor:
        del batch, token
        return score if bias is None else score + bias[head, key]

    partial_counts, partial, full_counts, full = mask.blocks
    block_mask = BlockMask.from_kv_blocks(
        partial_counts,
        partial,
        full_counts,
        full,
        BLOCK_SIZE=BLOCK,
        mask_mod=sees,
        seq_lengths=(query.shape[2], keys.shape[2]),
        compute_q_blocks=False,
    )
    options: Any = {"FLOAT32_PRECISION": "'ieee'"}  # no TF32; the type lacks this key
    out: Tensor = flex_attention(
        query,
        keys,
        values,
        score_mod=None if bias is None else add_bias,
        block_mask=block_mask,
        scale=scale,
        enable_gqa=query.shape[1] != keys.shape[1],
        kernel_options=options,
    )
    return out


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Tensor]:
    compiler: Any = torch.compile  # its types lack the limit, and so does an older torch
    return cast(
        "Callable[..., Tensor]",
        compiler(attend_under_mask, fullgraph=True, dynamic=True, recompile_limit=_MAX_KERNELS),
    )

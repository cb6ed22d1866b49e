"""Keys of a packed row, each once, with the tokens that see it: a mask of the token trie.

Tokens of neighbouring segments that share a key are neighbours in the row, so a key is seen by the
tokens between two places. That holds for keys of the row itself, too: a token sees those before it
in its own segment, and neighbouring segments behind may have it in their prefixes. Where segments
that share a key are no neighbours, it is listed once for each run of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from icl_gap.models.hf.engine.packing import CacheSlice, KVCache, PackedLayout

Ints: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class TrieKeys:
    """The keys of a pass: those of its row, then those of some slices."""

    slices: tuple[CacheSlice, ...]
    first: Ints
    """The first token of the row that sees each key, (keys,)."""
    last: Ints
    """The end of the tokens that see it."""
    positions: Ints
    """Position of each key on its paths."""


@dataclass(frozen=True, slots=True, eq=False)
class MaskBlocks:
    """Blocks of queries and keys, by what the mask leaves of them, as FlexAttention wants them."""

    partial_counts: Ints
    """Blocks of keys of which each block of queries may see a part, (blocks of queries,)."""
    partial: Ints
    """Their numbers come first in each row, (blocks of queries, blocks of keys)."""
    full_counts: Ints
    full: Ints
    """The same of blocks that are seen whole."""


def trie_keys(layout: PackedLayout) -> TrieKeys:
    """List the keys of a pass.

    Args:
        layout: The layout of the pass.
    """
    tokens = len(layout.positions)
    last = np.empty(tokens, np.int32)
    for span in layout.spans:
        last[span.start : span.end] = span.end
    owners = np.repeat(np.arange(len(layout.spans)), [s.end - s.start for s in layout.spans])
    more: list[tuple[CacheSlice, int, int, int]] = []
    for part, (position, seen) in _parts(layout).items():
        for start, end in _runs(seen):
            behind = part.cache is layout.cache and owners[part.start] + 1 == start
            if behind:
                last[part.start : part.end] = layout.spans[end].end
            else:
                more.append((part, position, layout.spans[start].start, layout.spans[end].end))
    sizes = [len(part) for part, *_ in more]
    return TrieKeys(
        tuple(part for part, *_ in more),
        _join(np.arange(tokens), np.repeat([first for *_, first, _ in more], sizes)),
        _join(last, np.repeat([end for *_, end in more], sizes)),
        _join(layout.positions, *(at + np.arange(len(part)) for part, at, *_ in more)),
    )


def _parts(layout: PackedLayout) -> dict[CacheSlice, tuple[int, list[int]]]:
    """Cut the slices of the prefixes where any of them begins or ends.

    Returns:
        Of each part, its position and the numbers of the spans that have it in their prefixes.
    """
    cuts: defaultdict[KVCache, set[int]] = defaultdict(set)
    cuts[layout.cache].update(span.start for span in layout.spans)
    for span in layout.spans:
        for each in span.prefix:
            cuts[each.cache].update((each.start, each.end))
    ordered = {cache: sorted(found) for cache, found in cuts.items()}
    parts: dict[CacheSlice, tuple[int, list[int]]] = {}
    for number, span in enumerate(layout.spans):
        position = 0
        for each in span.prefix:
            inner = [cut for cut in ordered[each.cache] if each.start <= cut <= each.end]
            for start, end in pairwise(inner):
                part = CacheSlice(each.cache, start, end)
                parts.setdefault(part, (position, []))[1].append(number)
                position += len(part)
    return parts


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Return the first and the last of each run of consecutive numbers."""
    start = before = numbers[0]
    for number in numbers[1:]:
        if number > before + 1:
            yield start, before
            start = number
        before = number
    yield start, before


def _join(*parts: NDArray[np.int_] | Ints) -> Ints:
    return np.concatenate(parts).astype(np.int32)


def mask_blocks(
    keys: TrieKeys, queries: NDArray[np.int_], window: int | None, size: int, shape: tuple[int, int]
) -> MaskBlocks:
    """Sort blocks of queries and keys by what the mask leaves of them.

    Args:
        keys: The keys.
        queries: Positions of the tokens on their paths, (tokens,).
        window: Tokens that each token attends to, itself included; None for all before it.
        size: Tokens of a block, of queries and of keys.
        shape: Tokens and keys with their padding, multiples of `size`.
    """
    rows, columns = shape[0] // size, shape[1] // size
    starts = np.arange(rows) * size
    first = _blocks(keys.first, columns, size, shape[0])
    last = _blocks(keys.last, columns, size, 0)
    seen = ((first[:, :, None] < starts + size) & (last[:, :, None] > starts)).any(1).T
    full = ((first[:, :, None] <= starts) & (last[:, :, None] >= starts + size)).all(1).T
    if window is not None:
        most, least = np.iinfo(np.int32).max, -1
        nearest = _blocks(queries, rows, size, most).min(1)[:, None]
        farthest = _blocks(queries, rows, size, least).max(1)[:, None]
        seen &= nearest - _blocks(keys.positions, columns, size, least).max(1) < window
        full &= farthest - _blocks(keys.positions, columns, size, most).min(1) < window
    return MaskBlocks(*_numbered(np.asarray(seen & ~full)), *_numbered(np.asarray(full)))


def _blocks(values: NDArray[np.int_] | Ints, number: int, size: int, padding: int) -> Ints:
    """Pad values and reshape them to (blocks, size)."""
    padded = np.full(number * size, padding, np.int32)
    padded[: len(values)] = values
    return padded.reshape(number, size)


def _numbered(chosen: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return how many of each row are chosen, and their numbers before those of the others."""
    order = np.argsort(~chosen, axis=1, kind="stable")
    return chosen.sum(1).astype(np.int32), order.astype(np.int32)

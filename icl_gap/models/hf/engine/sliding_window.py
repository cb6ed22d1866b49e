"""A packed layout seen through a sliding window: which slices are left, and what is hidden of them.

Slices that the window hides from a token are left out for it. Own tokens longer than the window are
cut into chunks of its length, each within its own window; a chunk attends to those before it as to
slices of a prefix. So only slices at the edge of a window need a mask.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from icl_gap.models.hf.engine.packing import (
    AttendedSlice,
    CacheSlice,
    PackedLayout,
)


@dataclass(frozen=True, slots=True)
class VisibleSlices:
    """The parts of a layout that attention is computed over, one by one."""

    own: tuple[tuple[int, int], ...]
    """Start and end of neighbouring tokens of the row that attend to one another, causally."""
    before: tuple[AttendedSlice, ...]
    """Slices before them on their paths."""


def visible_slices(layout: PackedLayout, window: int | None) -> VisibleSlices:
    """Return the slices that tokens attend to.

    Args:
        layout: The layout of the pass.
        window: Tokens that each token attends to, itself included; None for all before it.
    """
    return layout.once(("visible", window), lambda: _visible_slices(layout, window))


def _visible_slices(layout: PackedLayout, window: int | None) -> VisibleSlices:
    if window is None or not (layout.positions >= window).any():
        return VisibleSlices(tuple((s.start, s.end) for s in layout.spans), layout.slices)
    own, before = [], list(layout.slices)
    for span in layout.spans:
        starts = range(span.start, span.end, window)
        own += [(start, min(start + window, span.end)) for start in starts]
        for start in starts[1:]:
            earlier = CacheSlice(layout.cache, start - window, start)
            position = int(layout.positions[start - window])
            before.append(AttendedSlice(earlier, position, start, min(start + window, span.end)))
    return VisibleSlices(
        tuple(own), tuple(seen for each in before for seen in _seen(layout, each, window))
    )


def _seen(layout: PackedLayout, each: AttendedSlice, window: int) -> Iterator[AttendedSlice]:
    """Cut a slice to what each run of tokens sees of it."""
    nearest = layout.positions[each.start : each.end] - window + 1  # first position that is seen
    last = each.position + len(each.keys) - 1
    changes = np.flatnonzero(np.diff(nearest <= last)) + 1
    for run in np.split(np.arange(each.start, each.end), changes):
        first = nearest[run[0] - each.start : run[-1] - each.start + 1]
        if first[0] > last:
            continue
        skipped = max(int(first.min()) - each.position, 0)
        keys = CacheSlice(each.keys.cache, each.keys.start + skipped, each.keys.end)
        position = each.position + skipped
        yield replace(
            each,
            keys=keys,
            position=position,
            start=int(run[0]),
            end=int(run[-1]) + 1,
            hidden=bool(first.max() > position),
        )


def window_bias(
    layout: PackedLayout, each: AttendedSlice, window: int, dtype: torch.dtype
) -> Tensor:
    """Return the bias that hides keys outside the window.

    Args:
        layout: The layout of the pass.
        each: The slice, of which each token sees a part.
        window: Tokens that each token attends to, itself included; the one it was cut for.
        dtype: The type of the scores.

    Returns:
        (1, 1, tokens, keys), 0 where a token sees a key and minus infinity elsewhere.
    """

    def make() -> Tensor:
        queries = torch.from_numpy(layout.positions[each.start : each.end])[:, None]
        keys = torch.arange(each.position, each.position + len(each.keys))
        bias = torch.zeros(1, 1, len(queries), len(keys), dtype=dtype)
        return bias.masked_fill_(keys <= queries - window, -math.inf)

    return layout.once(("window_bias", each, window, dtype), make)

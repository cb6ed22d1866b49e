"""Layout of a packed forward pass: segments of many paths in one row, without padding.

A segment is the end of a path, computed in this pass. Its prefix is a sequence of `CacheSlice`s,
whose keys and values come from an earlier pass or from this one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
Layer: TypeAlias = tuple[Tensor, Tensor]
"""Keys and values of one layer, each (1, heads, tokens, head size)."""


class UnsupportedError(Exception):
    """A model's attention cannot run over a packed row."""


@dataclass(slots=True, eq=False)
class KVCache:
    """Keys and values of consecutive tokens, by layer number."""

    layers: dict[int, Layer] = field(default_factory=dict)

    def make_contiguous(self) -> None:
        """Copy keys and values so that those of each head lie side by side.

        A pass leaves them interleaved, as its projections wrote them. Contiguous ones are read
        twice as fast, which pays where they are read again and again.
        """
        for number, (keys, values) in self.layers.items():
            self.layers[number] = keys.contiguous(), values.contiguous()


@dataclass(frozen=True, slots=True)
class CacheSlice:
    """A slice of a KV cache: tokens `start` to `end` of it, in all layers."""

    cache: KVCache
    start: int
    end: int

    def __len__(self) -> int:
        """Return the number of tokens."""
        return self.end - self.start

    def layer(self, number: int) -> Layer:
        """Return views of the keys and values of one layer, each (1, heads, tokens, head size)."""
        keys, values = self.cache.layers[number]
        return keys[:, :, self.start : self.end], values[:, :, self.start : self.end]


Prefix: TypeAlias = tuple[CacheSlice, ...]
"""KV cache of the first tokens of a path, in order."""


def truncate(prefix: Iterable[CacheSlice], length: int) -> Prefix:
    """Return the slices of the first tokens of a prefix.

    Args:
        prefix: The slices, in order.
        length: The number of tokens.
    """
    kept = []
    for each in prefix:
        size = min(len(each), length)
        if size > 0:
            kept.append(CacheSlice(each.cache, each.start, each.start + size))
        length -= size
    return tuple(kept)


def detach(prefix: Iterable[CacheSlice]) -> Prefix:
    """Copy a prefix, so that the caches it is a part of can be freed."""
    return tuple(
        CacheSlice(
            KVCache(
                {
                    number: (keys.clone(), values.clone())
                    for number in each.cache.layers
                    for keys, values in [each.layer(number)]
                }
            ),
            0,
            len(each),
        )
        for each in prefix
    )


@dataclass(frozen=True, slots=True)
class Span:
    """Position of a segment in the packed row."""

    start: int
    end: int
    prefix: Prefix
    """KV cache of the tokens before it on its path."""

    @property
    def prefix_length(self) -> int:
        """The number of tokens before it on its path."""
        return sum(map(len, self.prefix))

    @property
    def path_length(self) -> int:
        """The number of tokens of its path, its own included."""
        return self.prefix_length + self.end - self.start


@dataclass(frozen=True, slots=True)
class AttendedSlice:
    """A slice before some tokens of the row, on the paths of all of them."""

    keys: CacheSlice
    position: int
    """Position of its first token on the paths."""
    start: int
    """Start of the tokens in the row that attend to it."""
    end: int
    hidden: bool = False
    """True if a sliding window hides a part of it from some of them; each sees its last token."""


@dataclass(slots=True, eq=False)
class PackedLayout:
    """Layout of a packed forward pass."""

    spans: Sequence[Span]
    cache: KVCache
    """Filled by the pass, layer by layer; prefixes may be slices of it."""
    slices: tuple[AttendedSlice, ...] = field(init=False)
    """The slices of the prefixes, each once for all neighbouring spans that share it."""
    positions: NDArray[np.int_] = field(init=False)
    """Position of each token of the row on its path, (tokens,)."""
    derived: dict[Hashable, Any] = field(default_factory=dict)
    """What kernels make of it; see `once`."""

    def __post_init__(self) -> None:
        self.slices = tuple(_attended_slices(self.spans))
        ranges = [np.arange(span.prefix_length, span.path_length) for span in self.spans]
        self.positions = np.concatenate(ranges) if ranges else np.empty(0, np.int_)

    def full_path(self, span: Span, number: int) -> Layer:
        """Return keys and values of a span's whole path, its own tokens last.

        Args:
            span: The span.
            number: The layer.

        Returns:
            Keys and values, each (1, heads, path length, head size).
        """
        own = CacheSlice(self.cache, span.start, span.end)
        layers = [each.layer(number) for each in (*span.prefix, own)]
        return torch.cat([k for k, _ in layers], 2), torch.cat([v for _, v in layers], 2)

    def mask(self, span: Span, window: int | None, device: torch.device) -> Tensor:
        """Return the causal mask of a span over its path.

        Args:
            span: The span; n tokens, the last of their path.
            window: Tokens that each token attends to, itself included; None for all before it.
            device: The mask's device.

        Returns:
            (n, path length), True where a token attends to another.
        """
        n, length = span.end - span.start, span.path_length

        def make() -> Tensor:
            queries = torch.arange(length - n, length, device=device)[:, None]
            keys = torch.arange(length, device=device)[None, :]
            return (keys <= queries) & (keys > queries - (window or length))

        return self.once(("mask", n, length, window, device), make)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returns, which is called once for all layers.

        Args:
            key: A name of its own, with what else it depends on.
            make: Makes it.
        """
        if key not in self.derived:
            self.derived[key] = make()
        found: T = self.derived[key]
        return found


def _attended_slices(spans: Sequence[Span]) -> Iterator[AttendedSlice]:
    """Join neighbouring spans that attend to the same slice."""
    depth = max((len(span.prefix) for span in spans), default=0)
    for level in range(depth):
        for keys, run in groupby(spans, key=lambda span: (*span.prefix, *[None] * depth)[level]):
            if keys is not None:
                members = list(run)
                position = sum(map(len, members[0].prefix[:level]))
                yield AttendedSlice(keys, position, members[0].start, members[-1].end)


_current: ContextVar[PackedLayout] = ContextVar("layout")


@contextmanager
def use_layout(layout: PackedLayout) -> Iterator[None]:
    """Make the model's attention follow a layout within the `with` block."""
    token = _current.set(layout)
    try:
        yield
    finally:
        _current.reset(token)


def current_layout() -> PackedLayout:
    """Return the layout of the pass in progress."""
    return _current.get()


def layer_number(module: torch.nn.Module) -> int:
    """Return the number of the layer that an attention module belongs to.

    Raises:
        UnsupportedError: The module does not know it.
    """
    number = getattr(module, "layer_idx", None)
    if not isinstance(number, int):
        raise UnsupportedError("layers without numbers")
    return number

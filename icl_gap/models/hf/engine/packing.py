"""How a pass is laid out: segments of many paths in one row, and where their paths' beginnings lie.

A pass holds segments, one after the other, without padding. The path of a segment before it is a
row of pieces: stretches of keys and values that this pass or an earlier one computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

import torch
from torch import Tensor

Layer: TypeAlias = tuple[Tensor, Tensor]
"""Keys and values of one layer, each (1, heads, tokens, head size)."""


@dataclass(slots=True, eq=False)
class KeyValues:
    """Keys and values of a run of tokens, in all layers."""

    layers: dict[int, Layer] = field(default_factory=dict)

    def compact(self) -> None:
        """Lay each head's keys side by side: what is read again and again is read twice as fast.

        A pass leaves them as its projections made them, token by token, and with the queries.
        """
        for number, (keys, values) in self.layers.items():
            self.layers[number] = keys.contiguous(), values.contiguous()


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a path whose keys and values are there, or come with the same pass."""

    source: KeyValues
    start: int
    end: int


def cut(pieces: Iterable[Piece], length: int) -> tuple[Piece, ...]:
    """The pieces of the first tokens of a path.

    Args:
        pieces: Of the whole path, in order.
        length: How many tokens.
    """
    kept = []
    for piece in pieces:
        size = min(piece.end - piece.start, length)
        if size > 0:
            kept.append(Piece(piece.source, piece.start, piece.start + size))
        length -= size
    return tuple(kept)


def detached(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """The same pieces in memory of their own, so that what they are parts of can go."""
    return tuple(
        Piece(
            KeyValues(
                {
                    number: (
                        keys[:, :, piece.start : piece.end].clone(),
                        values[:, :, piece.start : piece.end].clone(),
                    )
                    for number, (keys, values) in piece.source.layers.items()
                }
            ),
            0,
            piece.end - piece.start,
        )
        for piece in pieces
    )


@dataclass(frozen=True, slots=True)
class Span:
    """A segment's place in a pass."""

    start: int
    end: int
    pieces: tuple[Piece, ...]
    """Its path before it, in order."""

    @property
    def before(self) -> int:
        """How many tokens its path has before it."""
        return sum(piece.end - piece.start for piece in self.pieces)


@dataclass(slots=True, eq=False)
class Packing:
    """How a pass is laid out."""

    spans: Sequence[Span]
    made: KeyValues
    """Filled layer by layer with what the pass computes; pieces may name it as their source."""
    shared: tuple[tuple[Piece, int, int], ...] = field(init=False)
    """Each piece, and the stretch of the pass that attends to all of it."""

    masks: dict[tuple[int, int, int | None, torch.device], Tensor] = field(default_factory=dict)
    """Made once for all layers of a device; by tokens, length of the path, window and device."""

    def __post_init__(self) -> None:
        self.shared = tuple(_runs(self.spans))

    def mask(self, span: Span, window: int | None, device: torch.device) -> Tensor:
        """Which tokens of its path a span's own attend to.

        Args:
            span: The span; n tokens, the last of a path of some length.
            window: To how many tokens each attends, itself included; None for all.
            device: Of the mask.

        Returns:
            (n, length), True where one attends to the other.
        """
        n, length = span.end - span.start, span.before + span.end - span.start
        key = (n, length, window, device)
        if key not in self.masks:
            mine = torch.arange(length - n, length, device=device)[:, None]
            theirs = torch.arange(length, device=device)[None, :]
            near = theirs > mine - (window or length)
            self.masks[key] = (theirs <= mine) & near
        return self.masks[key]


def _runs(spans: Sequence[Span]) -> Iterator[tuple[Piece, int, int]]:
    """Neighbouring spans that attend to the same piece, as one stretch."""
    depth = max((len(span.pieces) for span in spans), default=0)
    for level in range(depth):
        for piece, run in groupby(spans, key=lambda span: (*span.pieces, *[None] * depth)[level]):
            if piece is not None:
                members = list(run)
                yield piece, members[0].start, members[-1].end

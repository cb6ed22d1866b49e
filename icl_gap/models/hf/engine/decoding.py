"""Speculative decoding with greedy verification, of many answers at a time.

Each answer guesses its next tokens, one pass checks all guesses, and what the model itself would
have written is kept, with one token more (Leviathan et al. 2023, arXiv 2211.17192, at temperature
0). So the answers are those of greedy decoding, whatever the guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from icl_gap.models.hf.engine.drafts import Lookup
from icl_gap.models.hf.engine.packing import KeyValues, Piece
from icl_gap.models.hf.engine.passes import Runner, Segment
from icl_gap.models.hf.engine.response_state import Reply, follow
from icl_gap.models.hf.engine.sequences import TokenizedRequest
from icl_gap.models.hf.tokenizer import TextTokenizer

_WIDEST = 64
"""Tokens of a guess, at most."""
_CHEAP = 48
"""Tokens that a pass computes at little more cost than one."""
_ROOM = 32
"""By how many tokens, at least, the memory of an answer grows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What decoding may take."""

    most_tokens: int
    """Whose keys and values are kept at a time; one answer alone may take more."""
    pass_tokens: int
    """What one pass may compute; one token of each of its answers it always does."""


class Tail:
    """Keys and values of an answer, growing with it."""

    def __init__(self) -> None:
        self.capacity = 0
        """For how many tokens there is memory."""
        self.length = 0
        self._held = KeyValues()

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The whole of it."""
        return (Piece(self._held, 0, self.length),) if self.length else ()

    def append(self, made: KeyValues, start: int, end: int) -> None:
        """Copy a part of what a pass has made."""
        length = self.length + end - start
        if length > self.capacity:
            self.capacity = max(length, self.length + _ROOM)
        for number, (keys, values) in made.layers.items():
            old_keys, old_values = self._held.layers.get(number, (None, None))
            layer = self._roomy(old_keys, keys), self._roomy(old_values, values)
            for mine, new in zip(layer, (keys, values), strict=True):
                mine[:, :, self.length : length] = new[:, :, start:end]
            self._held.layers[number] = layer
        self.length = length

    def _roomy(self, old: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        """What is held, in memory for as many tokens as there is room for."""
        if old is not None and old.shape[2] == self.capacity:
            return old
        roomy = like.new_empty(*like.shape[:2], self.capacity, like.shape[3])
        if old is not None:
            roomy[:, :, : self.length] = old[:, :, : self.length]
        return roomy


@dataclass(slots=True, eq=False)
class Going:
    """An answer that goes on; its last token is not computed yet."""

    ask: TokenizedRequest
    reply: Reply
    pieces: tuple[Piece, ...]
    """Of its prompt and of its first tokens."""
    logprob: float | None
    """Mean, of the gold answer."""
    tail: Tail = field(default_factory=Tail)
    """Of its tokens after these."""
    width: int = 8
    """How many tokens to guess."""
    lookup: Lookup = field(init=False)

    def __post_init__(self) -> None:
        self.lookup = Lookup(self.ask.draft, self.ask.prompt.tolist())

    @property
    def computed(self) -> int:
        """How many tokens of its path have keys and values."""
        return sum(piece.end - piece.start for piece in (*self.pieces, *self.tail.pieces))

    def compact(self) -> None:
        """Make what it has quick to read; see `KeyValues.compact`."""
        for piece in self.pieces:
            piece.source.compact()

    def spill(self) -> None:
        """Let go of all keys and values; the next pass computes them again."""
        self.pieces, self.tail = (), Tail()

    def guess(self, tokenizer: TextTokenizer, width: int) -> list[int]:
        """What may come next: what the gold answer has left, or what followed before."""
        most = min(width, self.reply.room - 1)
        rest = self.reply.rest_of_gold()
        if rest is not None:
            return list(tokenizer.encode(rest + self.ask.request.stop))[:most]
        return self.lookup.guess(self.reply.tokens, most)

    def learn(self, guessed: int, held: int) -> None:
        """Guess more where guesses hold."""
        self.width = min(_WIDEST, 2 * self.width) if held == guessed else max(2, 2 * held)


def decode(
    runner: Runner,
    tokenizer: TextTokenizer,
    rows: Sequence[Going],
    *,
    held: int,
    limits: Limits,
    settled: Callable[[Going], bool],
) -> Iterator[Going]:
    """Decode answers until they are settled.

    Where their keys and values outgrow the limit, the last answers let go of theirs, and are
    computed again once the others are settled.

    Args:
        runner: Runs the model.
        tokenizer: The model's.
        rows: The answers.
        held: Of how many tokens keys and values are kept for their pieces.
        limits: What decoding may take.
        settled: Whether nothing more is wanted of an answer.

    Yields:
        Each answer as it is settled.
    """
    active, waiting = list(rows), list[Going]()
    while active or waiting:
        if not active:  # and so the pieces of all are gone
            active, waiting, held = *_admitted(waiting, limits.most_tokens), 0
        while len(active) > 1 and held + sum(map(_reach, active)) > limits.most_tokens:
            active[-1].spill()
            waiting.append(active.pop())
        still = []
        for batch in _batches(active, tokenizer, limits.pass_tokens):
            for row in _step(runner, batch):
                if settled(row):
                    yield row
                else:
                    still.append(row)
        active = still


def _reach(row: Going) -> int:
    """Tokens for which an answer has memory after the next pass."""
    return max(row.tail.capacity, row.tail.length + 1 + row.width)


def _admitted(waiting: list[Going], most_tokens: int) -> tuple[list[Going], list[Going]]:
    """Those that can be computed again together, the last to wait first, and the others."""
    size, count = 0, 0
    for row in reversed(waiting):
        size += row.ask.path.prompt + len(row.reply.tokens) + row.width
        if count and size > most_tokens:
            break
        count += 1
    return waiting[::-1][:count], waiting[: len(waiting) - count]


def _batches(
    rows: Sequence[Going], tokenizer: TextTokenizer, pass_tokens: int
) -> Iterator[list[tuple[Going, list[int]]]]:
    """Answers with their guesses, in passes."""
    batch: list[tuple[Going, list[int]]] = []
    size = 0
    spare = _CHEAP // len(rows)
    for row in rows:
        draft = row.guess(tokenizer, min(max(row.width, spare), pass_tokens - 1))
        left = row.ask.path.prompt + len(row.reply.tokens) - row.computed
        if batch and size + left + len(draft) > pass_tokens:
            yield batch
            batch, size = [], 0
        batch.append((row, draft))
        size += left + len(draft)
    yield batch


def _step(runner: Runner, batch: Sequence[tuple[Going, list[int]]]) -> Iterator[Going]:
    """Check the guesses of some answers in one pass."""
    segments = []
    for row, draft in batch:
        said = np.array((*row.reply.tokens, *draft), np.int32)
        path = np.concatenate((row.ask.prompt, said))
        pieces = (*row.pieces, *row.tail.pieces)
        segments.append(Segment(path, len(path) - row.computed, 1 + len(draft), pieces))
    made = KeyValues()
    predicted = runner.run(segments, made)
    start = 0
    for (row, draft), segment, each in zip(batch, segments, predicted, strict=True):
        end = start + segment.new
        held = follow(row.reply, each.best, draft)
        row.tail.append(made, start, end - len(draft) + held)
        row.learn(len(draft), held)
        start = end
        yield row

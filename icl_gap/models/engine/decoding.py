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

from icl_gap.models.engine.asks import Ask
from icl_gap.models.engine.drafts import Lookup
from icl_gap.models.engine.layout import KeyValues, Piece
from icl_gap.models.engine.passes import Runner, Segment
from icl_gap.models.engine.reply import Reply, follow
from icl_gap.models.tokenizer import TextTokenizer

_WIDEST = 64
"""Tokens of a guess, at most."""
_CHEAP = 48
"""Tokens that a pass computes at little more cost than one."""
_ROOM = 64
"""By how many tokens, at least, the memory of an answer grows."""


class Tail:
    """Keys and values of an answer, growing with it."""

    def __init__(self) -> None:
        self._held = KeyValues()
        self._length = 0

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The whole of it."""
        return (Piece(self._held, 0, self._length),) if self._length else ()

    def append(self, made: KeyValues, start: int, end: int) -> None:
        """Copy a part of what a pass has made."""
        length = self._length + end - start
        for number, layer in made.layers.items():
            old = self._held.layers.get(number)
            if old is None or old[0].shape[2] < length:
                old = self._held.layers[number] = (
                    _grown(old and old[0], layer[0], self._length, length),
                    _grown(old and old[1], layer[1], self._length, length),
                )
            for mine, new in zip(old, layer, strict=True):
                mine[:, :, self._length : length] = new[:, :, start:end]
        self._length = length


def _grown(old: torch.Tensor | None, like: torch.Tensor, used: int, wanted: int) -> torch.Tensor:
    room = max(wanted, 2 * used, _ROOM)
    grown = like.new_empty(*like.shape[:2], room, like.shape[3])
    if old is not None:
        grown[:, :, :used] = old[:, :, :used]
    return grown


@dataclass(slots=True, eq=False)
class Going:
    """An answer that goes on; its last token is not computed yet."""

    ask: Ask
    reply: Reply
    pieces: tuple[Piece, ...]
    """Of its prompt and of its tokens so far but the last."""
    logprob: float | None
    """Mean, of the gold answer."""
    tail: Tail = field(default_factory=Tail)
    width: int = 8
    """How many tokens to guess."""
    lookup: Lookup = field(init=False)

    def __post_init__(self) -> None:
        self.lookup = Lookup(self.ask.draft, self.ask.prompt)

    def guess(self, tokenizer: TextTokenizer, width: int) -> tuple[list[int], bool]:
        """What may come next, and whether that is what the gold answer has left."""
        most = min(width, self.reply.room - 1)
        rest = self.reply.rest_of_gold()
        if rest is not None:
            return list(tokenizer.encode(rest + self.ask.question.stop))[:most], True
        return self.lookup.guess(self.reply.tokens, most), False

    def learn(self, guessed: int, held: int) -> None:
        """Guess more where guesses hold."""
        self.width = min(_WIDEST, 2 * self.width) if held == guessed else max(2, 2 * held)


def decode(
    runner: Runner,
    tokenizer: TextTokenizer,
    rows: Sequence[Going],
    *,
    pass_tokens: int,
    settled: Callable[[Going], bool],
) -> Iterator[Going]:
    """Decode answers until they are settled.

    Args:
        runner: Runs the model.
        tokenizer: The model's.
        rows: The answers.
        pass_tokens: What one pass may compute.
        settled: Whether nothing more is wanted of an answer.

    Yields:
        Each answer as it is settled.
    """
    rows = list(rows)
    while rows:
        for batch in _batches(rows, tokenizer, pass_tokens):
            yield from filter(settled, _step(runner, batch))
        rows = [row for row in rows if not settled(row)]


@dataclass(frozen=True, slots=True)
class _Guess:
    row: Going
    draft: list[int]
    on_gold: bool


def _batches(
    rows: Sequence[Going], tokenizer: TextTokenizer, pass_tokens: int
) -> Iterator[list[_Guess]]:
    batch: list[_Guess] = []
    size = 0
    spare = _CHEAP // len(rows)
    for row in rows:
        guess = _Guess(row, *row.guess(tokenizer, max(row.width, spare)))
        if batch and size + 1 + len(guess.draft) > pass_tokens:
            yield batch
            batch, size = [], 0
        batch.append(guess)
        size += 1 + len(guess.draft)
    yield batch


def _step(runner: Runner, batch: Sequence[_Guess]) -> Iterator[Going]:
    """Check the guesses of some answers in one pass."""
    segments = []
    for guess in batch:
        row, new = guess.row, 1 + len(guess.draft)
        path = np.array((*row.ask.prompt, *row.reply.tokens, *guess.draft), np.int32)
        segments.append(Segment(path, new, new, (*row.pieces, *row.tail.pieces)))
    made = KeyValues()
    predicted = runner.run(segments, made)
    start = 0
    for guess, segment, each in zip(batch, segments, predicted, strict=True):
        held = follow(guess.row.reply, each.best, guess.draft, on_gold=guess.on_gold)
        guess.row.tail.append(made, start, start + 1 + held)
        guess.row.learn(len(guess.draft), held)
        start += segment.new
        yield guess.row

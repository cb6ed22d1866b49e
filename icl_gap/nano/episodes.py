"""Training episodes of nano models, each with a lexicon of its own.

An episode draws four verbs, two directions and their actions, then commands. Its text is that of a
prompt in which every exemplar has its answer. The loss covers all answers, so that one episode
trains every number of shots. The meaning of a word can be known only from earlier exemplars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icl_gap.nano.patterns import CommandPattern
from icl_gap.nano.training_recipe import Level
from icl_gap.nano.vocabulary import ACTIONS, SLOT_WORDS, WORDS
from icl_gap.prompts import Template

N_VERBS, N_DIRECTIONS = 4, 2

TokenArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of tokens for one step of training.

    All arrays have the shape (rows, length).
    """

    tokens: TokenArray
    learned: NDArray[np.bool_]
    """True where the loss covers the prediction of the token."""
    item: TokenArray
    """The item of its row that an answer's token belongs to, from 0; -1 outside answers."""
    known: NDArray[np.bool_]
    """True where all words of the answer were in an earlier item of the row."""


class Episodes:
    """Draws episodes from a set of patterns.

    Args:
        patterns: The patterns of commands.
        template: The template of prompts; its separator ends each answer.
        encode: A function from text to tokens.
    """

    def __init__(
        self,
        patterns: Sequence[CommandPattern],
        template: Template,
        encode: Callable[[str], list[int]],
    ) -> None:
        self._words = _singles(encode, WORDS)
        self._actions = _singles(encode, ACTIONS)
        opening = template.instruction + template.separator if template.instruction else ""
        self._start = np.array(encode(opening), dtype=np.int64)
        self._patterns = [_compile(pattern, template, encode) for pattern in patterns]
        self._weights = np.array([pattern.commands for pattern in patterns], dtype=np.float64)
        self._lengths = np.array([len(pattern.target) for pattern in patterns])

    def draw(self, rng: np.random.Generator, level: Level, *, repeats: float, few: float) -> Batch:
        """Draw the rows of one step.

        Args:
            rng: The random generator.
            level: The number and length of rows, and the longest answer; the last item of a row is
                cut off.
            repeats: The share of rows that are random sequences, repeated, from which models learn
                to copy.
            few: The share of these with few distinct tokens, in which the next token depends on
                several before it.

        Returns:
            The rows.
        """
        shape = (level.rows, level.length)
        batch = Batch(
            tokens=np.zeros(shape, np.int64),
            learned=np.zeros(shape, np.bool_),
            item=np.full(shape, -1, np.int64),
            known=np.zeros(shape, np.bool_),
        )
        allowed = np.flatnonzero(self._lengths <= level.longest)
        weights = self._weights[allowed]
        chances = np.cumsum(np.ones_like(weights) if level.even else weights)
        for row in range(level.rows):
            if rng.random() < repeats:
                self._repeat(rng, batch, row, few)
            else:
                self._episode(rng, batch, row, allowed, chances)
        return batch

    def _repeat(self, rng: np.random.Generator, batch: Batch, row: int, few: float) -> None:
        period = int(rng.integers(4, 21))
        tokens = np.concatenate([self._words, self._actions])
        if few and rng.random() < few:  # nothing drawn at 0: those recipes' rows stay as they were
            tokens = rng.choice(tokens, int(rng.integers(2, 9)), replace=False)
        sequence = rng.choice(tokens, period)
        batch.tokens[row] = np.resize(sequence, batch.tokens.shape[1])
        batch.learned[row, period:] = True

    def _episode(
        self,
        rng: np.random.Generator,
        batch: Batch,
        row: int,
        allowed: TokenArray,
        chances: NDArray[np.float64],
    ) -> None:
        tokens, length = batch.tokens[row], batch.tokens.shape[1]
        words, actions = self._lexicon(rng)
        tokens[: len(self._start)] = self._start
        place, item, shown = len(self._start), 0, 0
        while place < length:
            drawn = np.searchsorted(chances, rng.random() * chances[-1], side="right")
            source, target, used = self._patterns[allowed[drawn]]
            slots = rng.integers(0, N_VERBS, 4)
            slots[1::2] = N_VERBS + rng.integers(0, N_DIRECTIONS, 2)
            command = np.where(source < 0, words[slots[source % 4]], source)
            answer = np.where(target < 0, actions[slots[target % 4]], target)
            text = np.concatenate([command, answer])[: length - place]
            tokens[place : place + len(text)] = text
            start, end = place + len(command), place + len(text)
            batch.learned[row, start:end] = True
            batch.item[row, start:end] = item
            needs = sum({1 << int(slots[slot]) for slot in used})
            batch.known[row, start:end] = needs & ~shown == 0
            shown |= needs
            place, item = place + len(text), item + 1

    def _lexicon(self, rng: np.random.Generator) -> tuple[TokenArray, TokenArray]:
        """Draw the words and the actions of four verbs and two directions.

        At most one is a pair of SCAN's own, so that its lexicon is never drawn, nor most of it.
        """
        n = N_VERBS + N_DIRECTIONS
        while True:
            words = rng.permutation(len(WORDS))[:n]
            actions = rng.permutation(len(ACTIONS))[:n]
            own = (words == actions) & (words < len(SLOT_WORDS))
            if own.sum() <= 1:
                return self._words[words], self._actions[actions]


def _singles(encode: Callable[[str], list[int]], texts: Sequence[str]) -> TokenArray:
    """Return the tokens of words that are one token each."""
    return np.array([token for text in texts for token in encode(f" {text}")], dtype=np.int64)


def _compile(
    pattern: CommandPattern, template: Template, encode: Callable[[str], list[int]]
) -> tuple[TokenArray, TokenArray, tuple[int, ...]]:
    """Return a pattern as tokens; slot s becomes s - 4, below every token."""
    source = encode(template.source_label)
    for word in pattern.source:
        source += [word - 4] if isinstance(word, int) else encode(f" {word}")
    source += encode(f"\n{template.target_label}")
    target = [slot - 4 for slot in pattern.target] + encode(template.separator)
    used = tuple(sorted({s for s in (*pattern.source, *pattern.target) if isinstance(s, int)}))
    return np.array(source, np.int64), np.array(target, np.int64), used

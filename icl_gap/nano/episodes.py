"""What nano models learn from: episodes, each with a lexicon of its own.

An episode draws four verbs, two directions and what they stand for, then commands; its text is that
of a prompt whose every exemplar is answered. Loss falls on all answers, so that one episode trains
every number of shots. What a word means can be known only from the exemplars before it.

In a dialect, an episode's clauses swap their meanings too (`VERB opposite DIRECTION` may stand for
what `VERB around DIRECTION` does in SCAN). From these a model learns to look at its exemplars for
what a clause means, and not only at its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icl_gap.nano.patterns import Pattern, forms
from icl_gap.nano.words import ACTIONS, SLOT_WORDS, WORDS
from icl_gap.prompts import Template

N_VERBS, N_DIRECTIONS = 4, 2
DIALECT_FORMS = 6
"""How many forms of a clause an episode in a dialect holds: few, so that each comes often."""

Tokens = NDArray[np.int64]
Encode = Callable[[str], list[int]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of tokens for one step of training.

    All arrays have the shape (rows, length).
    """

    tokens: Tokens
    learned: NDArray[np.bool_]
    """Whether loss falls on the prediction of this token."""
    item: Tokens
    """Which item of its row an answer's token belongs to, from 0; -1 where it is no answer."""
    known: NDArray[np.bool_]
    """Whether earlier items of the row show all that the answer depends on: the item's words, and
    in a dialect its clauses."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern as tokens; slot s stands as s - 4, below every token."""

    source: Tokens
    clauses: tuple[tuple[int, int], ...]
    """The number of each one's form, and where its slots start, in the order of the actions."""
    slots: tuple[int, ...]
    """Those that it uses."""


@dataclass(frozen=True, slots=True)
class _Language:
    """What the words of an episode mean."""

    words: Tokens
    actions: Tokens
    programs: Sequence[Tokens]
    """Of each form, as slots of a first clause."""
    known_forms: int
    """The forms that mean what they mean in SCAN, as bits above those of the words."""
    patterns: Tokens
    """The numbers of the patterns that it is spoken in."""


class Episodes:
    """Draws episodes from a set of patterns.

    Args:
        patterns: What commands are made of, in proportion to how many commands each has.
        template: How prompts are written; the stop ends each answer.
        encode: From text to tokens.
    """

    def __init__(self, patterns: Sequence[Pattern], template: Template, encode: Encode) -> None:
        self._words = _singles(encode, WORDS)
        self._actions = _singles(encode, ACTIONS)
        self._start = np.array(
            encode(template.instruction + template.separator if template.instruction else ""),
            dtype=np.int64,
        )
        self._end = np.array(encode(template.separator), dtype=np.int64)
        self._patterns = [_compile(pattern, template, encode) for pattern in patterns]
        self._weights = np.array([pattern.commands for pattern in patterns], dtype=np.float64)
        self._longest = max(len(pattern.target) for pattern in patterns)
        self._programs = [np.array(form.target, dtype=np.int64) for form in forms()]
        used = [{form for form, _ in pattern.clauses} for pattern in self._patterns]
        self._uses = np.array([[form in one for form in range(len(forms()))] for one in used])
        self._counts = np.array(
            [np.bincount([f for f, _ in p.clauses], minlength=len(forms())) for p in self._patterns]
        )

    def draw(
        self,
        rng: np.random.Generator,
        *,
        rows: int,
        length: int,
        longest: int,
        repeats: float = 0.0,
        dialects: float = 0.0,
        evenly: bool = False,
    ) -> Batch:
        """Draw the rows of one step.

        Args:
            rng: The source of chance.
            rows: How many.
            length: Of a row, in tokens; its last item is cut off there.
            longest: The largest number of actions in an answer.
            repeats: The part of the rows that are random sequences, each repeated; copying is
                learned from these.
            dialects: The part of the episodes that are in a dialect.
            evenly: Draw each pattern as often as any other, however few commands it has.

        Returns:
            The rows.
        """
        batch = Batch(
            tokens=np.zeros((rows, length), np.int64),
            learned=np.zeros((rows, length), np.bool_),
            item=np.full((rows, length), -1, np.int64),
            known=np.zeros((rows, length), np.bool_),
        )
        weights = np.ones_like(self._weights) if evenly else self._weights
        standard = self._fitting(self._programs, longest)
        for row in range(rows):
            if rng.random() < repeats:
                self._repeat(rng, batch, row)
            elif dialects and rng.random() < dialects:
                self._episode(rng, batch, row, self._dialect(rng, longest), weights)
            else:
                language = _Language(*self._lexicon(rng), self._programs, -1, standard)
                self._episode(rng, batch, row, language, weights)
        return batch

    def _fitting(self, programs: Sequence[Tokens], longest: int) -> Tokens:
        """The patterns whose answers are not too long, nor longer than those of SCAN's meanings."""
        lengths = self._counts @ np.array([len(program) for program in programs])
        return np.flatnonzero(lengths <= min(longest, self._longest))

    def _dialect(self, rng: np.random.Generator, longest: int) -> _Language:
        """A few forms, each with the meaning of any form that has the same slots."""
        words, actions = self._lexicon(rng)
        common = np.flatnonzero(self._uses.any(axis=0))
        while True:
            chosen = rng.permutation(common)[:DIALECT_FORMS]
            programs = list(self._programs)
            for form in chosen:
                alike = [p for p in self._programs if set(p) == set(self._programs[form])]
                programs[form] = alike[rng.integers(len(alike))]
            outside = np.delete(self._uses, chosen, axis=1).any(axis=1)
            fitting = self._fitting(programs, longest)
            spoken = fitting[~outside[fitting]]
            if len(spoken):
                return _Language(words, actions, programs, 0, spoken)

    def _repeat(self, rng: np.random.Generator, batch: Batch, row: int) -> None:
        period = int(rng.integers(4, 21))
        unit = rng.choice(np.concatenate([self._words, self._actions]), period)
        batch.tokens[row] = np.resize(unit, batch.tokens.shape[1])
        batch.learned[row, period:] = True

    def _episode(
        self,
        rng: np.random.Generator,
        batch: Batch,
        row: int,
        language: _Language,
        weights: NDArray[np.float64],
    ) -> None:
        tokens, length = batch.tokens[row], batch.tokens.shape[1]
        chances = np.cumsum(weights[language.patterns])
        tokens[: len(self._start)] = self._start
        place, item, shown = len(self._start), 0, language.known_forms << (N_VERBS + N_DIRECTIONS)
        while place < length:
            drawn = np.searchsorted(chances, rng.random() * chances[-1], side="right")
            pattern = self._patterns[language.patterns[drawn]]
            slots = rng.integers(0, N_VERBS, 4)
            slots[1::2] = N_VERBS + rng.integers(0, N_DIRECTIONS, 2)
            asked = np.where(
                pattern.source < 0, language.words[slots[pattern.source % 4]], pattern.source
            )
            parts = [language.programs[form] + start for form, start in pattern.clauses]
            answer = language.actions[slots[np.concatenate(parts)]]
            text = np.concatenate([asked, answer, self._end])[: length - place]
            tokens[place : place + len(text)] = text
            start, end = place + len(asked), place + len(text)
            batch.learned[row, start:end] = True
            batch.item[row, start:end] = item
            needs = sum(
                {1 << int(slots[slot]) for slot in pattern.slots}
                | {1 << (N_VERBS + N_DIRECTIONS + form) for form, _ in pattern.clauses}
            )
            batch.known[row, start:end] = needs & ~shown == 0
            shown |= needs
            place, item = place + len(text), item + 1

    def _lexicon(self, rng: np.random.Generator) -> tuple[Tokens, Tokens]:
        """The words and the actions of four verbs and two directions.

        At most one of SCAN's own pairs is among them: its lexicon is never drawn, nor most of it.
        """
        n = N_VERBS + N_DIRECTIONS
        while True:
            words = rng.permutation(len(WORDS))[:n]
            actions = rng.permutation(len(ACTIONS))[:n]
            own = (words == actions) & (words < len(SLOT_WORDS))
            if own.sum() <= 1:
                return self._words[words], self._actions[actions]


def _singles(encode: Encode, words: Sequence[str]) -> Tokens:
    """The tokens of words that are one token each."""
    return np.array([token for word in words for token in encode(f" {word}")], dtype=np.int64)


def _compile(pattern: Pattern, template: Template, encode: Encode) -> _Pattern:
    numbers = {form.name: number for number, form in enumerate(forms())}
    source = encode(template.source_label)
    for word in pattern.source:
        source += [word - 4] if isinstance(word, int) else encode(f" {word}")
    source += encode(f"\n{template.target_label}")
    return _Pattern(
        source=np.array(source, np.int64),
        clauses=tuple((numbers[form], start) for form, start in pattern.clauses),
        slots=tuple(sorted({s for s in (*pattern.source, *pattern.target) if isinstance(s, int)})),
    )

"""The pool that exemplars are drawn from, indexed by primitive."""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Literal, NamedTuple

from icl_gap.records import Benchmark, Example, Split
from icl_gap.sampling.stream import rank

Tokenize = Callable[[str], Sequence[Hashable]]
Primitive = tuple[Literal["word", "token"], Hashable]
HoldOut = Literal["source", "template"]

_PLACEHOLDER = re.compile(r"\b([Mmx])\d+\b")
_RESERVED_SHARE = 64 / 256


def primitives(example: Example, tokenize: Tokenize) -> dict[Primitive, None]:
    """The distinct primitives of an example: words of its source, tokens of its target.

    Hosseini et al. 2022, section 3. A word and a token of the same spelling are two primitives.

    Returns:
        An ordered set: source words first, each kind in order of appearance.
    """
    found: dict[Primitive, None] = {("word", word): None for word in example.source.split()}
    found.update({("token", token): None for token in tokenize(example.target)})
    return found


def template(example: Example) -> str:
    """The target without the numbers of its placeholders and variables (`M1`, `m0`, `?x2`)."""
    return _PLACEHOLDER.sub(r"\1", example.target)


def is_reserved(example: Example) -> bool:
    """Whether `selection: shared` keeps this example for its exemplar sets.

    A hash of the source text sets a quarter of every split aside, so the division depends neither
    on how many queries are asked nor on the seed, and equal sources fall on the same side.
    """
    return rank("reserved", example.source)[0] < 256 * _RESERVED_SHARE


class Wants(NamedTuple):
    """The primitives of a query, as a pool knows them."""

    total: int
    """How many there are."""
    held: tuple[int, ...]
    """The numbers of those that some example of the pool holds, the rarest first; ties go to the
    one that comes first in the query."""


class Pool:
    """One side of a benchmark, ready to draw from. Immutable; its indexes are made on first use.

    Args:
        benchmark: The benchmark.
        split: Which of its sides.
        tokenize: Target text to tokens, for the primitives.
    """

    def __init__(self, benchmark: Benchmark, split: Split, tokenize: Tokenize = str.split) -> None:
        self.name = f"{benchmark.name}/{benchmark.split}/{split}"
        self.examples = benchmark.examples(split)
        self.tokenize = tokenize
        self._wants: dict[tuple[str, str], Wants] = {}

    def wants(self, query: Example) -> Wants:
        """What a query needs covered; found once, for all the seeds that ask it."""
        key = query.source, query.target
        if key not in self._wants:
            needed = primitives(query, self.tokenize)
            held = [number for each in needed if (number := self._numbers.get(each)) is not None]
            held.sort(key=lambda number: len(self.postings[number]))
            self._wants[key] = Wants(len(needed), tuple(held))
        return self._wants[key]

    @cached_property
    def postings(self) -> Sequence[Sequence[int]]:
        """For each number of a primitive, the positions of the examples that hold it, ascending."""
        postings = [array("I") for _ in self._numbers]
        for position, held in enumerate(self.primitives):
            for number in held:
                postings[number].append(position)
        return postings

    @property
    def primitives(self) -> Sequence[Sequence[int]]:
        """The primitives of each example, as numbers."""
        return self._numbered[1]

    @property
    def _numbers(self) -> Mapping[Primitive, int]:
        return self._numbered[0]

    @cached_property
    def _numbered(self) -> tuple[Mapping[Primitive, int], Sequence[Sequence[int]]]:
        """The numbers of primitives, in order of appearance, and those of each example."""
        numbers: defaultdict[Primitive, int] = defaultdict(count().__next__)
        of_examples = [
            tuple(map(numbers.__getitem__, primitives(example, self.tokenize)))
            for example in self.examples
        ]
        return dict(numbers), of_examples

    @cached_property
    def reserved(self) -> Sequence[int]:
        """The positions of the examples kept for shared exemplar sets."""
        return [i for i, example in enumerate(self.examples) if is_reserved(example)]

    def held_out(self, query: Example, hold_out: HoldOut) -> set[int]:
        """The positions that may not be exemplars of a query.

        Those of its id and of its source text; with `template`, also those whose target differs
        from the query's in nothing but the numbers of placeholders.
        """
        positions = {*self._by_id.get(query.id, ()), *self._by_source.get(query.source, ())}
        if hold_out == "template":
            positions.update(self._by_template.get(template(query), ()))
        return positions

    @cached_property
    def _by_id(self) -> Mapping[str, Sequence[int]]:
        return self._positions_by(lambda example: example.id)

    @cached_property
    def _by_source(self) -> Mapping[str, Sequence[int]]:
        return self._positions_by(lambda example: example.source)

    @cached_property
    def _by_template(self) -> Mapping[str, Sequence[int]]:
        return self._positions_by(template)

    def _positions_by(self, key: Callable[[Example], str]) -> Mapping[str, Sequence[int]]:
        positions: defaultdict[str, list[int]] = defaultdict(list)
        for position, example in enumerate(self.examples):
            positions[key(example)].append(position)
        return dict(positions)

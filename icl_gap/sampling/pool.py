"""The pool that exemplars are drawn from, indexed by primitive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icl_gap.errors import SamplingError
from icl_gap.programs.templates import program_template
from icl_gap.sampling.index import Index
from icl_gap.sampling.stream import rank
from icl_gap.schema import Benchmark, Example, Split

Tokenize = Callable[[str], Sequence[Hashable]]
Primitive = tuple[Literal["word", "token"], Hashable]
HoldOut = Literal["source", "template"]
Scores = NDArray[np.float32]
"""A number for each example of a pool."""
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to their embeddings, (n, d), rows of unit length."""

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
        structures: Target text to its local structures, for `cover_ls`; by default its
            words.
        embed: Texts to their embeddings, for `embedding`.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        split: Split,
        tokenize: Tokenize = str.split,
        structures: Tokenize = str.split,
        embed: Embed | None = None,
    ) -> None:
        self.name = f"{benchmark.name}/{benchmark.split}/{split}"
        self.examples = benchmark.examples(split)
        self.tokenize = tokenize
        self.structures_of = structures
        self._embed = embed
        self._wants: dict[tuple[str, str], Wants] = {}
        self._scored: tuple[str | None, Scores] = (None, np.zeros(0, np.float32))
        """The last query's source and its scores, of which a pool of CFQ's has 400 kB each."""

    def wants(self, query: Example) -> Wants:
        """What a query needs covered; found once, for all the seeds that ask it."""
        key = query.source, query.target
        if key not in self._wants:
            needed = primitives(query, self.tokenize)
            self._wants[key] = Wants(len(needed), tuple(self.primitives.held(needed)))
        return self._wants[key]

    @cached_property
    def primitives(self) -> Index:
        """The examples by their primitives."""
        return Index(primitives(example, self.tokenize) for example in self.examples)

    @cached_property
    def words(self) -> Index:
        """The examples by the words of their sources."""
        return Index(dict.fromkeys(example.source.split()) for example in self.examples)

    @cached_property
    def structures(self) -> Index:
        """The examples by the local structures of their targets."""
        return Index(dict.fromkeys(self.structures_of(e.target)) for e in self.examples)

    def relevance(self, query: Example) -> Scores:
        """How well the source of each example fits a query's, by BM25 of their words."""
        source, scores = self._scored
        if source != query.source:
            words = query.source.split()
            # bm25s takes neither a query nor a pool without words
            some = bool(words) and bool(self.lengths.any())
            scores = self._bm25.get_scores(words) if some else np.zeros_like(self.lengths)
            self._scored = query.source, scores
        return scores

    def likeness(self, query: Example) -> Scores:
        """How alike the source of each example and a query's are, by the cosine of embeddings.

        To six decimals: beyond these it may differ with what is embedded together.

        Raises:
            SamplingError: There is nothing to embed with.
        """
        if not self.examples:
            return np.zeros(0, np.float32)
        (vector,) = self._embedded([query.source])
        scores: Scores = np.round(self._vectors @ vector, 6)
        return scores

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        return self._embedded([example.source for example in self.examples])

    def _embedded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self._embed is None:
            raise SamplingError(
                "there is nothing to embed with",
                value="selection: embedding",
                allowed="a function `embed`, from texts to vectors of unit length",
            )
        return self._embed(texts)

    @cached_property
    def _bm25(self) -> Any:
        import bm25s

        found = bm25s.BM25()
        found.index([example.source.split() for example in self.examples], show_progress=False)
        return found

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """Of all examples."""
        return np.arange(len(self.examples))

    @cached_property
    def lengths(self) -> Scores:
        """The number of words of each example's source."""
        return np.array([len(e.source.split()) for e in self.examples], np.float32)

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
            positions.update(self._by_template.get(program_template(query.target), ()))
        return positions

    @cached_property
    def _by_id(self) -> Mapping[str, Sequence[int]]:
        return self._positions_by(lambda example: example.id)

    @cached_property
    def _by_source(self) -> Mapping[str, Sequence[int]]:
        return self._positions_by(lambda example: example.source)

    @cached_property
    def _by_template(self) -> Mapping[str, Sequence[int]]:
        return self._positions_by(lambda example: program_template(example.target))

    def _positions_by(self, key: Callable[[Example], str]) -> Mapping[str, Sequence[int]]:
        positions: defaultdict[str, list[int]] = defaultdict(list)
        for position, example in enumerate(self.examples):
            positions[key(example)].append(position)
        return dict(positions)

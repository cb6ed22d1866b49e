"""The pool that exemplars are drawn from, with its indexes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from icl_gap.errors import SamplingError
from icl_gap.programs.templates import program_template
from icl_gap.sampling.index import InvertedIndex
from icl_gap.sampling.stream import rank
from icl_gap.schema import Benchmark, Example, Split

Tokenize = Callable[[str], Sequence[Hashable]]
Primitive = tuple[Literal["word", "token"], Hashable]
HoldOut = Literal["source", "template"]
Scores = NDArray[np.float32]
"""One score for each example of a pool, (n,)."""
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""A function from n texts to their embeddings, (n, d), with rows of unit length."""

_RESERVED_SHARE = 64 / 256


def primitives(example: Example, tokenize: Tokenize) -> dict[Primitive, None]:
    """Return the distinct primitives of an example: words of its source, tokens of its target.

    Hosseini et al. 2022, section 3. A word and a token of the same spelling are two primitives.

    Returns:
        An ordered set: words of the source, then tokens of the target, in order of appearance.
    """
    found: dict[Primitive, None] = {("word", word): None for word in example.source.split()}
    found.update({("token", token): None for token in tokenize(example.target)})
    return found


def is_reserved(example: Example) -> bool:
    """Return whether `selection: shared` reserves this example for its exemplar sets.

    A hash of the source text reserves a quarter of every split. So the division depends neither on
    the number of queries nor on the seed, and equal sources fall on the same side.
    """
    return rank("reserved", example.source)[0] < 256 * _RESERVED_SHARE


def word_pairs(target: str) -> Sequence[Hashable]:
    """Return the pairs of neighbouring words of a target."""
    return list(pairwise(target.split()))


class QueryPrimitives(NamedTuple):
    """The primitives of a query, and those of them that a pool holds."""

    total: int
    """The number of primitives of the query."""
    held: tuple[int, ...]
    """The numbers of the primitives that some example of the pool holds, the rarest first; equally
    rare ones in the order of the query."""


class Pool:
    """One side of a benchmark to draw exemplars from, immutable, with indexes made on first use.

    Args:
        benchmark: The benchmark.
        split: The side.
        tokenize: A function from a target to its tokens, for the primitives.
        structures: A function from a target to its local structures, for `cover_ls`; by default
            its words.
        embed: A function from texts to their embeddings, for `embedding`.
        pairs: A function from a target to its local structures of two nodes, for `ood_matched`; by
            default the pairs of neighbouring words.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        split: Split,
        tokenize: Tokenize = str.split,
        structures: Tokenize = str.split,
        embed: Embed | None = None,
        *,
        pairs: Tokenize = word_pairs,
    ) -> None:
        self.name = f"{benchmark.name}/{benchmark.split}/{split}"
        self.examples = benchmark.examples(split)
        self.tokenize = tokenize
        self.structures_of = structures
        self.pairs_of = pairs
        self._embed = embed
        self._query_primitives: dict[tuple[str, str], QueryPrimitives] = {}
        self._shuffled_postings: dict[tuple[InvertedIndex, int], NDArray[np.int64]] = {}
        self._scored: tuple[str | None, Scores] = (None, np.zeros(0, np.float32))
        """The last query's source and its scores (400 kB for a pool of CFQ)."""

    def query_primitives(self, query: Example) -> QueryPrimitives:
        """Return the primitives of a query, computed once for all seeds."""
        key = query.source, query.target
        if key not in self._query_primitives:
            needed = primitives(query, self.tokenize)
            held = tuple(self.primitive_index.held(needed))
            self._query_primitives[key] = QueryPrimitives(len(needed), held)
        return self._query_primitives[key]

    @cached_property
    def primitive_index(self) -> InvertedIndex:
        """The index of the examples by their primitives."""
        return InvertedIndex(primitives(example, self.tokenize) for example in self.examples)

    @cached_property
    def word_index(self) -> InvertedIndex:
        """The index of the examples by the words of their sources."""
        return InvertedIndex(dict.fromkeys(example.source.split()) for example in self.examples)

    @cached_property
    def structure_index(self) -> InvertedIndex:
        """The index of the examples by the local structures of their targets."""
        return InvertedIndex(dict.fromkeys(self.structures_of(e.target)) for e in self.examples)

    @cached_property
    def pair_index(self) -> InvertedIndex:
        """The index of the examples by the local structures of two nodes of their targets."""
        return InvertedIndex(dict.fromkeys(self.pairs_of(e.target)) for e in self.examples)

    def relevance(self, query: Example) -> Scores:
        """Return the BM25 score of each example's source for the words of a query's source."""
        source, scores = self._scored
        if source != query.source:
            words = query.source.split()
            # bm25s takes neither a query nor a pool without words
            some = bool(words) and bool(self.lengths.any())
            scores = self._bm25.get_scores(words) if some else np.zeros_like(self.lengths)
            self._scored = query.source, scores
        return scores

    def similarity(self, query: Example) -> Scores:
        """Return the cosine between the embeddings of each example's source and a query's.

        It is rounded to six decimals: further ones can depend on the batch of texts.

        Raises:
            SamplingError: The pool has no function `embed`.
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
        """The positions of all examples."""
        return np.arange(len(self.examples))

    @cached_property
    def lengths(self) -> Scores:
        """The number of words of each example's source."""
        return np.array([len(e.source.split()) for e in self.examples], np.float32)

    @cached_property
    def shuffled(self) -> NDArray[np.int64]:
        """The positions of all examples, in the order of a hash of their ids."""
        ids = [rank("shuffled", example.id) for example in self.examples]
        return np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)

    def shuffled_posting(self, index: InvertedIndex, number: int) -> NDArray[np.int64]:
        """Return where the examples that hold an item stand in `shuffled`, in ascending order."""
        key = index, number
        if key not in self._shuffled_postings:
            places = np.sort(self._shuffled_places[np.asarray(index.postings[number])])
            self._shuffled_postings[key] = places
        return self._shuffled_postings[key]

    @cached_property
    def _shuffled_places(self) -> NDArray[np.int64]:
        return np.argsort(self.shuffled)

    @cached_property
    def target_lengths(self) -> NDArray[np.int32]:
        """The number of words of each example's target."""
        return np.array([len(e.target.split()) for e in self.examples], np.int32)

    @cached_property
    def reserved(self) -> Sequence[int]:
        """The positions of the examples that are reserved for shared exemplar sets."""
        return [i for i, example in enumerate(self.examples) if is_reserved(example)]

    def held_out(self, query: Example, hold_out: HoldOut) -> set[int]:
        """Return the positions that may not be exemplars of a query.

        These have its id or its source text; with `template`, also a target that differs from the
        query's only in the numbers of placeholders.
        """
        positions = {*self._by_id.get(query.id, ()), *self._by_source.get(query.source, ())}
        if hold_out == "template":
            positions.update(self._by_template.get(program_template(query.target), ()))
        return positions

    def positions_of(self, ids: Iterable[str]) -> list[int]:
        """Return the positions of the examples with some ids."""
        return [self._by_id[id_][0] for id_ in ids]

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

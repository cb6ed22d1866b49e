"""Selection strategies: the order in which examples of a pool become exemplars of a query.

Each strategy is a function of the pool, the query, the positions already taken (at first, those
held out) and a random stream. It yields positions in the pool that are not taken and adds them to
those taken. So k shots are the first k of k + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from icl_gap.programs.templates import program_template
from icl_gap.sampling.index import InvertedIndex
from icl_gap.sampling.pool import Pool, Scores
from icl_gap.sampling.stream import Stream
from icl_gap.schema import Example

Selection = Literal[
    "oracle_coverage",
    "random",
    "shared",
    "bm25",
    "embedding",
    "cover_utterance",
    "cover_ls",
    "dpp",
    "length",
]
SHARING: frozenset[Selection] = frozenset({"shared"})
"""Selections that show all queries of a cell the same exemplars."""
Strategy = Callable[[Pool, Example, set[int], Stream], Iterator[int]]

CANDIDATES = 100
"""The number of candidates of a DPP: the examples with the best BM25 scores."""
_LEAST = 1e-6
"""The least that an example must add to a DPP's volume."""


def oracle_coverage(pool: Pool, query: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Cover the query's primitives, then draw uniformly; Hosseini et al. 2022, section 3.

    Repeat: take the rarest primitive of the query that is not yet covered and draw uniformly among
    the examples of the pool that hold it. Rarity is the number of examples that hold a primitive;
    of equally rare ones, the first in the query counts. Once all are covered, draw uniformly.
    """
    held = pool.query_primitives(query).held
    needed = set(held)
    for rarest in held:
        if rarest not in needed:
            continue
        # There may be none: only examples that are held out have it.
        for position in islice(_untaken(pool.primitive_index.postings[rarest], taken, stream), 1):
            yield position
            needed.difference_update(pool.primitive_index.items[position])
    yield from _untaken(range(len(pool.examples)), taken, stream)


def uniform(pool: Pool, _: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Draw uniformly."""
    return _untaken(range(len(pool.examples)), taken, stream)


def shared(pool: Pool, _: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Draw uniformly from the examples reserved for sets that all queries share."""
    return _untaken(pool.reserved, taken, stream)


def bm25(pool: Pool, query: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Take examples by falling BM25 score, equal ones at random."""
    return _ranked(pool.positions, pool.relevance(query), taken, stream)


def embedding(pool: Pool, query: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Take examples by falling cosine of their embeddings with the query's; ties at random."""
    return _ranked(pool.positions, pool.similarity(query), taken, stream)


def length(pool: Pool, query: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Take examples by the difference between their length in words and the query's."""
    near = -np.abs(pool.lengths - len(query.source.split()))
    return _ranked(pool.positions, near, taken, stream)


def cover_utterance(pool: Pool, query: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Cover the words of the query's source, then as `bm25`; Cover-Utt of Levy et al. 2022."""
    held = pool.word_index.held(dict.fromkeys(query.source.split()))
    yield from _covering(pool, query, taken, stream, index=pool.word_index, held=held)
    yield from bm25(pool, query, taken, stream)


def cover_ls(pool: Pool, query: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Cover the local structures of the gold target, then as `bm25`; Cover-LS with an oracle."""
    held = pool.structure_index.held(dict.fromkeys(pool.structures_of(query.target)))
    yield from _covering(pool, query, taken, stream, index=pool.structure_index, held=held)
    yield from bm25(pool, query, taken, stream)


def dpp(pool: Pool, query: Example, taken: set[int], stream: Stream) -> Iterator[int]:
    """Take relevant and diverse examples: greedily, the largest gain in a DPP's volume.

    Chen et al. 2018, arXiv 1709.05135, algorithm 1. The kernel is the cosine of two sources' words,
    weighted by their rarity, times the relevance of each (BM25, relative to the best). Candidates
    are the `CANDIDATES` most relevant. Once nothing adds to the volume, as `bm25`.
    """
    candidates = list(islice(bm25(pool, query, set(taken), stream), CANDIDATES))
    for place in _greedy_map(_kernel(pool, candidates, pool.relevance(query))):
        taken.add(candidates[place])
        yield candidates[place]
    yield from bm25(pool, query, taken, stream)


STRATEGIES: Mapping[Selection, Strategy] = MappingProxyType(
    {
        "oracle_coverage": oracle_coverage,
        "random": uniform,
        "shared": shared,
        "bm25": bm25,
        "embedding": embedding,
        "cover_utterance": cover_utterance,
        "cover_ls": cover_ls,
        "dpp": dpp,
        "length": length,
    }
)


def _covering(
    pool: Pool,
    query: Example,
    taken: set[int],
    stream: Stream,
    *,
    index: InvertedIndex,
    held: Sequence[int],
) -> Iterator[int]:
    """For each item that is not yet covered, in order, take the most relevant example with it.

    Levy et al. 2022, algorithm 1: no two examples with the same program template are taken.
    """
    needed, scores = set(held), pool.relevance(query)
    barred, templates = set(taken), set[str]()
    for item in held:
        if item not in needed:
            continue
        for position in _ranked(index.postings[item], scores, barred, stream):
            template = program_template(pool.examples[position].target)
            if template not in templates:
                templates.add(template)
                taken.add(position)
                yield position
                needed.difference_update(index.items[position])
                break


def _untaken(positions: Sequence[int], taken: set[int], stream: Stream) -> Iterator[int]:
    """Yield the positions that are not taken in random order, and add each to `taken`.

    A Fisher-Yates shuffle that stores only the entries it has moved, so that drawing ten of a
    hundred thousand costs ten draws.
    """
    moved: dict[int, int] = {}
    for index in range(len(positions)):
        other = index + stream.below(len(positions) - index)
        position = positions[moved.get(other, other)]
        moved[other] = moved.get(index, index)
        if position not in taken:
            taken.add(position)
            yield position


def _ranked(
    positions: Sequence[int] | NDArray[np.int64], scores: Scores, taken: set[int], stream: Stream
) -> Iterator[int]:
    """Yield the positions by falling score, equal ones at random; add each to `taken`."""
    here = np.asarray(positions)
    for equals in _falling(scores[here]):
        yield from _untaken(here[equals].tolist(), taken, stream)


def _falling(scores: Scores) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of the best score, then of the next best, and so on.

    Callers take few of them, so the best 64 are sorted first, then eight times as many, and so on.
    """
    above, wanted = np.inf, 64
    while above > -np.inf:
        least = -np.inf if wanted >= len(scores) else np.partition(scores, -wanted)[-wanted]
        some = np.flatnonzero((scores >= least) & (scores < above))
        order = some[np.argsort(-scores[some], kind="stable")]
        breaks = np.flatnonzero(np.diff(scores[order])) + 1
        yield from np.split(order, breaks)
        above, wanted = least, 8 * wanted


def _kernel(pool: Pool, candidates: Sequence[int], scores: Scores) -> NDArray[np.float64]:
    words = sorted(
        {number for position in candidates for number in pool.word_index.items[position]}
    )
    place = {number: n for n, number in enumerate(words)}
    rarity = [np.log1p(len(pool.examples) / len(pool.word_index.postings[each])) for each in words]
    vectors = np.zeros((len(candidates), len(words)))
    for row, position in enumerate(candidates):
        columns = [place[number] for number in pool.word_index.items[position]]
        vectors[row, columns] = np.take(rarity, columns)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _LEAST)
    fit = scores[list(candidates)].astype(np.float64)
    vectors *= (fit / max(fit.max(initial=0.0), _LEAST))[:, None]
    return np.asarray(vectors @ vectors.T)


def _greedy_map(kernel: NDArray[np.float64]) -> Iterator[int]:
    """Yield the rows of a kernel, each the one that adds most to the volume of those before it."""
    gains = np.diagonal(kernel).copy()
    parts = np.zeros((0, len(kernel)))
    while len(parts) < len(kernel):
        best = int(gains.argmax())
        if gains[best] < _LEAST:
            return
        yield best
        part = (kernel[best] - parts[:, best] @ parts) / np.sqrt(gains[best])
        parts = np.vstack([parts, part])
        gains = gains - part**2
        gains[best] = -np.inf

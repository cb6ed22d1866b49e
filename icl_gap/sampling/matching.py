"""OOD exemplars that cover a query as the exemplars of its ID twin do (`ood_matched`).

The k-th exemplar is the candidate with which the coverage after k exemplars comes nearest to that
of the twin's first k; of equally near ones, one at random. So k shots are the first k of k + 1
shots, and the coverage follows the twin's at every number of shots.

Candidates are one block of the pool, drawn at random, and all holders of the query's rare items. A
pool is shuffled by a hash and cut into blocks of at most `BLOCK` examples, so that a query costs
the same, 3 to 4 ms, in a pool of ten thousand or of a hundred thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icl_gap.sampling.index import InvertedIndex
from icl_gap.sampling.pool import Pool
from icl_gap.sampling.stream import Stream
from icl_gap.schema import Example

TOLERANCE = 0.05
"""Largest difference in each share of `Cover` at which a query counts as matched."""
BLOCK = 8192
"""Most examples of a block of candidates."""
RARE = 32
"""Most holders of an item that are all candidates, in whichever block they are."""
_DECIMALS = 6


class Cover(NamedTuple):
    """Coverage of a query by its exemplars."""

    source: float
    """Share of the distinct words of its source that they hold, in [0, 1]; 1 if there is none."""
    target: float
    """Share of the distinct tokens of its target, as the pool's `tokenize` cuts it."""
    structures: float
    """Share of its target's local structures of two nodes."""
    longer: bool
    """True if its target has more words than any exemplar's."""

    def matches(self, twin: Cover) -> bool:
        """Return whether each share is within `TOLERANCE` of the twin's, and `longer` equal."""
        shares = zip(self[:3], twin[:3], strict=True)
        near = all(round(abs(a - b), _DECIMALS) <= TOLERANCE for a, b in shares)
        return near and self.longer == twin.longer


class _Items(NamedTuple):
    """Items of one kind of a query that a pool holds: words, tokens or structures."""

    inverted: InvertedIndex
    held: Sequence[int]
    """Numbers of the items that the pool holds."""
    total: int
    """Number of the query's items."""

    def share(self, n: int) -> float:
        """Return the share of n items; 1 if the query has none."""
        return n / self.total if self.total else 1.0


def covers(pool: Pool, query: Example, positions: Sequence[int]) -> list[Cover]:
    """Return the coverage of a query by the first 1, 2, … of some examples of a pool."""
    groups = _items(pool, query)
    missing = [set(group.held) for group in groups]
    wanted, longest, found = len(query.target.split()), 0, []
    held = [0] * len(groups)
    for position in positions:
        for number, group in enumerate(groups):
            before = len(missing[number])
            missing[number].difference_update(group.inverted.items[position])
            held[number] += before - len(missing[number])
        longest = max(longest, int(pool.target_lengths[position]))
        source, target, structures = (group.share(n) for group, n in zip(groups, held, strict=True))
        found.append(Cover(source, target, structures, longer=wanted > longest))
    return found


def nearest_cover(
    pool: Pool, query: Example, twin: Sequence[Cover], taken: set[int], stream: Stream
) -> Iterator[int]:
    """Yield positions in a pool whose coverage follows a twin's.

    The distance is the sum of the differences in the three shares, and 1 if `longer` differs.

    Args:
        pool: The pool.
        query: The query.
        twin: Coverage after 1, 2, … exemplars of the twin; as many positions are yielded, unless
            there are fewer candidates.
        taken: Positions that may not be exemplars.
        stream: The random stream of the query.
    """
    groups = _items(pool, query)
    candidates, tables = _candidates(pool, groups, stream)
    lengths, wanted, longest = pool.target_lengths[candidates], len(query.target.split()), 0
    allowed = ~np.isin(candidates, list(taken))
    gains = [table.sum(axis=0) for table in tables]
    held = [0] * len(groups)
    for goal in twin:
        if not allowed.any():
            return
        short = np.maximum(lengths, longest) < wanted
        far = np.where(short == goal.longer, 0.0, 1.0)
        for group, gain, n, share in zip(groups, gains, held, goal[:3], strict=True):
            far += _differences(group, n, share)[gain]
        far = np.where(allowed, np.round(far, _DECIMALS), np.inf)
        ties = np.flatnonzero(far == far.min())
        chosen = int(ties[stream.below(len(ties))])
        yield int(candidates[chosen])
        allowed[chosen] = False
        longest = max(longest, int(lengths[chosen]))
        for number, table in enumerate(tables):
            new = table[:, chosen] > 0
            held[number] += int(new.sum())
            gains[number] -= table[new].sum(axis=0)
            table[new] = 0


def _items(pool: Pool, query: Example) -> list[_Items]:
    words = [("word", word) for word in dict.fromkeys(query.source.split())]
    tokens = [("token", token) for token in dict.fromkeys(pool.tokenize(query.target))]
    pairs = dict.fromkeys(pool.pairs_of(query.target))
    return [
        _Items(index, index.held(items), len(items))
        for index, items in (
            (pool.primitive_index, words),
            (pool.primitive_index, tokens),
            (pool.pair_index, pairs),
        )
    ]


def _candidates(
    pool: Pool, groups: Sequence[_Items], stream: Stream
) -> tuple[NDArray[np.int64], list[NDArray[np.int16]]]:
    """Draw the candidates, and look up which items each of them holds.

    Returns:
        Their (C,) positions; and for each kind of items, an (items, C) table of zeros and ones.
    """
    n = len(pool.examples)
    blocks = -(-n // BLOCK)
    block = stream.below(blocks) if blocks > 1 else 0
    start, stop = (block * n // blocks, (block + 1) * n // blocks) if n else (0, 0)
    postings = [
        [pool.shuffled_posting(group.inverted, item) for item in group.held] for group in groups
    ]
    rare = [each for some in postings for each in some if len(each) <= RARE]
    others = np.unique(np.concatenate([*rare, np.zeros(0, np.int64)]))
    others = others[(others < start) | (others >= stop)]
    places = np.concatenate([np.arange(start, stop), others])
    tables = []
    for some in postings:
        table = np.zeros((len(some), len(places)), np.int16)
        for row, posting in zip(table, some, strict=True):
            low, high = np.searchsorted(posting, [start, stop])
            row[posting[low:high] - start] = 1
            row[stop - start :] = _holds(posting, others)
        tables.append(table)
    return pool.shuffled[places], tables


def _holds(sorted_: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each value is in a sorted array that is not empty; `np.isin` is slower."""
    found = np.searchsorted(sorted_, values)
    return np.asarray(sorted_[np.minimum(found, len(sorted_) - 1)] == values)


def _differences(group: _Items, held: int, share: float) -> NDArray[np.float64]:
    """Return the difference from a share after 0, 1, … more items are held."""
    shares = [group.share(held + more) for more in range(len(group.held) + 1)]
    return np.abs(np.array(shares) - share)

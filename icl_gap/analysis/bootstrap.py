"""The paired bootstrap over queries and seeds.

Queries and seeds are crossed: every query is asked under every seed. Both are resampled with
replacement, each by itself, and a request counts as often as its query times its seed was drawn
(the pigeonhole bootstrap: Owen 2007, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2),
386-411, section 3). Intervals are about exact where queries differ from each other, and too wide
where outcomes are mostly chance within a query (same paper, section 4: the bootstrap counts that
chance up to three times). Few seeds say little of the spread between seeds, and one says nothing:
with S of them the bootstrap sees (S - 1) / S of its variance.

The same draws serve ID and OOD, and every model that was asked the same queries under the same
seeds: the random streams are derived from the draws' own coordinates, never from the model.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from icl_gap.analysis.pairing import Floats, Paired
from icl_gap.records import Split

CHUNK = 2_000_000
"""Most weights held at a time, so that memory does not grow with the number of resamples."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Accuracies under B resamples; NaN where a resample holds no answered request."""

    a_id: Floats
    """(B,)"""
    a_ood: Floats
    """(B,)"""


def draw(blocks: Sequence[Paired], *, resamples: int, seed: int) -> list[Draws]:
    """Resample paired outcomes.

    Resample b of a block has A*_b = sum_sq u_bs v_bq m_sq y_sq / sum_sq u_bs v_bq m_sq, where u and
    v count how often seed s and query q were drawn, m is 1 for an answered request, and y for a
    hit.

    Args:
        blocks: What to resample; blocks of the same queries share their query weights.
        resamples: B.
        seed: Of the whole analysis.

    Returns:
        The draws of each block, in the order of `blocks`. All counts are small integers, so the
        numbers do not depend on chunks, threads or the order of sums.
    """
    sums = [np.empty((resamples, 3)) for _ in blocks]
    streams: dict[tuple[str, str, Split, tuple[str, ...]], list[int]] = defaultdict(list)
    for n, block in enumerate(blocks):
        key = (block.subject.dataset, block.subject.split, block.query_split, block.query_ids)
        streams[key].append(n)
    for (*where, query_ids), members in streams.items():
        stacks = {n: _stack(blocks[n]) for n in members}
        seed_weights = {n: _seed_weights(blocks[n], resamples, seed) for n in members}
        generator = _generator(seed, *where, query_ids)
        for rows, weights in _chunks(generator, resamples, len(query_ids)):
            for n in members:
                by_seed = (weights @ stacks[n]).reshape(len(weights), 3, -1)
                sums[n][rows] = np.einsum("bks,bs->bk", by_seed, seed_weights[n][rows])
    return [_accuracies(total) for total in sums]


def interval(
    values: Floats, confidence: float, *, worst: tuple[float, float]
) -> tuple[float, float]:
    """A percentile interval (Efron & Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13).

    Its ends are the r-th smallest and the r-th largest value, r = (1 - confidence) / 2 * B. Where a
    resample has no value (NaN), it counts as `worst` at both ends, so it can only widen the
    interval.

    Args:
        values: (B,), one for each resample.
        confidence: In (0, 1).
        worst: What a missing value counts as, at the low and at the high end.
    """
    rank = max(1, round((1 - confidence) / 2 * len(values)))
    missing = np.isnan(values)
    low = np.partition(np.where(missing, worst[0], values), rank - 1)[rank - 1]
    high = np.partition(np.where(missing, worst[1], values), -rank)[-rank]
    return float(low), float(high)


def _stack(block: Paired) -> Floats:
    """(Q, 3 S): hits ID, hits OOD and answered, side by side."""
    return np.concatenate([block.hits_id, block.hits_ood, block.answered]).T.copy()


def _seed_weights(block: Paired, resamples: int, seed: int) -> Floats:
    """(B, S). Both query splits of a benchmark have the same ones, so that they pool jointly."""
    generator = _generator(seed, block.subject.dataset, block.subject.split, block.seeds)
    return _weights(generator, resamples, len(block.seeds))


def _chunks(
    generator: np.random.Generator, resamples: int, n: int
) -> Iterator[tuple[slice, Floats]]:
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        yield slice(start, stop), _weights(generator, stop - start, n)


def _weights(generator: np.random.Generator, rows: int, n: int) -> Floats:
    """(rows, n): how often each of n things is drawn in n draws with replacement."""
    drawn = generator.integers(n, size=(rows, n)) + np.arange(rows)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _generator(*coordinates: object) -> np.random.Generator:
    digest = hashlib.sha256(json.dumps(coordinates).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def _accuracies(sums: Floats) -> Draws:
    answered = np.where(sums[:, 2] > 0, sums[:, 2], np.nan)
    return Draws(sums[:, 0] / answered, sums[:, 1] / answered)

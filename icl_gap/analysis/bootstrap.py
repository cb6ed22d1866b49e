"""The paired bootstrap over queries and, where these matter, over seeds.

Where each query has exemplars of its own, drawn from the seed and the query's id, seeds are only
further draws within a query: queries are resampled with replacement, each with all its requests
(the cluster bootstrap: Davison & Hinkley 1997, "Bootstrap Methods and their Application", 3.8).

Where all queries of a cell share their exemplars, a lucky set lifts them all, and seeds are crossed
with queries. Resampling both by their weights' product (the pigeonhole bootstrap: Owen 2007, Annals
of Applied Statistics 1(2), 386-411) counts the chance within a request up to three times. Here the
two are added instead,

    A* = A*_queries + c sqrt(k) (A*_seeds - A),    k = max(0, 1 - MS_error / MS_seeds) S / (S - 1),

MS being the mean squares of the two-way analysis of variance: of the spread between seeds only that
part is kept which the chance within requests does not explain. c is the quotient of Student's and
the normal quantile for S - 1 degrees of freedom, since few seeds say little of their spread; one
says nothing. `tests/analysis/test_calibration.py` shows how often intervals hold the truth.

The same draws serve ID and OOD, and every model that was asked the same queries under the same
seeds: the random streams are derived from the draws' own coordinates, never from the model.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats

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


def draw(blocks: Sequence[Paired], *, resamples: int, seed: int, confidence: float) -> list[Draws]:
    """Resample paired outcomes.

    Args:
        blocks: What to resample; blocks of the same queries share their query weights.
        resamples: B.
        seed: Of the whole analysis.
        confidence: Of the intervals that are made from the draws; see the module.

    Returns:
        The draws of each block, in the order of `blocks`. All counts are small integers, so the
        numbers do not depend on chunks, threads or the order of sums.
    """
    sums = np.empty((len(blocks), resamples, 3))
    streams: dict[tuple[str, str, Split, tuple[str, ...]], list[int]] = defaultdict(list)
    for n, block in enumerate(blocks):
        key = (block.subject.dataset, block.subject.split, block.query_split, block.query_ids)
        streams[key].append(n)
    for (*where, query_ids), members in streams.items():
        totals = np.stack([_outcomes(blocks[n]).sum(axis=1) for n in members])
        generator = _generator(seed, *where, query_ids)
        for rows, weights in _chunks(generator, resamples, len(query_ids)):
            sums[members, rows] = np.tensordot(totals, weights, axes=(2, 1)).transpose(0, 2, 1)
    answered = np.where(sums[:, :, 2:] > 0, sums[:, :, 2:], np.nan)
    accuracies = np.moveaxis(sums[:, :, :2] / answered, 2, 1)
    for n, block in enumerate(blocks):
        if block.crossed and len(block.seeds) > 1:
            accuracies[n] += _seed_shifts(block, resamples, seed, confidence)
    return [Draws(*each) for each in accuracies.clip(0, 1)]


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


def _outcomes(block: Paired) -> Floats:
    """(3, S, Q): hits ID, hits OOD and answered."""
    return np.stack([block.hits_id, block.hits_ood, block.answered])


def _seed_shifts(block: Paired, resamples: int, seed: int, confidence: float) -> Floats:
    """(2, B): by how much resampled seeds move the accuracies ID and OOD."""
    totals = _outcomes(block).sum(axis=2)
    totals = totals[:, totals[2] > 0]
    n_seeds = totals.shape[1]
    if n_seeds < 2:
        return np.zeros((2, resamples))
    # Both query splits of a benchmark have the same weights, so that they pool jointly.
    generator = _generator(seed, block.subject.dataset, block.subject.split, block.seeds)
    sums = totals @ _weights(generator, resamples, n_seeds).T
    shifts: Floats = sums[:2] / sums[2] - totals[:2].sum(axis=1, keepdims=True) / totals[2].sum()
    end = (1 + confidence) / 2
    few = float(stats.t.ppf(end, n_seeds - 1) / stats.norm.ppf(end))
    return shifts * few * sqrt(_seed_part(block) * n_seeds / (n_seeds - 1))


def _seed_part(block: Paired) -> float:
    """The part of the spread between seeds that chance within requests does not explain, in [0, 1].

    The larger one of ID and OOD, so that what they share moves with both.
    """
    answered = block.answered
    by_seed, by_query = answered.sum(axis=1, keepdims=True), answered.sum(axis=0, keepdims=True)
    freedom = answered.sum() - np.count_nonzero(by_seed) - np.count_nonzero(by_query) + 1
    parts = [0.0]
    for hits in (block.hits_id, block.hits_ood):
        mean = hits.sum() / answered.sum()
        seeds = hits.sum(axis=1, keepdims=True) / np.maximum(by_seed, 1)
        queries = hits.sum(axis=0, keepdims=True) / np.maximum(by_query, 1)
        between = (by_seed * (seeds - mean) ** 2).sum() / (np.count_nonzero(by_seed) - 1)
        left = (answered * (hits - seeds - queries + mean) ** 2).sum()
        error = left / freedom if freedom > 0 else 0.0
        if between > 0:
            parts.append(1 - error / between)
    return max(parts)


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

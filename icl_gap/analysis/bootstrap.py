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

import numpy as np
from scipy import stats

from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Paired
from icl_gap.schema import Split
from icl_gap.text import brief

CHUNK = 2_000_000
"""Most weights held at a time, so that memory does not grow with the number of resamples."""
LOGPROB_UNITS = 10_000
"""A nat in the last decimal that records keep: sums of whole units are exact in any order."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Means over requests under B resamples, (B,) each; NaN where a resample holds no request."""

    a_id: Floats
    a_ood: Floats
    logprob_id: Floats
    logprob_ood: Floats

    def __repr__(self) -> str:
        return brief("Draws", f"{len(self.a_id):,} resamples")


def draw(blocks: Sequence[Paired], *, resamples: int, seed: int, confidence: float) -> list[Draws]:
    """Resample paired outcomes.

    Args:
        blocks: What to resample; blocks of the same queries share their query weights.
        resamples: B.
        seed: Of the whole analysis.
        confidence: Of the intervals that are made from the draws; see the module.

    Returns:
        The draws of each block, in the order of `blocks`. All that is summed are whole numbers, so
        the results do not depend on chunks, threads or the order of sums.
    """
    sums = np.empty((len(blocks), resamples, 6))
    streams: dict[tuple[str, str, Split, tuple[str, ...]], list[int]] = defaultdict(list)
    for n, block in enumerate(blocks):
        key = (block.subject.dataset, block.subject.split, block.query_split, block.query_ids)
        streams[key].append(n)
    for (*where, query_ids), members in streams.items():
        totals = np.stack([_outcomes(blocks[n]).sum(axis=1) for n in members])
        stream = generator(seed, *where, query_ids)
        for rows, weights in chunks(stream, resamples, len(query_ids)):
            sums[members, rows] = np.tensordot(totals, weights, axes=(2, 1)).transpose(0, 2, 1)
    means = _means(np.moveaxis(sums, 2, 0))
    for n, block in enumerate(blocks):
        if block.crossed:
            means[:, n] += _seed_shifts(block, resamples, seed, confidence)
    a_id, a_ood = means[:2].clip(0, 1)
    return [Draws(*each) for each in zip(a_id, a_ood, *means[2:], strict=True)]


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
    """(6, S, Q): hits ID and OOD, answered, log-likelihoods ID and OOD in units, known."""
    hits = block.hits_id, block.hits_ood, block.answered
    logprobs = (np.rint(each * LOGPROB_UNITS) for each in (block.logprob_id, block.logprob_ood))
    return np.stack([*hits, *logprobs, block.likely])


def _means(sums: Floats) -> Floats:
    """(4, ...): from sums over outcomes to means; NaN where there is nothing to take one of."""
    counts = sums[[2, 2, 5, 5]]
    means: Floats = sums[[0, 1, 3, 4]] / np.where(counts > 0, counts, np.nan)
    means[2:] /= LOGPROB_UNITS
    return means


def _seed_shifts(block: Paired, resamples: int, seed: int, confidence: float) -> Floats:
    """(4, B): by how much resampled seeds move the means of `Draws`."""
    outcomes = _outcomes(block)
    totals = outcomes.sum(axis=2)
    totals = totals[:, totals[2] > 0]
    n_seeds = totals.shape[1]
    if n_seeds < 2:
        return np.zeros((4, resamples))
    # Both query splits of a benchmark have the same weights, so that they pool jointly.
    stream = generator(seed, block.subject.dataset, block.subject.split, block.seeds)
    sums = totals @ _weights(stream, resamples, n_seeds).T
    shifts = _means(sums) - _means(totals.sum(axis=1))[:, None]
    accuracy = _seed_part(outcomes[:2], outcomes[2])
    likelihood = _seed_part(outcomes[3:5], outcomes[5])
    parts = np.array([accuracy, accuracy, likelihood, likelihood])
    end = (1 + confidence) / 2
    few = stats.t.ppf(end, n_seeds - 1) / stats.norm.ppf(end)
    scale: Floats = few * np.sqrt(parts * n_seeds / (n_seeds - 1))
    return shifts * scale[:, None]


def _seed_part(outcomes: Floats, answered: Floats) -> float:
    """The part of the spread between seeds that chance within requests does not explain, in [0, 1].

    The larger one of ID and OOD, so that what they share moves with both.

    Args:
        outcomes: (2, S, Q), ID and OOD; 0 where there is none.
        answered: (S, Q): 1 where there is one, else 0.
    """
    by_seed, by_query = answered.sum(axis=1, keepdims=True), answered.sum(axis=0, keepdims=True)
    n_seeds, n_queries = np.count_nonzero(by_seed), np.count_nonzero(by_query)
    freedom = answered.sum() - n_seeds - n_queries + 1
    parts = [0.0]
    for found in outcomes if n_seeds > 1 else ():
        mean = found.sum() / answered.sum()
        seeds = found.sum(axis=1, keepdims=True) / np.maximum(by_seed, 1)
        queries = found.sum(axis=0, keepdims=True) / np.maximum(by_query, 1)
        between = (by_seed * (seeds - mean) ** 2).sum() / (n_seeds - 1)
        left = (answered * (found - seeds - queries + mean) ** 2).sum()
        error = left / freedom if freedom > 0 else 0.0
        if between > 0:
            parts.append(float(1 - error / between))
    return max(parts)


def chunks(stream: np.random.Generator, resamples: int, n: int) -> Iterator[tuple[slice, Floats]]:
    """How often each of n things is drawn in n draws with replacement, for some resamples each.

    Args:
        stream: From `generator`.
        resamples: B, of all chunks together.
        n: How many things.

    Yields:
        Which resamples, and (their number, n) weights.
    """
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        yield slice(start, stop), _weights(stream, stop - start, n)


def _weights(stream: np.random.Generator, rows: int, n: int) -> Floats:
    drawn = stream.integers(n, size=(rows, n)) + np.arange(rows)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def generator(*coordinates: object) -> np.random.Generator:
    """A random stream that depends on nothing but what it is for."""
    digest = hashlib.sha256(json.dumps(coordinates).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))

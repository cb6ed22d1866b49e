"""The paired bootstrap over queries, and over seeds if queries share their exemplars.

If each query has exemplars of its own, drawn from the seed and the query's id, seeds are nested
within queries: queries are resampled with replacement, each with all its requests (the cluster
bootstrap: Davison & Hinkley 1997, "Bootstrap Methods and their Application", 3.8). If queries are
clustered, by their template for example, whole clusters are resampled in their place.

If all queries of a cell share their exemplars, a good set raises the accuracy of all of them, so
seeds are crossed with queries. Resampling both and multiplying the weights (the pigeonhole
bootstrap: Owen 2007, Annals of Applied Statistics 1(2), 386-411) counts the variance within
requests up to three times. Here the two resamples are added instead,

    A* = A*_queries + c sqrt(k) (A*_seeds - A),    k = max(0, 1 - MS_error / MS_seeds) S / (S - 1),

with the mean squares of a two-way analysis of variance: only the part of the variance between seeds
is kept that the variance within requests does not explain. c is the ratio of Student's t quantile
with S - 1 degrees of freedom to the normal quantile, as few seeds estimate their variance poorly;
a single seed adds nothing. `tests/analysis/test_calibration.py` measures the coverage of the
intervals.

ID and OOD share their draws, and so do all models with the same queries and seeds: random streams
are derived from the queries and seeds, never from the model.
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
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.text import brief

CHUNK = 2_000_000
"""Most weights held at a time; bounds memory for any number of resamples."""
LOGPROB_SCALE = 10_000
"""Log-likelihoods are summed as whole multiples of 1e-4 nats, the precision of records; such sums
are exact in any order."""


@dataclass(frozen=True, slots=True)
class Draws:
    """Means over requests under B resamples, (B,) each; NaN where a resample has no request."""

    a_id: Floats
    a_ood: Floats
    logprob_id: Floats
    logprob_ood: Floats

    def __repr__(self) -> str:
        return brief("Draws", f"{len(self.a_id):,} resamples")


def resample(
    blocks: Sequence[PairedOutcomes], *, resamples: int, seed: int, confidence: float
) -> list[Draws]:
    """Resample paired outcomes.

    Args:
        blocks: The outcomes; blocks of the same queries and clusters share their query weights.
        resamples: Number of resamples B.
        seed: Seed of the bootstrap.
        confidence: Confidence of the intervals made from the draws; it sets c of the module's
            docstring.

    Returns:
        The draws of each block, in the order of `blocks`. Only whole numbers are summed, so the
        draws do not depend on chunks, threads or the order of sums.
    """
    sums = np.empty((len(blocks), resamples, 6))
    streams: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for n, block in enumerate(blocks):
        streams[_query_coordinates(block)].append(n)
    for coordinates, members in streams.items():
        totals = np.stack([blocks[n].by_cluster(_outcomes(blocks[n]).sum(axis=1)) for n in members])
        stream = generator(seed, *coordinates)
        for rows, weights in weight_chunks(stream, resamples, totals.shape[2]):
            sums[members, rows] = np.tensordot(totals, weights, axes=(2, 1)).transpose(0, 2, 1)
    means = _means(np.moveaxis(sums, 2, 0))
    for n, block in enumerate(blocks):
        if block.crossed:
            means[:, n] += _seed_shifts(block, resamples, seed, confidence)
    a_id, a_ood = means[:2].clip(0, 1)
    return [Draws(*each) for each in zip(a_id, a_ood, *means[2:], strict=True)]


def _query_coordinates(block: PairedOutcomes) -> tuple[object, ...]:
    """Return the coordinates of the stream that resamples a block's queries or clusters."""
    of = block.setting
    coordinates = (of.dataset, of.split, block.query_split, block.query_ids)
    return coordinates if block.clusters is None else (*coordinates, tuple(block.clusters.tolist()))


def percentile_interval(
    values: Floats, confidence: float, *, worst: tuple[float, float]
) -> tuple[float, float]:
    """Return a percentile interval.

    Its ends are the r-th smallest and the r-th largest value, r = (1 - confidence) / 2 * B (Efron &
    Tibshirani 1993, "An Introduction to the Bootstrap", ch. 13). A missing value (NaN) counts as
    `worst` at both ends, so it can only widen the interval.

    Args:
        values: (B,), one for each resample.
        confidence: Confidence in (0, 1).
        worst: Values that a missing one counts as, at the low and at the high end.
    """
    rank = max(1, round((1 - confidence) / 2 * len(values)))
    missing = np.isnan(values)
    low = np.partition(np.where(missing, worst[0], values), rank - 1)[rank - 1]
    high = np.partition(np.where(missing, worst[1], values), -rank)[-rank]
    return float(low), float(high)


def _outcomes(block: PairedOutcomes) -> Floats:
    """Return (6, S, Q): hits and `answered`, scaled log-likelihoods and `has_logprob`; ID first."""
    hits = block.hits_id, block.hits_ood, block.answered
    logprobs = (np.rint(each * LOGPROB_SCALE) for each in (block.logprob_id, block.logprob_ood))
    return np.stack([*hits, *logprobs, block.has_logprob])


def _means(sums: Floats) -> Floats:
    """Return (4, ...) means from (6, ...) sums over outcomes; NaN where the count is 0."""
    counts = sums[[2, 2, 5, 5]]
    means: Floats = sums[[0, 1, 3, 4]] / np.where(counts > 0, counts, np.nan)
    means[2:] /= LOGPROB_SCALE
    return means


def _seed_shifts(block: PairedOutcomes, resamples: int, seed: int, confidence: float) -> Floats:
    """Return (4, B): the shift of the means of `Draws` by resampled seeds."""
    outcomes = _outcomes(block)
    totals = outcomes.sum(axis=2)
    totals = totals[:, totals[2] > 0]
    n_seeds = totals.shape[1]
    if n_seeds < 2:
        return np.zeros((4, resamples))
    # Both query splits of a benchmark use the same seed weights, so that they pool jointly.
    stream = generator(seed, block.setting.dataset, block.setting.split, block.seeds)
    sums = totals @ _weights(stream, resamples, n_seeds).T
    shifts = _means(sums) - _means(totals.sum(axis=1))[:, None]
    accuracy = seed_part(outcomes[:2], outcomes[2])
    likelihood = seed_part(outcomes[3:5], outcomes[5])
    parts = np.array([accuracy, accuracy, likelihood, likelihood])
    few = few_seeds_factor(n_seeds, confidence)
    scale: Floats = few * np.sqrt(parts * n_seeds / (n_seeds - 1))
    return shifts * scale[:, None]


def few_seeds_factor(n_seeds: int, confidence: float) -> float:
    """Return the ratio of the quantiles of Student's t, with S - 1 degrees of freedom, and of z."""
    end = (1 + confidence) / 2
    return float(stats.t.ppf(end, n_seeds - 1) / stats.norm.ppf(end))


def seed_part(outcomes: Floats, answered: Floats) -> float:
    """Return the part of the variance between seeds that is not variance within requests.

    In [0, 1]; the larger one of ID and OOD, so that both shift together.

    Args:
        outcomes: (2, S, Q), ID and OOD; 0 where unanswered.
        answered: (S, Q): 1 where answered, else 0.
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


def weight_chunks(
    stream: np.random.Generator, resamples: int, n: int
) -> Iterator[tuple[slice, Floats]]:
    """Yield bootstrap weights: how often each of n items occurs in n draws with replacement.

    Args:
        stream: Random stream from `generator`.
        resamples: Number of resamples B of all chunks together.
        n: Number of items.

    Yields:
        A slice of the resamples, and their weights, (length of the slice, n).
    """
    step = max(1, CHUNK // n)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        yield slice(start, stop), _weights(stream, stop - start, n)


def _weights(stream: np.random.Generator, rows: int, n: int) -> Floats:
    drawn = stream.integers(n, size=(rows, n)) + np.arange(rows)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def generator(*coordinates: object) -> np.random.Generator:
    """Return a random stream that depends on the coordinates alone."""
    digest = hashlib.sha256(json.dumps(coordinates).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))

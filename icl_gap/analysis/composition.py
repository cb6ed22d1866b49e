"""The reasoning gap: the accuracy lost when two questions are composed into one.

S_comp - S_1 * S_2 (Hosseini et al. 2024, arXiv 2410.01748): the accuracy on composed questions,
less the accuracy expected if the two parts were answered independently.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import hypot

import numpy as np

from icl_gap.analysis.bootstrap import generator, percentile_interval, weight_chunks
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes, Remarks
from icl_gap.analysis.points import ReasoningGap
from icl_gap.analysis.resolution import accuracy_estimate
from icl_gap.analysis.small_counts import FEW
from icl_gap.schema import Condition

COMPOSED, PARTS = "composed", ("first", "second")
"""Splits of a benchmark with composed questions. A composed question and its parts have ids that
differ after the last `-` alone."""
_CONDITIONS: tuple[Condition, Condition] = ("id", "ood")


def reasoning_gaps(
    blocks: Sequence[PairedOutcomes], *, resamples: int, seed: int, confidence: float
) -> tuple[tuple[ReasoningGap, ...], Remarks]:
    """Estimate the reasoning gap of each model on each benchmark with all three splits.

    Intervals resample pairs of questions, each with all its requests; or whole clusters of
    composed questions.

    Args:
        blocks: Paired outcomes of all splits.
        resamples: Number of resamples B.
        seed: Seed of the bootstrap.
        confidence: Confidence of all intervals.

    Returns:
        A gap for each model, number of shots, query split and condition; and remarks.
    """
    known = {(*_group_of(block), block.setting.split): block for block in blocks}
    found: list[ReasoningGap] = []
    remarks: Remarks = []
    for group in dict.fromkeys(map(_group_of, blocks)):
        three = [known.get((*group, split)) for split in (COMPOSED, *PARTS)]
        if three[0] is None:
            continue
        if None in three:
            absent = PARTS[three[1:].index(None)]
            text = f"no reasoning gap: the split `{absent}` is missing"
            remarks.append((text, three[0].setting.label))
            continue
        whole = [block for block in three if block is not None]
        found += _gaps(whole, resamples, seed, confidence)
    return tuple(found), remarks


def _group_of(block: PairedOutcomes) -> tuple[object, ...]:
    of = block.setting
    return of.dataset, of.model, of.shots, of.selection, block.query_split


def _gaps(
    three: Sequence[PairedOutcomes], resamples: int, seed: int, confidence: float
) -> Iterator[ReasoningGap]:
    """Yield the gaps ID and OOD, under the same resamples.

    Args:
        three: Outcomes of the composed questions, the first parts, the second parts.
        resamples: Number of resamples B.
        seed: Seed of the bootstrap.
        confidence: Confidence of all intervals.
    """
    names = sorted({_pair(id_) for block in three for id_ in block.query_ids})
    numbers = dict(zip(names, _clusters_of(names, three[0]), strict=True))
    n = len(set(numbers.values()))
    hits, answered = np.zeros((2, 3, n)), np.zeros((3, n))
    for row, block in enumerate(three):
        columns = [numbers[_pair(id_)] for id_ in block.query_ids]
        for side, right in enumerate((block.hits_id, block.hits_ood)):
            np.add.at(hits[side, row], columns, right.sum(axis=0))
        np.add.at(answered[row], columns, block.answered.sum(axis=0))
    of = three[0].setting
    drawn = np.empty((2, 3, resamples))
    clusters = () if three[0].clusters is None else (list(numbers.values()),)
    stream = generator(seed, of.dataset, three[0].query_split, names, *clusters)
    for rows, weights in weight_chunks(stream, resamples, n):
        drawn[..., rows] = _shares(hits @ weights.T, answered @ weights.T)
    shares = _shares(hits.sum(axis=2), answered.sum(axis=1))
    for condition, values, draws in zip(_CONDITIONS, shares, drawn, strict=True):
        few = np.minimum(values, 1 - values) * n < FEW
        composed, first, second = (
            accuracy_estimate(float(value), each, n, few=bool(small), confidence=confidence)
            for value, each, small in zip(values, draws, few, strict=True)
        )
        ends = percentile_interval(_loss(draws), confidence, worst=(-1.0, 1.0))
        if few.any() or ends[0] == ends[1]:
            ends = _widened(ends, float(_loss(values)), composed, first, second)
        yield ReasoningGap(
            model=of.model,
            n_params=of.n_params,
            dataset=of.dataset,
            query_split=three[0].query_split,
            condition=condition,
            shots=of.shots,
            composed=composed,
            first=first,
            second=second,
            gap=Estimate(float(_loss(values)), *ends),
            n_pairs=len(names),
        )


def _clusters_of(names: Sequence[str], composed: PairedOutcomes) -> list[int]:
    """Return the number of each pair's cluster: that of its composed question, or its own."""
    if composed.clusters is None:
        return list(range(len(names)))
    known = dict(zip(map(_pair, composed.query_ids), composed.clusters.tolist(), strict=True))
    alone = iter(range(composed.n_clusters, composed.n_clusters + len(names)))
    return [known[name] if name in known else next(alone) for name in names]


def _widened(
    ends: tuple[float, float], loss: float, composed: Estimate, first: Estimate, second: Estimate
) -> tuple[float, float]:
    """Return an interval widened to one made from those of the three accuracies.

    MOVER (Zou & Donner 2008, Statistics in Medicine 27(10), 1693-1702), without correlations.
    """
    expected = first.value * second.value
    down = hypot(composed.value - composed.low, first.high * second.high - expected)
    up = hypot(composed.high - composed.value, expected - first.low * second.low)
    return min(ends[0], loss - down), max(ends[1], loss + up)


def _pair(query_id: str) -> str:
    return query_id.rpartition("-")[0]


def _shares(hits: Floats, answered: Floats) -> Floats:
    """Return the accuracies; NaN where nothing is answered."""
    shares: Floats = hits / np.where(answered > 0, answered, np.nan)
    return shares


def _loss(shares: Floats) -> Floats:
    """Return S_comp - S_1 * S_2 of (3, ...) accuracies."""
    loss: Floats = shares[0] - shares[1] * shares[2]
    return loss

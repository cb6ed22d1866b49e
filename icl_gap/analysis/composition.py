"""The reasoning gap: what is lost where two questions that can be answered become one.

Source: Hosseini et al. 2024 (arXiv 2410.01748): S_comp - S_1 * S_2, the accuracy on composed
questions against what it would be were the two parts answered independently of each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np

from icl_gap.analysis.bootstrap import chunks, generator, interval
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Paired, Remarks
from icl_gap.analysis.points import ReasoningGap
from icl_gap.schema import Condition

COMPOSED, PARTS = "composed", ("first", "second")
"""The splits of a benchmark that has a reasoning gap. The ids of what belongs together differ after
their last `-` alone."""


def reasoning_gaps(
    blocks: Sequence[Paired], *, resamples: int, seed: int, confidence: float
) -> tuple[tuple[ReasoningGap, ...], Remarks]:
    """The reasoning gap of each model on each benchmark whose three splits were asked.

    Intervals resample pairs of questions, each with all that was asked of it.

    Args:
        blocks: Paired outcomes of all splits.
        resamples: B.
        seed: Of the whole analysis.
        confidence: Of all intervals.

    Returns:
        One for each model, number of shots, query split and condition; and what must be said.
    """
    known = {(*_place(block), block.subject.split): block for block in blocks}
    found: list[ReasoningGap] = []
    remarks: Remarks = []
    for place in dict.fromkeys(map(_place, blocks)):
        three = [known.get((*place, split)) for split in (COMPOSED, *PARTS)]
        if three[0] is None:
            continue
        if None in three:
            absent = PARTS[three[1:].index(None)]
            text = f"no reasoning gap: the split `{absent}` is missing"
            remarks.append((text, three[0].subject.place))
            continue
        whole = [block for block in three if block is not None]
        found += _gaps(whole, resamples, seed, confidence)
    return tuple(found), remarks


def _place(block: Paired) -> tuple[str, str, int, str]:
    return block.subject.dataset, block.subject.model, block.subject.shots, block.query_split


def _gaps(
    three: Sequence[Paired], resamples: int, seed: int, confidence: float
) -> Iterator[ReasoningGap]:
    """ID and OOD, under the same resamples.

    Args:
        three: The composed questions, the first ones, the second ones.
        resamples: B.
        seed: Of the whole analysis.
        confidence: Of all intervals.
    """
    names = sorted({_pair(id_) for block in three for id_ in block.query_ids})
    numbers = {name: n for n, name in enumerate(names)}
    hits, answered = np.zeros((2, 3, len(names))), np.zeros((3, len(names)))
    for row, block in enumerate(three):
        columns = [numbers[_pair(id_)] for id_ in block.query_ids]
        for side, right in enumerate((block.hits_id, block.hits_ood)):
            np.add.at(hits[side, row], columns, right.sum(axis=0))
        np.add.at(answered[row], columns, block.answered.sum(axis=0))
    of = three[0].subject
    drawn = np.empty((2, 3, resamples))
    stream = generator(seed, of.dataset, three[0].query_split, names)
    for rows, weights in chunks(stream, resamples, len(names)):
        drawn[..., rows] = _shares(hits @ weights.T, answered @ weights.T)
    shares = _shares(hits.sum(axis=2), answered.sum(axis=1))
    for condition, values, draws in zip(get_args(Condition), shares, drawn, strict=True):
        composed, first, second = (
            Estimate(float(value), *interval(each, confidence, worst=(0.0, 1.0)))
            for value, each in zip(values, draws, strict=True)
        )
        ends = interval(_loss(draws), confidence, worst=(-1.0, 1.0))
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


def _pair(query_id: str) -> str:
    return query_id.rpartition("-")[0]


def _shares(hits: Floats, answered: Floats) -> Floats:
    """NaN where nothing was answered."""
    shares: Floats = hits / np.where(answered > 0, answered, np.nan)
    return shares


def _loss(shares: Floats) -> Floats:
    """S_comp - S_1 * S_2, of (3, ...)."""
    loss: Floats = shares[0] - shares[1] * shares[2]
    return loss

"""The reasoning gap: what is lost where two questions that can be answered become one.

Source: Hosseini et al. 2024 (arXiv 2410.01748): S_comp - S_1 * S_2, the accuracy on composed
questions against what it would be were the two parts answered independently of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from icl_gap.analysis.bootstrap import chunks, generator, interval
from icl_gap.analysis.cells import Floats
from icl_gap.analysis.pairing import Paired, Remarks
from icl_gap.analysis.points import Estimate, ReasoningGap
from icl_gap.records import Condition

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
        found.extend(
            _gap(whole, condition, resamples, seed, confidence) for condition in get_args(Condition)
        )
    return tuple(found), remarks


def _place(block: Paired) -> tuple[str, str, int, str]:
    return block.subject.dataset, block.subject.model, block.subject.shots, block.query_split


def _gap(
    three: Sequence[Paired], condition: Condition, resamples: int, seed: int, confidence: float
) -> ReasoningGap:
    composed = three[0]
    names = sorted({_pair(id_) for block in three for id_ in block.query_ids})
    numbers = {name: n for n, name in enumerate(names)}
    hits, answered = np.zeros((3, len(names))), np.zeros((3, len(names)))
    for row, block in enumerate(three):
        columns = [numbers[_pair(id_)] for id_ in block.query_ids]
        right = block.hits_id if condition == "id" else block.hits_ood
        np.add.at(hits[row], columns, right.sum(axis=0))
        np.add.at(answered[row], columns, block.answered.sum(axis=0))
    drawn = np.empty((3, resamples))
    stream = generator(seed, composed.subject.dataset, composed.query_split, names)
    for rows, weights in chunks(stream, resamples, len(names)):
        drawn[:, rows] = _shares(hits @ weights.T, answered @ weights.T)
    shares = _shares(hits.sum(axis=1), answered.sum(axis=1))
    accuracies = [
        Estimate(float(value), *interval(draws, confidence, worst=(0.0, 1.0)))
        for value, draws in zip(shares, drawn, strict=True)
    ]
    ends = interval(_loss(drawn), confidence, worst=(-1.0, 1.0))
    return ReasoningGap(
        model=composed.subject.model,
        n_params=composed.subject.n_params,
        dataset=composed.subject.dataset,
        query_split=composed.query_split,
        condition=condition,
        shots=composed.subject.shots,
        composed=accuracies[0],
        first=accuracies[1],
        second=accuracies[2],
        gap=Estimate(float(_loss(shares)), *ends),
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

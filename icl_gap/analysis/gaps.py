"""Relative gaps, of one side of a benchmark or pooled over both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace

import numpy as np

from icl_gap.analysis.bootstrap import Draws, draw, interval
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.evidence import adjusted, bounds, detectable, fieller, mcnemar, smooth
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Paired, Remarks
from icl_gap.analysis.points import (
    Accuracies,
    GapPoint,
    QuerySplit,
    Subject,
)
from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, Split
from icl_gap.text import brief

FOLDS = 10
"""Parts of the queries, among which a trend over sizes is tested."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A point, and what its fit needs beside it."""

    point: GapPoint
    draws: Draws
    folds: Floats
    """(FOLDS,): the gap of each of as many parts of the queries; NaN where one has no hit ID."""

    @property
    def gaps(self) -> Floats:
        """(B,): the gap under every resample; NaN where it has no hit ID."""
        return _gap(self.draws.a_id, self.draws.a_ood)

    def __repr__(self) -> str:
        return brief("Measured", f"{len(self.draws.a_id):,} resamples", repr(self.point))


@dataclass(frozen=True, slots=True)
class _Unit:
    """What a point is made of: one side, or both of them under the same seeds."""

    query_split: QuerySplit
    parts: tuple[Paired, ...]


def measure(
    blocks: Sequence[Paired], *, resamples: int, seed: int, confidence: float
) -> tuple[list[Measured], Remarks]:
    """The gap of each block, and the pooled gap of each subject that has both query splits.

    Formulas: Hosseini et al. 2022 (arXiv 2211.08473), section 3. Per query split, gap = (A_id -
    A_ood) / A_id. Pooled, the same of A_id = mean(te->te, tr->tr) and A_ood = mean(tr->te, te->tr),
    each side weighing the same however many queries it has.

    A gap is unresolved where A_id is not resolved from 0: where the low end of its interval is 0.
    Elsewhere fewer resamples than one end's share have no hit ID; these count as the worst at both
    ends of the gap's interval, which stays finite.

    Args:
        blocks: Paired outcomes; those of one subject are neighbours.
        resamples: B.
        seed: Of the whole analysis.
        confidence: Of all intervals.

    Returns:
        The points in the order of `blocks`, a subject's pooled one last; and what must be said.
    """
    remarks: Remarks = []
    units = _units(blocks, remarks)
    parts = {_key(part): part for unit in units for part in unit.parts}
    drawn = draw(list(parts.values()), resamples=resamples, seed=seed, confidence=confidence)
    draws = dict(zip(parts, drawn, strict=True))
    found = [_measure(unit, draws, confidence) for unit in units]
    points = adjusted([each.point for each in found])
    measured = [replace(each, point=point) for each, point in zip(found, points, strict=True)]
    for point in points:
        remarks += _remarks(point)
    return measured, remarks


_Key = tuple[Subject, Split, tuple[int, ...]]


def _key(part: Paired) -> _Key:
    return part.subject, part.query_split, part.seeds


def _units(blocks: Sequence[Paired], remarks: Remarks) -> list[_Unit]:
    by_subject: dict[Subject, list[Paired]] = defaultdict(list)
    for block in blocks:
        if block.answered.any():
            by_subject[block.subject].append(block)
        else:
            where = f"{block.subject.place}, {block.query_split} queries"
            remarks.append(("no gap: every query was skipped or failed", where))
    units = []
    for subject, sides in by_subject.items():
        units += [_Unit(side.query_split, (side,)) for side in sides]
        if len(sides) < 2:
            text = f"no pooled gap: only the {sides[0].query_split} queries have one"
            remarks.append((text, subject.place))
        elif pooled := _pool(sides, remarks):
            units.append(pooled)
    return units


def _pool(sides: Sequence[Paired], remarks: Remarks) -> _Unit | None:
    """Both sides under the seeds that they share."""
    subject = sides[0].subject
    seeds = sorted(set(sides[0].seeds).intersection(*(side.seeds for side in sides)))
    parts = tuple(side.under(seeds) for side in sides)
    if not all(part.answered.any() for part in parts):
        text = "no pooled gap: the train and test queries were answered under no common seed"
        remarks.append((text, subject.place))
        return None
    if any(len(side.seeds) > len(seeds) for side in sides):
        listed = ", ".join(map(str, seeds))
        text = f"the pooled gap uses only the seeds that both query splits have: {listed}"
        remarks.append((text, subject.place))
    return _Unit("pooled", parts)


def _measure(unit: _Unit, drawn: Mapping[_Key, Draws], confidence: float) -> Measured:
    parts = unit.parts
    draws = Draws(*np.mean([astuple(drawn[_key(part)]) for part in parts], axis=0))
    answered = [part.answered.sum() for part in parts]
    hits = [(part.hits_id.sum(), part.hits_ood.sum()) for part in parts]
    id_value, ood_value = np.mean(np.asarray(hits).T / answered, axis=1)
    a_id = Estimate(float(id_value), *interval(draws.a_id, confidence, worst=(0.0, 1.0)))
    a_ood = Estimate(float(ood_value), *interval(draws.a_ood, confidence, worst=(0.0, 1.0)))
    gaps = _gap(draws.a_id, draws.a_ood)
    gap = None
    if a_id.low > 0:
        ends = interval(gaps, confidence, worst=(-np.inf, np.inf))
        gap = Estimate(1 - a_ood.value / a_id.value, *ends)
    point = GapPoint(
        **asdict(parts[0].subject),
        query_split=unit.query_split,
        a_id=a_id,
        a_ood=a_ood,
        gap=gap,
        unresolved_because=None if gap else _why(a_id, parts, confidence),
        fieller=fieller(a_id.value, a_ood.value, draws, confidence=confidence) if gap else None,
        detectable=detectable(gaps, confidence=confidence) if gap else None,
        bounds=bounds(parts),
        smooth=smooth(parts, draws, confidence=confidence),
        tests=mcnemar(parts),
        accuracies=_accuracies(parts),
        n_queries=sum(int(part.answered.any(axis=0).sum()) for part in parts),
        n_seeds=len(parts[0].seeds),
        n_skipped=sum(int(part.skipped.sum()) for part in parts),
        n_failed=sum(int(part.failed.sum()) for part in parts),
        shots_effective=_mean([part.shots for part in parts], answered),
        coverage_id=_mean([part.coverage_id for part in parts], answered),
        coverage_ood=_mean([part.coverage_ood for part in parts], answered),
    )
    return Measured(point, draws, _folds(parts))


def _gap(inside: Floats, outside: Floats) -> Floats:
    """(A_id - A_ood) / A_id; NaN where A_id is 0."""
    return 1 - outside / np.where(inside > 0, inside, np.nan)


def _folds(parts: Sequence[Paired]) -> Floats:
    """The gap of each of `FOLDS` parts of the queries, the same queries for every model."""
    sides = []
    for part in parts:
        which = np.arange(len(part.query_ids)) % FOLDS
        mine = (which == np.arange(FOLDS)[:, None]).astype(float)
        counts = [
            (mine * each.sum(axis=0)).sum(axis=1)
            for each in (part.hits_id, part.hits_ood, part.answered)
        ]
        sides.append(np.array(counts[:2]) / np.where(counts[2] > 0, counts[2], np.nan))
    return _gap(*np.mean(sides, axis=0))


def _accuracies(parts: Sequence[Paired]) -> dict[Metric, Accuracies]:
    """Return the accuracies of each metric that is known of all requests."""
    answered = [part.answered.sum() for part in parts]
    found = {}
    for metric in METRICS:
        matches = np.array([part.matches[metric].sum(axis=0) for part in parts])
        inside, outside = np.mean(matches.T / answered, axis=1)
        if not np.isnan(inside + outside):
            found[metric] = Accuracies(float(inside), float(outside))
    return found


def _mean(totals: Sequence[Floats], answered: Sequence[np.float64]) -> float:
    """The mean over the sides of the mean over a side's answered requests."""
    sides = [total.sum() / n for total, n in zip(totals, answered, strict=True)]
    return float(np.mean(sides))


def _why(a_id: Estimate, parts: Sequence[Paired], confidence: float) -> str:
    hits = sum(int(part.hits_id.sum()) for part in parts)
    asked = sum(int(part.answered.sum()) for part in parts)
    return (
        f"A_id not resolved from 0: {hits} of {asked} requests right,"
        f" {confidence:.0%} interval [{a_id.low:.4f}, {a_id.high:.4f}]"
    )


def _remarks(point: GapPoint) -> Remarks:
    where = f"{point.place}, {point.query_split} queries"
    remarks: Remarks = []
    if point.n_seeds == 1:
        text = "one seed only, so the intervals say nothing of the spread between seeds"
        remarks.append((text, where))
    if point.shots_effective < point.shots:
        text = "exemplars were dropped to fit the context; the mean of the shots left"
        remarks.append((text, f"{point.shots_effective:.2f} in {where}"))
    if point.n_skipped:
        text = "requests were skipped, as they do not fit the context; how many"
        remarks.append((text, f"{point.n_skipped} in {where}"))
    if point.n_failed:
        text = "requests failed and are left out, with those they are compared to; how many"
        remarks.append((text, f"{point.n_failed} in {where}"))
    if point.partial is not None:
        text = "the published split is not whole"
        remarks.append((text, f"{point.benchmark} ({point.partial})"))
    if not point.trained:
        remarks.append(("untrained weights, which no fit uses", point.model))
    return remarks

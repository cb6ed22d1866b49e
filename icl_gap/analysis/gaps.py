"""Relative gaps of one benchmark side, or pooled over both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace

import numpy as np

from icl_gap.analysis.bootstrap import Draws, percentile_interval, resample
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.evidence import (
    adjust_p_values,
    bounds_from_unanswered,
    detectable_gap,
    fieller,
    mcnemar_tests,
    smooth_gap,
)
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes, Remarks
from icl_gap.analysis.points import (
    Accuracies,
    GapPoint,
    QuerySplit,
    Setting,
)
from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, Split
from icl_gap.text import brief

FOLDS = 10
"""Number of parts that the queries are divided into for Page's trend test."""


@dataclass(frozen=True, slots=True)
class ResampledGap:
    """A gap with its bootstrap draws."""

    point: GapPoint
    draws: Draws
    folds: Floats
    """(FOLDS,): the gap of each part of the queries; NaN where a part has no ID hit."""

    @property
    def gaps(self) -> Floats:
        """(B,) gaps under all resamples; NaN where a resample has no ID hit."""
        return _gap(self.draws.a_id, self.draws.a_ood)

    def __repr__(self) -> str:
        return brief("ResampledGap", f"{len(self.draws.a_id):,} resamples", repr(self.point))


@dataclass(frozen=True, slots=True)
class _Sides:
    """The outcomes behind one gap: one benchmark side, or both under the same seeds."""

    query_split: QuerySplit
    parts: tuple[PairedOutcomes, ...]


def estimate_gaps(
    blocks: Sequence[PairedOutcomes], *, resamples: int, seed: int, confidence: float
) -> tuple[list[ResampledGap], Remarks]:
    """Estimate the gap of each block, and the pooled gap of each setting with both query splits.

    Formulas: Hosseini et al. 2022 (arXiv 2211.08473), section 3. Per query split, gap = (A_id -
    A_ood) / A_id. The pooled gap uses A_id = mean(te->te, tr->tr) and A_ood = mean(tr->te, te->tr),
    with equal weights for both sides, however many queries they have.

    A gap is unresolved if the interval of A_id starts at 0. Otherwise a few resamples, fewer than
    lie beyond one end of the interval, may lack an ID hit. They count as the worst value at both
    ends of the gap's interval, which stays finite.

    Args:
        blocks: Paired outcomes; blocks of one setting are neighbours.
        resamples: Number of resamples B.
        seed: Seed of the bootstrap.
        confidence: Confidence of all intervals.

    Returns:
        The gaps in the order of `blocks`, a setting's pooled gap last; and remarks.
    """
    remarks: Remarks = []
    groups = _sides(blocks, remarks)
    parts = {_key(part): part for group in groups for part in group.parts}
    drawn = resample(list(parts.values()), resamples=resamples, seed=seed, confidence=confidence)
    draws = dict(zip(parts, drawn, strict=True))
    found = [_estimate(group, draws, confidence) for group in groups]
    points = adjust_p_values([each.point for each in found])
    gaps = [replace(each, point=point) for each, point in zip(found, points, strict=True)]
    for point in points:
        remarks += _remarks(point)
    return gaps, remarks


_Key = tuple[Setting, Split, tuple[int, ...]]


def _key(part: PairedOutcomes) -> _Key:
    return part.setting, part.query_split, part.seeds


def _sides(blocks: Sequence[PairedOutcomes], remarks: Remarks) -> list[_Sides]:
    """Group the blocks by gap: each side of a setting, then both pooled."""
    by_setting: dict[Setting, list[PairedOutcomes]] = defaultdict(list)
    for block in blocks:
        if block.answered.any():
            by_setting[block.setting].append(block)
        else:
            where = f"{block.setting.label}, {block.query_split} queries"
            remarks.append(("no gap: every query was skipped or failed", where))
    groups = []
    for setting, sides in by_setting.items():
        groups += [_Sides(side.query_split, (side,)) for side in sides]
        if len(sides) < 2:
            text = f"no pooled gap: only the {sides[0].query_split} queries have one"
            remarks.append((text, setting.label))
        elif pooled := _pool(sides, remarks):
            groups.append(pooled)
    return groups


def _pool(sides: Sequence[PairedOutcomes], remarks: Remarks) -> _Sides | None:
    """Return both sides under their common seeds; None without one."""
    setting = sides[0].setting
    seeds = sorted(set(sides[0].seeds).intersection(*(side.seeds for side in sides)))
    parts = tuple(side.under(seeds) for side in sides)
    if not all(part.answered.any() for part in parts):
        text = "no pooled gap: the train and test queries were answered under no common seed"
        remarks.append((text, setting.label))
        return None
    if any(len(side.seeds) > len(seeds) for side in sides):
        listed = ", ".join(map(str, seeds))
        text = f"the pooled gap uses only the seeds that both query splits have: {listed}"
        remarks.append((text, setting.label))
    return _Sides("pooled", parts)


def _estimate(group: _Sides, drawn: Mapping[_Key, Draws], confidence: float) -> ResampledGap:
    parts = group.parts
    draws = Draws(*np.mean([astuple(drawn[_key(part)]) for part in parts], axis=0))
    answered = [part.answered.sum() for part in parts]
    hits = [(part.hits_id.sum(), part.hits_ood.sum()) for part in parts]
    id_value, ood_value = np.mean(np.asarray(hits).T / answered, axis=1)
    a_id = Estimate(float(id_value), *percentile_interval(draws.a_id, confidence, worst=(0.0, 1.0)))
    a_ood = Estimate(
        float(ood_value), *percentile_interval(draws.a_ood, confidence, worst=(0.0, 1.0))
    )
    gaps = _gap(draws.a_id, draws.a_ood)
    gap = None
    if a_id.low > 0:
        ends = percentile_interval(gaps, confidence, worst=(-np.inf, np.inf))
        gap = Estimate(1 - a_ood.value / a_id.value, *ends)
    point = GapPoint(
        **asdict(parts[0].setting),
        query_split=group.query_split,
        a_id=a_id,
        a_ood=a_ood,
        gap=gap,
        unresolved_because=None if gap else _why(a_id, parts, confidence),
        fieller=fieller(a_id.value, a_ood.value, draws, confidence=confidence) if gap else None,
        detectable=detectable_gap(gaps, confidence=confidence) if gap else None,
        bounds=bounds_from_unanswered(parts),
        smooth=smooth_gap(parts, draws, confidence=confidence),
        tests=mcnemar_tests(parts),
        accuracies=_accuracies(parts),
        n_queries=sum(int(part.answered.any(axis=0).sum()) for part in parts),
        n_seeds=len(parts[0].seeds),
        n_skipped=sum(int(part.skipped.sum()) for part in parts),
        n_failed=sum(int(part.failed.sum()) for part in parts),
        shots_effective=_mean([part.shots for part in parts], answered),
        coverage_id=_mean([part.coverage_id for part in parts], answered),
        coverage_ood=_mean([part.coverage_ood for part in parts], answered),
    )
    return ResampledGap(point, draws, _folds(parts))


def _gap(inside: Floats, outside: Floats) -> Floats:
    """Return (A_id - A_ood) / A_id; NaN where A_id is 0."""
    return 1 - outside / np.where(inside > 0, inside, np.nan)


def _folds(parts: Sequence[PairedOutcomes]) -> Floats:
    """Return the gap of each of `FOLDS` parts of the queries; parts are the same for all models."""
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


def _accuracies(parts: Sequence[PairedOutcomes]) -> dict[Metric, Accuracies]:
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
    """Return the mean over sides of the mean over each side's answered requests."""
    sides = [total.sum() / n for total, n in zip(totals, answered, strict=True)]
    return float(np.mean(sides))


def _why(a_id: Estimate, parts: Sequence[PairedOutcomes], confidence: float) -> str:
    """Return the reason why a gap is unresolved."""
    hits = sum(int(part.hits_id.sum()) for part in parts)
    answered = sum(int(part.answered.sum()) for part in parts)
    return (
        f"A_id not resolved from 0: {hits} of {answered} requests right,"
        f" {confidence:.0%} interval [{a_id.low:.4f}, {a_id.high:.4f}]"
    )


def _remarks(point: GapPoint) -> Remarks:
    """Return the remarks on one gap."""
    where = f"{point.label}, {point.query_split} queries"
    remarks: Remarks = []
    if point.n_seeds == 1:
        text = "one seed only, so the intervals do not include variation between seeds"
        remarks.append((text, where))
    if point.shots_effective < point.shots:
        text = "exemplars were dropped to fit the context; mean number of shots left"
        remarks.append((text, f"{point.shots_effective:.2f} in {where}"))
    if point.n_skipped:
        text = "requests were skipped because they do not fit the context; number"
        remarks.append((text, f"{point.n_skipped} in {where}"))
    if point.n_failed:
        text = "requests failed and are left out of both conditions; number"
        remarks.append((text, f"{point.n_failed} in {where}"))
    if point.partial is not None:
        text = "the published split is not whole"
        remarks.append((text, f"{point.benchmark} ({point.partial})"))
    if not point.trained:
        remarks.append(("untrained weights, which no fit uses", point.model))
    return remarks

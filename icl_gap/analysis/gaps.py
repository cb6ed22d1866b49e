"""Relative gaps of one benchmark side, or pooled over both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass

import numpy as np

from icl_gap.analysis.bootstrap import Draws, resample
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.evidence import (
    bounds_from_unanswered,
    detectable_gap,
    fieller,
    smooth_gap,
)
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes, Remarks
from icl_gap.analysis.points import (
    Accuracies,
    GapPoint,
    QuerySplit,
    Setting,
    SignFlipTest,
)
from icl_gap.analysis.resolution import (
    accuracy_estimate,
    gap_estimate,
    relative_gap,
    why_unresolved,
)
from icl_gap.analysis.seed_variance import seed_share
from icl_gap.analysis.sides import at_floor, flags_of
from icl_gap.analysis.sign_flips import sign_flip_test
from icl_gap.analysis.small_counts import PairedCounts, count_pairs
from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, Split
from icl_gap.text import brief

MIN_SHARED_SEEDS = 3
"""Least number of seeds where all queries share their exemplars, for intervals without a note."""
ONE_PROMPT = "without exemplars ID and OOD are one prompt"
MIN_CLUSTERS = 20
"""Number of clusters below which resampling them understates the variance (Cameron & Miller 2015,
"A Practitioner's Guide to Cluster-Robust Inference", Journal of Human Resources 50(2), 317-372)."""


@dataclass(frozen=True, slots=True)
class ResampledGap:
    """A gap with its bootstrap draws."""

    point: GapPoint
    draws: Draws
    counts: PairedCounts

    @property
    def gaps(self) -> Floats:
        """(B,) gaps under all resamples; NaN where a resample has no ID hit."""
        return relative_gap(self.draws.a_id, self.draws.a_ood)

    def interval(self, confidence: float) -> Estimate | None:
        """Return the gap with its interval at another confidence, by the rule of `point.gap`."""
        inside, outside = self.point.a_id.value, self.point.a_ood.value
        if self.point.gap is None:
            return None
        return gap_estimate(inside, outside, self.draws, self.counts, confidence=confidence)[0]

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

    A gap is unresolved if A_id is too uncertain to divide by (`icl_gap.analysis.resolution`).
    Otherwise a few resamples, fewer than lie beyond one end of the interval, may lack an ID hit.
    They count as the worst value at both ends of the gap's interval, which stays finite.

    Args:
        blocks: Paired outcomes; blocks of one setting are neighbours.
        resamples: Number of resamples B.
        seed: Seed of the bootstrap.
        confidence: Confidence of all intervals.

    Returns:
        The gaps in the order of `blocks`, a setting's pooled gap last, with p-values not yet
        adjusted for others (`icl_gap.analysis.multiplicity`); and remarks.
    """
    remarks: Remarks = []
    groups = _sides(blocks, remarks)
    parts = {_key(part): part for group in groups for part in group.parts}
    drawn = resample(list(parts.values()), resamples=resamples, seed=seed, confidence=confidence)
    draws = dict(zip(parts, drawn, strict=True))
    found = [_estimate(group, draws, confidence) for group in groups]
    for group, each in zip(groups, found, strict=True):
        remarks += _remarks(group, each.point)
    return found, remarks


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
    parts, at = group.parts, {"confidence": confidence}
    each_drawn = [drawn[_key(part)] for part in parts]
    draws = Draws(*np.mean([astuple(each) for each in each_drawn], axis=0))
    answered = [part.answered.sum() for part in parts]
    hits = [(part.hits_id.sum(), part.hits_ood.sum()) for part in parts]
    id_value, ood_value = map(float, np.mean(np.asarray(hits).T / answered, axis=1))
    counts = count_pairs(parts)
    gap, exact = None, False
    why = why_unresolved(parts, id_value, draws, counts.n, **at)
    if parts[0].setting.shots == 0:
        why = ONE_PROMPT
    if why is None:
        gap, exact = gap_estimate(id_value, ood_value, draws, counts, **at)
    p_value = sign_flip_test(parts, draws)
    clustered = parts[0].clusters is not None
    point = GapPoint(
        **asdict(parts[0].setting),
        query_split=group.query_split,
        a_id=accuracy_estimate(id_value, draws.a_id, counts.n, few=counts.few_id, **at),
        a_ood=accuracy_estimate(ood_value, draws.a_ood, counts.n, few=counts.few_ood, **at),
        gap=gap,
        unresolved_because=why,
        flags=flags_of(parts, each_drawn, **at),
        exact=exact,
        simultaneous=None,
        fieller=None if gap is None or exact else fieller(id_value, ood_value, draws, **at),
        detectable=None if gap is None else detectable_gap(gap, draws, exact=exact, **at),
        bounds=bounds_from_unanswered(parts),
        smooth=None if _floored(group) else smooth_gap(parts, draws, **at),
        test=SignFlipTest(p_value, p_value, p_value),
        accuracies=_accuracies(parts),
        n_queries=sum(int(part.answered.any(axis=0).sum()) for part in parts),
        n_clusters=sum(part.n_clusters for part in parts) if clustered else None,
        n_seeds=len(parts[0].seeds),
        seed_share=None if gap is None else seed_share(parts, ood_value / id_value, **at),
        n_skipped=sum(int(part.skipped.sum()) for part in parts),
        n_failed=sum(int(part.failed.sum()) for part in parts),
        shots_effective=_mean([part.shots for part in parts], answered),
        coverage_id=_mean([part.coverage_id for part in parts], answered),
        coverage_ood=_mean([part.coverage_ood for part in parts], answered),
    )
    return ResampledGap(point, draws, counts)


def _floored(group: _Sides) -> bool:
    """Return whether two sides are pooled of which one is at its floor."""
    return len(group.parts) > 1 and any(map(at_floor, group.parts))


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


def _remarks(group: _Sides, point: GapPoint) -> Remarks:
    """Return the remarks on one gap."""
    where = f"{point.label}, {point.query_split} queries"
    remarks = _reservations(group, point, where)
    if point.shots == 0:
        remarks.append((f"no gap: {ONE_PROMPT}", point.label))
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


def _reservations(group: _Sides, point: GapPoint, where: str) -> Remarks:
    """Return the remarks on what an interval, or a pooled number, is worth."""
    remarks: Remarks = []
    if point.n_seeds < MIN_SHARED_SEEDS and any(part.crossed for part in group.parts):
        text = (
            f"all queries share their exemplars, and fewer than {MIN_SHARED_SEEDS} seeds say too "
            "little of how much these matter; number of seeds"
        )
        remarks.append((text, f"{point.n_seeds} in {where}"))
    if point.n_clusters is not None and point.n_clusters < MIN_CLUSTERS:
        text = f"fewer than {MIN_CLUSTERS} clusters of queries, so intervals are too narrow; number"
        remarks.append((text, f"{point.n_clusters} in {where}"))
    if point.flags and point.gap is not None:
        text = "the pooled gap hides its sides; see them in its place"
        remarks.append((text, f"{point.label}: {'; '.join(point.flags)}"))
    if _floored(group) and all(part.has_logprob.any() for part in group.parts):
        text = "no pooled smooth gap: a side is at its floor"
        remarks.append((text, point.label))
    return remarks

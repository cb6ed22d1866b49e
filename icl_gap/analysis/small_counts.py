"""Exact bounds where few queries show a difference, and a bootstrap has little or no spread.

A bootstrap of 0 right answers among 200 has no spread, which does not mean certainty. The bounds
here are exact for independent queries with one request each. A query with several requests
(seeds) counts once, by the shares of its requests; its requests depend on each other, and this is
the most that they can. With clusters of queries, a cluster counts once. Both are conservative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

import numpy as np
from scipy import stats

from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes

FEW = 10
"""Number of queries below which a bootstrap over them is not relied on alone."""


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Shares of outcomes ID and OOD, and the number of queries (or clusters) that show them."""

    n: int
    """Number of independent queries; for two sides, twice that of the smaller side."""
    both: float
    """Share of requests that are right under both conditions, in [0, 1]; sides weigh the same."""
    only_id: float
    only_ood: float
    differing: int
    """Number of queries with a request that is right under one condition alone."""
    right_id: int
    """Number of queries with a request that is right ID."""
    wrong_id: int
    right_ood: int
    wrong_ood: int

    @property
    def few_id(self) -> bool:
        """True if few queries are right, or few are wrong, ID."""
        return min(self.right_id, self.wrong_id) < FEW

    @property
    def few_ood(self) -> bool:
        """True if few queries are right, or few are wrong, OOD."""
        return min(self.right_ood, self.wrong_ood) < FEW

    @property
    def few_differing(self) -> bool:
        """True if few queries differ between the conditions, or few are right OOD."""
        return min(self.differing, self.right_ood) < FEW


def count_pairs(parts: Sequence[PairedOutcomes]) -> PairedCounts:
    """Count the paired outcomes of one side, or of both with equal weights."""
    sides = [_counts(part) for part in parts]
    n = len(parts) * min(int((side[0] > 0).sum()) for side in sides)
    shares = np.mean([side[1:4].sum(axis=1) / side[0].sum() for side in sides], axis=0)
    answered, both, only_id, only_ood = np.concatenate(sides, axis=1)
    inside, outside = both + only_id, both + only_ood
    return PairedCounts(
        n=n,
        both=float(shares[0]),
        only_id=float(shares[1]),
        only_ood=float(shares[2]),
        differing=int(np.count_nonzero(only_id + only_ood)),
        right_id=int(np.count_nonzero(inside)),
        wrong_id=int(np.count_nonzero(answered - inside)),
        right_ood=int(np.count_nonzero(outside)),
        wrong_ood=int(np.count_nonzero(answered - outside)),
    )


def _counts(part: PairedOutcomes) -> Floats:
    """Return (4, C) numbers of requests: answered, right under both, ID alone, OOD alone."""
    inside, outside = part.hits_id, part.hits_ood
    outcomes = (part.answered, inside * outside, inside * (1 - outside), outside * (1 - inside))
    return part.by_cluster(np.stack(outcomes).sum(axis=1))


def exact_share(share: float, n: float, *, confidence: float) -> tuple[float, float]:
    """Return Clopper and Pearson's interval of a share.

    Clopper & Pearson 1934, Biometrika 26(4), 404-413: Beta quantiles at share * n hits, which need
    not be whole.

    Args:
        share: In [0, 1].
        n: Number of independent trials.
        confidence: Confidence in (0, 1).
    """
    hits, misses, end = share * n, (1 - share) * n, (1 - confidence) / 2
    low = 0.0 if hits <= 0 else float(stats.beta.ppf(end, hits, misses + 1))
    high = 1.0 if misses <= 0 else float(stats.beta.isf(end, hits + 1, misses))
    return low, high


def exact_gap_interval(counts: PairedCounts, *, confidence: float) -> tuple[float, float] | None:
    """Return an interval of the relative gap from exact bounds of its two parts.

    gap = 1 - kept - gained, where kept is the share of the queries right ID that stay right OOD,
    and gained = q / (1 - q), with q the share that is right OOD alone of those that are right ID or
    right OOD alone. Given the numbers of each, kept and q are independent binomial shares. Each has
    Clopper and Pearson's bounds, and their distances from the estimates are squared and added
    (MOVER: Zou & Donner 2008, Statistics in Medicine 27(10), 1693-1702).

    Returns:
        The ends; None if no request is right ID, or the share gained is unbounded.
    """
    inside = (counts.both + counts.only_id) * counts.n
    alone = counts.only_ood * counts.n
    if inside <= 0:
        return None
    kept = counts.both * counts.n / inside
    kept_low, kept_high = exact_share(kept, inside, confidence=confidence)
    q_low, q_high = exact_share(alone / (alone + inside), alone + inside, confidence=confidence)
    if q_high >= 1:
        return None
    gained, gap = alone / inside, 1 - kept - alone / inside
    down = hypot(kept_high - kept, q_high / (1 - q_high) - gained)
    up = hypot(kept - kept_low, gained - q_low / (1 - q_low))
    return gap - down, min(1.0, gap + up)

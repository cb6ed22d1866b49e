"""An exact test of A_id = A_ood over all seeds: signs of the queries' differences are flipped.

If the exemplars' side makes no difference, a query's outcomes ID and OOD can be exchanged, with all
its seeds together, so the sign of its difference in hits is + or - with probability 1/2 (Fisher
1935, "The Design of Experiments", section 21; Pitman 1937, JRSS Supplement 4(1)). Whole clusters
are flipped where queries are clustered. Differences are whole numbers, so the distribution over
all flips is computed and not sampled. With one seed this is McNemar's exact test.

Queries that share their exemplars are not independent: a good set helps all of them. The p-value is
then the largest of three: that of the flips, of a normal test with the spread of the resamples,
which contains seeds, and of Student's test of the seeds' mean differences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from icl_gap.analysis.bootstrap import Draws
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes

Integers = NDArray[np.int64]


def sign_flip_test(parts: Sequence[PairedOutcomes], draws: Draws) -> float:
    """Return the two-sided p-value of A_id = A_ood.

    Args:
        parts: One side, or both with equal weights.
        draws: Draws of these sides, averaged.
    """
    differences = [
        np.rint(part.by_cluster((part.hits_id - part.hits_ood).sum(axis=0))).astype(np.int64)
        for part in parts
    ]
    answered = [int(part.answered.sum()) for part in parts]
    p_value = sign_flip_p(differences, answered)
    if not any(part.crossed for part in parts):
        return p_value
    found = np.mean([each.sum() / n for each, n in zip(differences, answered, strict=True)])
    return max(p_value, _resampled_p(float(found), draws), _p_over_seeds(parts))


def _resampled_p(found: float, draws: Draws) -> float:
    """Return the p-value of a normal test with the spread of the resamples; 0 without spread."""
    spread = float(np.nanstd(draws.a_id - draws.a_ood, ddof=1))
    return float(2 * stats.norm.sf(abs(found) / spread)) if spread > 0 else 0.0


def _p_over_seeds(parts: Sequence[PairedOutcomes]) -> float:
    """Return the p-value of Student's test of the seeds' differences; 0 if they do not vary."""
    by_seed = np.mean(
        [
            (part.hits_id - part.hits_ood).sum(axis=1) / np.maximum(part.answered.sum(axis=1), 1)
            for part in parts
        ],
        axis=0,
    )
    varies = len(by_seed) > 1 and np.ptp(by_seed) > 0
    return float(stats.ttest_1samp(by_seed, 0.0).pvalue) if varies else 0.0


def sign_flip_p(differences: Sequence[Integers], answered: Sequence[int]) -> float:
    """Return the share of all flips whose mean difference is at least as far from 0 as observed.

    Args:
        differences: Hits ID less hits OOD of each query or cluster, (C,), for one side or two.
        answered: Number of requests of each side; the means over the requests of each side are
            averaged.
    """
    # The mean of two sides is compared as a whole number: D_1 n_2 + D_2 n_1.
    weights = [1] if len(answered) == 1 else [answered[1], answered[0]]
    observed = abs(sum(w * int(d.sum()) for w, d in zip(weights, differences, strict=True)))
    if observed == 0:
        return 1.0
    values, shares = _flipped_sums(differences[0])
    if len(differences) == 1:
        return min(1.0, float(shares[np.abs(values) >= observed].sum()))
    others, other_shares = _flipped_sums(differences[1])
    # By symmetry, both tails have the same probability.
    above = np.append(np.cumsum(other_shares[::-1])[::-1], 0.0)
    first = np.searchsorted(weights[1] * others, observed - weights[0] * values)
    return min(1.0, 2 * float(shares @ above[first]))


def _flipped_sums(differences: Integers) -> tuple[Integers, Floats]:
    """Return the sums that flips can give, ascending, and the probability of each."""
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    shares = np.ones(1)
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        # Among `count` differences of this size, k positive ones sum to size * (2 k - count).
        step = np.zeros(2 * size * count + 1)
        step[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        shares = np.convolve(shares, step)
    most = len(shares) // 2
    return np.arange(-most, most + 1), shares

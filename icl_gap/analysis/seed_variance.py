"""The part of a gap's variance that comes from seeds, and that more seeds would remove."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from icl_gap.analysis.bootstrap import few_seeds_factor, seed_part
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes


def seed_share(parts: Sequence[PairedOutcomes], ratio: float, *, confidence: float) -> float | None:
    """Return the share of the variance of a gap that more seeds would remove.

    The gap is made linear, by the residuals e = OOD hit - ratio * ID hit of each request. The
    variance of their mean has a part between queries and a part within them: s² / n with the mean
    square within queries s² and n requests. The latter falls with the number of seeds. So does the
    variance between seeds, where exemplars are shared.

    Args:
        parts: One side, or both with equal weights.
        ratio: A_ood / A_id.
        confidence: Confidence of the analysis, on which the spread between few seeds depends.

    Returns:
        A share in [0, 1]; None for a single seed or without variance.
    """
    if len(parts[0].seeds) < 2:
        return None
    within = total = 0.0
    shifts = np.zeros(len(parts[0].seeds))
    for part in parts:
        residuals = part.hits_ood - ratio * part.hits_id
        residuals = (residuals - residuals.sum() / part.answered.sum()) * part.answered
        queries, repeats = _query_variances(part, residuals)
        within += min(queries, repeats)
        total += queries
        if part.crossed:
            shifts += _seed_means(part, residuals, confidence)
    between = float(shifts.var(ddof=1)) / len(shifts)
    return (within + between) / (total + between) if total + between > 0 else None


def _query_variances(part: PairedOutcomes, residuals: Floats) -> tuple[float, float]:
    """Return the variance of the mean over queries, and the part of it within queries."""
    answered = part.answered.sum()
    sums = part.by_cluster(residuals.sum(axis=0))
    n = len(sums)
    over_queries = n / max(1, n - 1) * (sums**2).sum() / answered**2
    by_query, by_seed = part.answered.sum(axis=0), part.answered.sum(axis=1, keepdims=True)
    freedom = answered - np.count_nonzero(by_query)
    if part.crossed:  # The variance between seeds is counted apart.
        residuals = residuals - residuals.sum(axis=1, keepdims=True) / np.maximum(by_seed, 1)
        residuals = residuals * part.answered
        freedom -= np.count_nonzero(by_seed) - 1
    means = residuals.sum(axis=0) / np.maximum(by_query, 1)
    left = (part.answered * (residuals - means) ** 2).sum()
    within = left / freedom / answered if freedom > 0 else 0.0
    return float(over_queries), float(within)


def _seed_means(part: PairedOutcomes, residuals: Floats, confidence: float) -> Floats:
    """Return (S,) mean residuals of the seeds, scaled to the spread that the bootstrap adds."""
    by_seed = np.maximum(part.answered.sum(axis=1), 1)
    beyond = seed_part(np.stack([part.hits_id, part.hits_ood]), part.answered)
    scale: Floats = np.sqrt(beyond) * few_seeds_factor(len(by_seed), confidence)
    means: Floats = scale * residuals.sum(axis=1) / by_seed
    return means

"""The gap at equal coverage, and the part of the gap that coverage explains.

A pair is one query under one seed, with ID and with OOD exemplars: nothing else differs within it.

- *Matched*: the gap over the pairs with equal coverage under both conditions; percentile intervals
  over resampled queries.
- *Explained*: see `icl_gap.diagnosis.explanation`. An association within queries, which is a causal
  effect only if nothing else that matters differs as coverage does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from icl_gap.analysis.estimate import Estimate
from icl_gap.diagnosis.conditional_logit import Floats
from icl_gap.diagnosis.coverage import MEASURES
from icl_gap.diagnosis.explanation import CONFIDENCE, Explanation, explain
from icl_gap.text import brief

FACTORS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "words and tokens": ("source_coverage", "target_coverage"),
        "structures": ("structure_coverage",),
        "length": ("longer",),
        "all of them": ("source_coverage", "target_coverage", "structure_coverage", "longer"),
    }
)
"""Candidate explanations of a gap: their names, and the measures that each holds equal."""

RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class RequestPairs:
    """N pairs of requests; a pair is one query under one seed, ID and OOD."""

    right: Floats
    """(2, N): 1 where the answer is right, else 0; ID first."""
    measures: Floats
    """(2, N, K): the K measures in the order of `MEASURES`."""
    query: NDArray[np.int64]
    """(N,): index of the query, contiguous from 0."""

    def __repr__(self) -> str:
        return brief("RequestPairs", f"{len(self.query):,} pairs")


@dataclass(frozen=True, slots=True)
class GapDecomposition:
    """A relative gap, the gap at equal coverage, and the parts that coverage explains."""

    n: int
    """Number of pairs."""
    gap: Estimate | None
    """The relative gap; None if some resamples have no right ID answer."""
    n_matched: int
    """Number of pairs with equal coverage under both conditions."""
    matched: Estimate | None
    """The relative gap of these pairs."""
    explained: Mapping[str, Explanation]
    """For each of `FACTORS`, the part of the relative gap that it explains, or why that cannot be
    told. Empty if there is no gap."""

    def __repr__(self) -> str:
        gap = "no gap" if self.gap is None else f"gap {self.gap.value:.3f}"
        return brief("GapDecomposition", gap, f"{self.n:,} pairs, {self.n_matched:,} matched")


def decompose_gap(
    pairs: RequestPairs, *, seed: int = 0, resamples: int = RESAMPLES
) -> GapDecomposition:
    """Estimate the gap at equal coverage, and the part of the gap that coverage explains.

    Args:
        pairs: Pairs of one model on one benchmark side with one number of shots.
        seed: Seed of the resampling.
        resamples: Number of resamples for the gaps.
    """
    n_queries = int(pairs.query.max()) + 1
    rng = np.random.default_rng(seed)
    chances = np.full(n_queries, 1 / n_queries)
    counts = rng.multinomial(n_queries, chances, size=resamples).astype(float)
    draws = np.vstack([np.ones(n_queries), counts])  # the first row is the data itself
    held = [MEASURES.index(name) for name in FACTORS["all of them"]]
    matched = np.all(pairs.measures[0][:, held] == pairs.measures[1][:, held], axis=1)
    gap = _estimate(_gaps(pairs, draws, np.ones(len(matched), bool)))
    factors = FACTORS.items() if gap is not None else ()
    numbers = {name: [MEASURES.index(each) for each in measures] for name, measures in factors}
    return GapDecomposition(
        n=len(pairs.query),
        gap=gap,
        n_matched=int(matched.sum()),
        matched=_estimate(_gaps(pairs, draws, matched)),
        explained={
            name: explain(pairs.right, pairs.measures[:, :, columns], pairs.query)
            for name, columns in numbers.items()
        },
    )


def _gaps(pairs: RequestPairs, draws: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Return the relative gap of some pairs under each draw; NaN where no ID answer is right."""
    weights = draws[:, pairs.query[kept]]
    hits_id, hits_ood = (weights @ right[kept] for right in pairs.right)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((hits_id - hits_ood) / hits_id)


def _estimate(draws: Floats) -> Estimate | None:
    """Return the first draw with the interval of the others; None if a draw is not finite."""
    if not np.isfinite(draws).all():
        return None
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws[1:], [outside, 1 - outside])
    return Estimate(float(draws[0]), float(low), float(high))

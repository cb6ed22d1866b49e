"""The gap at equal coverage, and the part of the gap that coverage explains.

A pair is one query under one seed, with ID and with OOD exemplars: nothing else differs within it.

- *Matched*: the gap over the pairs with equal coverage under both conditions.
- *Explained*: a logistic regression of correctness on the condition and on coverage, with a random
  effect for each query (normal, unit variance). The fitted model predicts OOD accuracy with the
  coverage of the ID twin; the gain, divided by A_id, is the part of the gap that coverage explains.
  The model assumes that coverage has the same effect under both conditions. The result is an
  association, not a causal effect.

Intervals are percentile intervals over resampled queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from icl_gap.analysis.estimate import Estimate
from icl_gap.diagnosis.coverage import MEASURES
from icl_gap.text import brief

Floats = NDArray[np.float64]

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
CONFIDENCE = 0.95
_STEPS, _AGAIN = 25, 4
"""Newton steps: from zero, and from the fit to all queries."""
_RIDGE = 1e-2
"""Prior precision of the coefficients; keeps them finite where coverage separates the answers."""


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
    explained: Mapping[str, Estimate]
    """For each of `FACTORS`, the part of the relative gap that it explains, on the scale of the
    gap: 0.1 of a gap of 0.3 is a third. Empty if there is no gap."""

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
        resamples: Number of resamples.
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
    parts = {name: _estimate(_explained(pairs, draws, measures)) for name, measures in factors}
    return GapDecomposition(
        n=len(pairs.query),
        gap=gap,
        n_matched=int(matched.sum()),
        matched=_estimate(_gaps(pairs, draws, matched)),
        explained={name: part for name, part in parts.items() if part is not None},
    )


def _gaps(pairs: RequestPairs, draws: Floats, kept: NDArray[np.bool_]) -> Floats:
    """Return the relative gap of some pairs under each draw; NaN where no ID answer is right."""
    weights = draws[:, pairs.query[kept]]
    hits_id, hits_ood = (weights @ right[kept] for right in pairs.right)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((hits_id - hits_ood) / hits_id)


def _explained(pairs: RequestPairs, draws: Floats, measures: Sequence[str]) -> Floats:
    """Return the part of the gap that some measures explain, under each draw."""
    columns = pairs.measures[:, :, [MEASURES.index(name) for name in measures]]
    spread = columns.std(axis=(0, 1))
    columns = (columns - columns.mean(axis=(0, 1))) / np.where(spread > 0, spread, 1)
    n = len(pairs.query)
    ones, ood = np.ones(2 * n), np.repeat([0.0, 1.0], n)
    design = np.column_stack([ones, ood, columns.reshape(2 * n, -1)])
    rows = _Rows(design, np.tile(pairs.query, 2), pairs.right.ravel())
    start = _fit(rows, draws[0], None, _STEPS)
    found = np.full(len(draws), np.nan)
    for number, draw in enumerate(draws):
        slopes, effects = start if number == 0 else _fit(rows, draw, start, _AGAIN)
        as_observed = design[n:] @ slopes + effects[pairs.query]
        moved = as_observed + (columns[0] - columns[1]) @ slopes[2:]
        weights = draw[pairs.query]
        a_id = weights @ pairs.right[0]
        if a_id > 0:
            found[number] = weights @ (expit(moved) - expit(as_observed)) / a_id
    return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """Design, query index and outcome of a regression, one row a request."""

    design: Floats
    """(rows, columns)."""
    query: NDArray[np.int64]
    """(rows,)."""
    right: Floats
    """(rows,)."""


def _fit(
    rows: _Rows, draw: Floats, start: tuple[Floats, Floats] | None, steps: int
) -> tuple[Floats, Floats]:
    """Fit coefficients and query effects by Newton's method.

    Each row has one query, so the Hessian's block of query effects is diagonal and is eliminated.

    Args:
        rows: The requests.
        draw: (queries,): number of times each query is drawn.
        start: Coefficients and effects to start from; zeros if None.
        steps: Number of Newton steps.
    """
    design, query = rows.design, rows.query
    slopes, effects = start or (np.zeros(design.shape[1]), np.zeros(len(draw)))
    weights, prior = draw[query], np.where(draw > 0, draw, 1.0)
    for _ in range(steps):
        chance = expit(design @ slopes + effects[query])
        curved = weights * chance * (1 - chance)
        pull = weights * (rows.right - chance)
        diagonal = _sums(query, curved, len(draw)) + prior
        across = np.stack([_sums(query, curved * each, len(draw)) for each in design.T])
        within = (design.T * curved) @ design + _RIDGE * np.eye(design.shape[1])
        slope_pull = design.T @ pull - _RIDGE * slopes
        effect_pull = _sums(query, pull, len(draw)) - prior * effects
        reduced = within - (across / diagonal) @ across.T
        step = np.linalg.solve(reduced, slope_pull - across @ (effect_pull / diagonal))
        slopes = slopes + step
        effects = effects + (effect_pull - across.T @ step) / diagonal
    return slopes, effects


def _sums(query: NDArray[np.int64], values: Floats, n: int) -> Floats:
    """Return the sum of the values of each of n queries."""
    return np.bincount(query, values, n).astype(np.float64)


def _estimate(draws: Floats) -> Estimate | None:
    """Return the first draw with the interval of the others; None if a draw is not finite."""
    if not np.isfinite(draws).all():
        return None
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws[1:], [outside, 1 - outside])
    return Estimate(float(draws[0]), float(low), float(high))

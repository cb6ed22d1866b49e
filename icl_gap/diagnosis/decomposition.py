"""The gap at equal coverage, and what coverage explains of it.

Each query is asked under both conditions, so nothing but its exemplars differs within a pair. Two
ways lead from there:

- *Matched*: the gap over those pairs whose exemplars cover alike under both conditions.
- *Explained*: a logistic regression of being right on the condition and on coverage, with an effect
  for each query, normal with unit variance. Under it, OOD requests are given the coverage of their
  ID twins; what accuracy they gain is the part of the gap that coverage explains. It supposes that
  coverage acts alike under both conditions, and tells an association, not a cause.

Intervals resample queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

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
"""What may explain a gap, by its name: the measures that are held equal."""

RESAMPLES = 500
CONFIDENCE = 0.95
_STEPS, _AGAIN = 25, 4
"""Newton's steps, from nothing and from the fit to all queries."""
_RIDGE = 1e-2
"""The precision of coefficients' priors: it keeps them finite where coverage tells all."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """N pairs of requests: one query under one seed, ID and OOD."""

    right: Floats
    """(2, N): 1 where the answer is right, ID first."""
    measures: Floats
    """(2, N, K): in the order of `MEASURES`."""
    query: NDArray[np.int64]
    """(N,): the number of the query, from 0 without holes."""

    def __repr__(self) -> str:
        return brief("Pairs", f"{len(self.query):,} pairs")


@dataclass(frozen=True, slots=True)
class Range:
    """A number with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Explained:
    """A gap and where it comes from."""

    n: int
    """Pairs."""
    gap: Range | None
    """The relative gap; None where so few ID answers are right that some resamples have none."""
    n_matched: int
    """Pairs that are covered alike under both conditions."""
    matched: Range | None
    """The relative gap of these."""
    explained: Mapping[str, Range]
    """For each of `FACTORS`, the part of the relative gap that it explains, in the same unit: 0.1
    of a gap of 0.3 is a third. Empty where there is no gap."""

    def __repr__(self) -> str:
        gap = "no gap" if self.gap is None else f"gap {self.gap.value:.3f}"
        return brief("Explained", gap, f"{self.n:,} pairs, {self.n_matched:,} covered alike")


def explain(pairs: Pairs, *, seed: int = 0, resamples: int = RESAMPLES) -> Explained:
    """Compare at equal coverage.

    Args:
        pairs: Of one model on one benchmark, side and number of shots.
        seed: Of the resampling.
        resamples: How many.
    """
    n_queries = int(pairs.query.max()) + 1
    rng = np.random.default_rng(seed)
    chances = np.full(n_queries, 1 / n_queries)
    counts = rng.multinomial(n_queries, chances, size=resamples).astype(float)
    draws = np.vstack([np.ones(n_queries), counts])  # the first is all queries as they are
    held = [MEASURES.index(name) for name in FACTORS["all of them"]]
    alike = np.all(pairs.measures[0][:, held] == pairs.measures[1][:, held], axis=1)
    gap = _range(_gaps(pairs, draws, np.ones(len(alike), bool)))
    return Explained(
        n=len(pairs.query),
        gap=gap,
        n_matched=int(alike.sum()),
        matched=_range(_gaps(pairs, draws, alike)),
        explained={
            name: found
            for name, measures in FACTORS.items()
            if gap is not None and (found := _range(_explained(pairs, draws, measures))) is not None
        },
    )


def _gaps(pairs: Pairs, draws: Floats, kept: NDArray[np.bool_]) -> Floats:
    """The relative gap of some pairs under each draw; NaN where no ID answer is right."""
    weights = draws[:, pairs.query[kept]]
    hits_id, hits_ood = (weights @ right[kept] for right in pairs.right)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((hits_id - hits_ood) / hits_id)


def _explained(pairs: Pairs, draws: Floats, measures: Sequence[str]) -> Floats:
    """What OOD accuracy gains by the coverage of its twins, by A_id, under each draw."""
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
        as_they_are = design[n:] @ slopes + effects[pairs.query]
        moved = as_they_are + (columns[0] - columns[1]) @ slopes[2:]
        weights = draw[pairs.query]
        a_id = weights @ pairs.right[0]
        if a_id > 0:
            found[number] = weights @ (expit(moved) - expit(as_they_are)) / a_id
    return found


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is regressed."""

    design: Floats
    """(rows, columns)."""
    query: NDArray[np.int64]
    """(rows,)."""
    right: Floats
    """(rows,)."""


def _fit(
    rows: _Rows, draw: Floats, start: tuple[Floats, Floats] | None, steps: int
) -> tuple[Floats, Floats]:
    """The coefficients and the effects of the queries, by Newton's method.

    Queries are many and meet in no row, so their block is diagonal, and is eliminated.

    Args:
        rows: The requests.
        draw: (queries,): how often each is drawn.
        start: Where to begin; at 0 if None.
        steps: How many.
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
    return np.bincount(query, values, n).astype(np.float64)


def _range(draws: Floats) -> Range | None:
    """The first draw, with the interval of the others; None where some have no value."""
    if not np.isfinite(draws).all():
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws[1:], [tail, 1 - tail])
    return Range(float(draws[0]), float(low), float(high))

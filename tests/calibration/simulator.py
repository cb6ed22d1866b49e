"""Simulated studies whose truth is stated beforehand: hits ID and OOD of all models of a family.

This module imports NumPy alone and shares no code with the estimators that it is held against.

A request's log-odds of a hit are the sum of a level, the query's difficulty (common to all models
and seeds; correlated between ID and OOD), the luck of the request's exemplars (common to all
models, as they see the same prompt), and what the query is to this model alone. All but the level
are normal, so the level that gives an accuracy exactly is found by integration.

The true gap of model m in a cell is level + slope * (x_m - centre) + u_m. x is log10 of the
size, and u_m ~ N(0, scatter^2) is correlated between the cells of a study.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

LEAST, MOST = 5e-4, 0.999
"""Lowest and highest true accuracy OOD; a gap that would lead beyond them is cut."""
REACH = 40.0
"""Highest log-odds that are tabulated."""


@dataclass(frozen=True, slots=True)
class CellTruth:
    """One number of shots on one side of the benchmark."""

    shots: int
    side: str
    """`test` or `train`."""
    level: float
    """The line's gap at the mean of the sizes' logarithms."""
    slope: float
    """Change of the line's gap for ten times the size."""
    a_id: tuple[float, ...]
    """True accuracy ID of each model, smallest first."""


@dataclass(frozen=True, slots=True)
class StudyTruth:
    """A family of M models, and how its outcomes come about."""

    sizes: tuple[float, ...]
    """log10 of the number of parameters of each model, smallest first."""
    cells: tuple[CellTruth, ...]
    scatter: float
    """Standard deviation of the models' gaps about the line, tau."""
    common: float = 0.5
    """Correlation of a model's scatter between cells."""
    queries: int = 200
    seeds: int = 2
    difficulty_sd: float = 1.0
    exemplars_sd: float = 0.5
    own_sd: float = 0.5
    condition_correlation: float = 0.8
    """Correlation of a query's difficulty ID and OOD."""
    unseen: tuple[float, ...] = ()
    """log10 of the sizes of models of the family that the study does not have."""

    @property
    def centre(self) -> float:
        """Mean of the sizes' logarithms."""
        return float(np.mean(self.sizes))

    @property
    def decades(self) -> float:
        """Distance from the smallest size to the largest, in decades."""
        return max(self.sizes) - min(self.sizes)

    @property
    def odds_sd(self) -> float:
        """Standard deviation of the log-odds of one model's requests."""
        return float(np.sqrt(self.difficulty_sd**2 + self.exemplars_sd**2 + self.own_sd**2))

    def all_a_id(self) -> Floats:
        """Accuracy ID by cell and model, (C, M + U); unseen ones are interpolated."""
        return np.array([np.interp(self.all_sizes(), self.sizes, c.a_id) for c in self.cells])

    def all_sizes(self) -> tuple[float, ...]:
        """log10 of the sizes of the models, then of the unseen ones."""
        return (*self.sizes, *self.unseen)


@dataclass(frozen=True, slots=True)
class SimulatedStudies:
    """N studies of one truth."""

    truth: StudyTruth
    hits: NDArray[np.bool_]
    """(N, C, M, 2, S, Q), ID first."""
    gaps: Floats
    """(N, C, M + U): true gaps of the models, then of the unseen ones."""


def simulate(truth: StudyTruth, rng: np.random.Generator, studies: int) -> SimulatedStudies:
    """Draw true gaps and outcomes of several studies.

    Args:
        truth: The truth behind all of them.
        rng: Source of all draws.
        studies: Number of studies, N.
    """
    gaps = _true_gaps(truth, rng, studies)
    models = len(truth.sizes)
    a_id = np.broadcast_to(truth.all_a_id(), gaps.shape)
    accuracies = np.stack([a_id, (1 - gaps) * a_id], axis=-1)[:, :, :models]
    levels = log_odds_level(accuracies, truth.odds_sd).astype(np.float32)
    hits = np.empty((*levels.shape, truth.seeds, truth.queries), dtype=np.bool_)
    shared = {side: _difficulty(truth, rng, studies) for side in ("test", "train")}
    for n, cell in enumerate(truth.cells):
        hard, own = shared[cell.side]
        luck = _normal(rng, (studies, 1, 2, truth.seeds, truth.queries), truth.exemplars_sd)
        odds = levels[:, n, ..., None, None] + hard + own + luck
        drawn = rng.random(odds.shape, dtype=np.float32)
        hits[:, n] = drawn * (1 + np.exp(-np.clip(odds, -60, 60))) < 1
    return SimulatedStudies(truth, hits, gaps)


def log_odds_level(accuracies: Floats, sd: float) -> Floats:
    """Return the mean log-odds at which normal log-odds of this spread have these mean accuracies.

    Args:
        accuracies: Any shape, in (0, 1).
        sd: Standard deviation of the log-odds.
    """
    levels, means = _mean_accuracies(sd)
    found: Floats = np.interp(_logit(accuracies), _logit(means), levels)
    return found


@lru_cache
def _mean_accuracies(sd: float) -> tuple[Floats, Floats]:
    """Tabulate E[1 / (1 + exp(-(level + sd z)))] by the trapezoid rule, exact to rounding here."""
    levels = np.linspace(-REACH, REACH, 8001)
    z = np.arange(-9, 9.001, 0.1)
    density = np.exp(-(z**2) / 2)
    density /= density.sum()
    means = sum(d / (1 + np.exp(-(levels + sd * each))) for d, each in zip(density, z, strict=True))
    kept = (means > 1e-9) & (means < 1 - 1e-9)
    return levels[kept], np.asarray(means)[kept]


def _logit(p: Floats) -> Floats:
    found: Floats = np.log(p) - np.log1p(-p)
    return found


def _true_gaps(truth: StudyTruth, rng: np.random.Generator, studies: int) -> Floats:
    """Draw (N, C, M + U) gaps about each cell's line."""
    x = np.array(truth.all_sizes()) - truth.centre
    line = np.array([cell.level + cell.slope * x for cell in truth.cells])
    common = rng.normal(size=(studies, 1, len(x)))
    own = rng.normal(size=(studies, *line.shape))
    scatter = np.sqrt(truth.common) * common + np.sqrt(1 - truth.common) * own
    a_id = truth.all_a_id()
    gaps: Floats = np.clip(line + truth.scatter * scatter, 1 - MOST / a_id, 1 - LEAST / a_id)
    return gaps


def _difficulty(truth: StudyTruth, rng: np.random.Generator, studies: int) -> tuple[Floats, Floats]:
    """Draw what queries add for all models, (N, 1, 2, 1, Q), and for each, (N, M, 1, 1, Q)."""
    r = truth.condition_correlation
    inside, other = _normal(rng, (2, studies, truth.queries), truth.difficulty_sd)
    both = np.stack([inside, r * inside + np.float32(np.sqrt(1 - r * r)) * other], axis=1)
    own = _normal(rng, (studies, len(truth.sizes), 1, 1, truth.queries), truth.own_sd)
    return both[:, None, :, None, :], own


def _normal(rng: np.random.Generator, shape: tuple[int, ...], sd: float) -> Floats:
    drawn: Floats = rng.standard_normal(shape, dtype=np.float32) * np.float32(sd)
    return drawn

"""Record of a fitted line with its uncertainty, and the gaps that it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from icl_gap.text import brief


@dataclass(frozen=True, slots=True)
class LinePosterior:
    """A line of the gap under T values of tau, the standard deviation between models."""

    centre: float
    """log10 of the scale at which the level is taken."""
    taus: tuple[float, ...]
    weights: tuple[float, ...]
    """Posterior probabilities of the values of tau."""
    levels: tuple[float, ...]
    slopes: tuple[float, ...]
    covs: tuple[tuple[float, float, float], ...]
    """Variance of the level, covariance, variance of the slope."""

    def mean(self, scale: float) -> float:
        """Return the line's gap at one scale."""
        x = log10(scale) - self.centre
        lines = zip(self.weights, self.levels, self.slopes, strict=True)
        return sum(weight * (level + x * slope) for weight, level, slope in lines)

    def interval(self, scale: float, confidence: float, *, new_model: bool) -> tuple[float, float]:
        """Return the interval of the line, or of a new model's gap, at one scale."""
        return self.intervals([scale], confidence, new_model=new_model)[0]

    def intervals(
        self, scales: Sequence[float], confidence: float, *, new_model: bool
    ) -> list[tuple[float, float]]:
        """Return the intervals of the line, or of a new model's gap, at several scales.

        Their ends are quantiles of the mixture over tau of normal distributions.
        """
        import numpy as np

        from icl_gap.analysis.scaling.mixtures import mixture_quantile

        x = np.log10(scales)[:, None] - self.centre
        level, both, along = np.array(self.covs).T
        variance = level + 2 * x * both + x**2 * along
        if new_model:
            variance = variance + np.square(self.taus)
        means, weights = np.array(self.levels) + x * np.array(self.slopes), np.array(self.weights)
        low, high = (
            mixture_quantile(p, means, np.sqrt(variance), weights).tolist()
            for p in ((1 - confidence) / 2, (1 + confidence) / 2)
        )
        return list(zip(low, high, strict=True))

    def __repr__(self) -> str:
        return brief("LinePosterior", f"{len(self.taus)} values of tau")

"""Power of a planned study: the gap and the slope that it would detect, and the cheapest remedy.

One model's gap has a standard error from its queries. A slope has another source of error, the
scatter τ of models about their line, which no number of queries makes smaller.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, sqrt

import numpy as np
from scipy import optimize, stats

from icl_gap.analysis.evidence import POWER, standard_errors_to_detect
from icl_gap.analysis.outcomes import Floats
from icl_gap.text import brief

CONFIDENCE = 0.95
"""Confidence of the intervals that have to exclude 0."""
FEWEST_MODELS = 3
"""Models that a slope and its error take, at least."""
FEWEST_PERMUTED_MODELS = 5
"""Models with which a two-sided permutation test can reach p ≤ 0.05, at least: with four, the
smallest p is 2 / 4! = 0.083, with five 2 / 5! = 0.017."""
MOST_MODELS = 99
"""Models that a remedy may take."""
_LEVELS = 2000
"""Quantiles of the estimated error over which a power is averaged."""


@dataclass(frozen=True, slots=True)
class Design:
    """A planned study of the models of one family on one benchmark, with one number of shots.

    The exemplars of a query differ between seeds; where queries share theirs, variation between
    seeds comes on top.
    """

    scales: tuple[float, ...]
    """log10 of each model's scale, such as its number of parameters."""
    queries: tuple[int, ...]
    """Number of queries of each side; with two sides, of the pooled gap."""
    seeds: int
    a_id: float = 0.5
    """Assumed accuracy under ID; under OOD it is assumed to be about the same."""
    seed_correlation: float = 0.5
    """Assumed correlation of a model's hits on one query under one condition with two seeds."""
    condition_correlation: float = 0.4
    """The same under ID and OOD; at most as large, or the error would turn out too small."""

    @property
    def gap_error(self) -> float:
        """The standard error of one model's gap near 0, from its queries alone.

        Delta method for 1 - A_ood / A_id (Casella & Berger 2002, section 5.5.4) at A_ood = A_id:

            2 (1 - A) (r + (1 - r) / S - c) / (A n)

        is its variance with n queries, S seeds and the two assumed correlations r and c. Sides have
        equal weights: n = K^2 / sum(1 / n_k) for K sides of n_k queries.
        """
        n = len(self.queries) ** 2 / sum(1 / each for each in self.queries)
        r, c = self.seed_correlation, self.condition_correlation
        shared = max(0.0, r + (1 - r) / self.seeds - c)
        return sqrt(2 * (1 - self.a_id) * shared / (self.a_id * n))

    @property
    def smallest_gap(self) -> float:
        """The smallest gap of one model that is detected with power `POWER`."""
        return standard_errors_to_detect(CONFIDENCE) * self.gap_error

    def smallest_slope(self, between_model_sd: float) -> float | None:
        """Return the smallest slope, in gap per tenfold scale, detected with power `POWER`.

        Args:
            between_model_sd: Standard deviation τ of models about the line.

        Returns:
            None with fewer than three models, or if all have one scale.
        """
        error = slope_error(self.scales, self.gap_error, between_model_sd)
        return None if error is None else _errors_to_detect(len(self.scales)) * error

    def __repr__(self) -> str:
        queries = " + ".join(f"{each:,}" for each in self.queries)
        return brief("Design", f"{len(self.scales)} models", f"{queries} queries", f"{self.seeds}")


@dataclass(frozen=True, slots=True)
class Remedy:
    """The ways to detect a slope with power `POWER`, other things being equal."""

    slope: float
    """Change of the gap for ten times the scale."""
    between_model_sd: float
    """Standard deviation τ of models about the line."""
    n_models: int
    """Models of the study."""
    n_queries: int
    """Its queries of a side."""
    power: float
    """Probability that its interval of the slope excludes 0."""
    queries: int | None
    """Queries of a side that would do, with the same models; None if no number would."""
    models: int | None
    """Models that would do, evenly over the same range, with the same queries; None if not even
    `MOST_MODELS` would."""
    available: int | None = None
    """Queries of a side that the benchmark has; None if that is not known."""

    @property
    def sentence(self) -> str:
        """The remedy in words."""
        slope = f"a slope of {self.slope:g}".replace("-", "\N{MINUS SIGN}")
        given = f"{self.n_models} models and τ = {self.between_model_sd:g}"
        if self.power >= POWER:
            return (
                f"With {given}, {self.n_queries:,} queries a side detect {slope} with power "
                f"{self.power:.2f}."
            )
        if self.queries is not None:
            more = "" if self.models is None else f", or {self.models} models"
            lacking = self.available is not None and self.queries > self.available
            few = f" (the benchmark has {self.available:,})" if lacking else ""
            return (
                f"With {given} it takes {self.queries:,} queries a side{few} to detect {slope}"
                f"{more}."
            )
        if self.models is not None:
            return f"With {given} no number of queries detects {slope}; {self.models} models would."
        return (
            f"With {given} no number of queries detects {slope}, and not even {MOST_MODELS} models "
            "over the same range would."
        )


def slope_error(scales: Sequence[float], gap_error: float, between_model_sd: float) -> float | None:
    """Return the standard error of a slope through models that scatter about their line.

    (τ^2 + SE^2)^(1/2) / (sum (x - mean x)^2)^(1/2), for gaps with equal errors SE that are
    independent between models. Models that answer the same queries have correlated errors, which
    makes the slope's smaller.

    Args:
        scales: (M,) log10 of each model's scale.
        gap_error: Standard error SE of one model's gap.
        between_model_sd: Standard deviation τ of models about the line.

    Returns:
        None with fewer than three models, or if all have one scale.
    """
    x = np.asarray(scales, float)
    spread = float(np.sum((x - x.mean()) ** 2)) if len(x) else 0.0
    if len(x) < FEWEST_MODELS or spread < 1e-9:
        return None
    return sqrt((between_model_sd**2 + gap_error**2) / spread)


def slope_power(
    scales: Sequence[float], gap_error: float, *, slope: float, between_model_sd: float
) -> float:
    """Return the probability that a slope's 95 % interval excludes 0.

    The interval is that of t with M - 2 degrees of freedom and an error estimated from the scatter
    of the models (Knapp & Hartung 2003, Statistics in Medicine 22(17)), which for equal errors is
    the test of a regression line; its power is that of the noncentral t.

    Args:
        scales: (M,) log10 of each model's scale.
        gap_error: Standard error of one model's gap.
        slope: True change of the gap for ten times the scale.
        between_model_sd: Standard deviation τ of models about the line.

    Returns:
        0 where no slope can be fitted.
    """
    error = slope_error(scales, gap_error, between_model_sd)
    if error is None:
        return 0.0
    return _power(abs(slope) / error, len(scales) - 2) if error > 0 else float(slope != 0)


def find_remedy(
    scales: Sequence[float],
    gap_error: float,
    n_queries: int,
    *,
    slope: float,
    between_model_sd: float,
    available: int | None = None,
) -> Remedy:
    """Find the queries or the models that it takes to detect a slope.

    Args:
        scales: (M,) log10 of each model's scale; at least three, and not all the same.
        gap_error: Standard error of one model's gap with these queries; its square falls as one
            over their number.
        n_queries: Queries of a side.
        slope: True change of the gap for ten times the scale; not 0.
        between_model_sd: Standard deviation τ of models about the line.
        available: Queries of a side that the benchmark has; None if that is not known.

    Raises:
        ValueError: No slope can be fitted to these models.
    """
    error = slope_error(scales, gap_error, between_model_sd)
    if error is None:
        raise ValueError(f"no slope can be fitted to {len(scales)} models")
    return Remedy(
        slope=slope,
        between_model_sd=between_model_sd,
        n_models=len(scales),
        n_queries=n_queries,
        power=slope_power(scales, gap_error, slope=slope, between_model_sd=between_model_sd),
        queries=_queries(scales, gap_error, n_queries, slope, between_model_sd),
        models=_models(scales, gap_error, slope, between_model_sd),
        available=available,
    )


def _queries(
    scales: Sequence[float], gap_error: float, n_queries: int, slope: float, tau: float
) -> int | None:
    """Return the queries of a side that would do; None if no number would."""
    spread_error = slope_error(scales, 1.0, 0.0) or np.inf
    allowed = (abs(slope) / (_errors_to_detect(len(scales)) * spread_error)) ** 2 - tau**2
    return ceil(n_queries * gap_error**2 / allowed) if allowed > 0 else None


def _models(scales: Sequence[float], gap_error: float, slope: float, tau: float) -> int | None:
    """Return the models, evenly over the same range, that would do; None if too many."""

    def detects(n: int) -> bool:
        even = np.linspace(min(scales), max(scales), n).tolist()
        error = slope_error(even, gap_error, tau)
        return error is not None and _errors_to_detect(n) * error <= abs(slope)

    numbers = range(len(scales) + 1, MOST_MODELS + 1)
    first = bisect_left(numbers, x=True, key=detects)  # more models detect what fewer do
    return numbers[first] if first < len(numbers) else None


def _power(effect: float, df: int) -> float:
    """Return the power of a two-sided t test: both ends of the noncentral t.

    It is the mean over the estimated error, as SciPy's noncentral t gives NaN for some effects.

    Args:
        effect: True effect in standard errors.
        df: Degrees of freedom.
    """
    ends = _interval_ends(df)
    return float(np.mean(stats.norm.cdf(effect - ends) + stats.norm.cdf(-effect - ends)))


@cache
def _interval_ends(df: int) -> Floats:
    """Return (`_LEVELS`,) half widths of the interval, in true errors: quantiles, evenly spaced."""
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    critical = stats.t.ppf((1 + CONFIDENCE) / 2, df)
    return np.asarray(critical * np.sqrt(stats.chi2.ppf(levels, df) / df))


@cache
def _errors_to_detect(n_models: int) -> float:
    """Return the slope, in standard errors, that is detected with power `POWER`."""
    found = optimize.brentq(lambda effect: _power(effect, n_models - 2) - POWER, 0.1, 100.0)
    return float(found)

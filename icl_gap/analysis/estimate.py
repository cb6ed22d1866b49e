"""A number with its interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the ends of its confidence interval.

    The confidence is that of the analysis or diagnosis that holds the estimate.
    """

    value: float
    low: float
    high: float

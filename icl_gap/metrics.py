"""Metrics: what users read of each, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from icl_gap.schema import Metric


@dataclass(frozen=True, slots=True)
class MetricText:
    """Texts of a metric that users read."""

    name: str
    """In tables and reports."""
    label: str
    """On the axes of figures."""
    remedy: str
    """What to do where a scored request lacks the metric's outcome."""


METRICS: Mapping[Metric, MetricText] = MappingProxyType(
    {
        "raw": MetricText("raw exact match", "exact match", "the results are damaged"),
        "canonical": MetricText(
            "canonical exact match",
            "exact match, canonical",
            "run the sweep with `canonical: true`, or with `predictions: full`",
        ),
        "execution": MetricText(
            "execution match",
            "execution match",
            "run the sweep with `predictions: full`, and on benchmarks whose programs are "
            "run (see `language` of their cards)",
        ),
    }
)
"""All metrics, in the order in which they are shown."""

"""Error rates over simulated studies, with their Monte-Carlo errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from calibration.harness import MARGIN, Row

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""
MEDIAN_ERROR = 1.2533
"""Standard error of the median of n normal values, times sqrt(n), in standard deviations."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Measured:
    """A rate or a median over the studies of a setting."""

    value: float
    error: float
    """Its Monte-Carlo standard error. Fits of one study count as one observation."""
    studies: int
    """Number of studies that have a say in it."""


Counted = Callable[[Row], float | None]
"""Value of a row; None if the row has no say."""


def _held(row: Row) -> float | None:
    if row["low"] is None or row["true_slope"] is None:
        return None
    return float(row["low"] <= row["true_slope"] <= row["high"])


def _detected(row: Row) -> float | None:
    """Return 1 where a single side's slope interval is on the true slope's side of 0."""
    slope = row["true_slope"]
    if row["low"] is None or not slope or row["side"] == "pooled":
        return None
    return float(row["high"] < 0 if slope < 0 else row["low"] > 0)


def _announced(row: Row) -> float | None:
    return None if row["low"] is None else float(not row["low"] <= 0 <= row["high"])


def _scatter_held(row: Row) -> float | None:
    """Return 1 where the interval of the scatter between models holds the truth, to 1e-6."""
    if row["between_low"] is None or row["true_scatter"] is None:
        return None
    return float(row["between_low"] - 1e-6 <= row["true_scatter"] <= row["between_high"] + 1e-6)


def _verdict(*starts: str) -> Counted:
    """Count the fits whose verdict starts with one of the texts, among all that give one."""
    return lambda row: None if row["verdict"] is None else float(row["verdict"].startswith(starts))


def _false_trend(row: Row) -> float | None:
    verdict, slope = row["verdict"], row["true_slope"]
    if verdict is None or slope is None:
        return None
    return float((verdict == "narrows" and slope >= 0) or (verdict == "widens" and slope <= 0))


def _false_no_change(row: Row) -> float | None:
    verdict, change = row["verdict"], row["true_change"]
    if verdict is None or change is None:
        return None
    return float(verdict.startswith("no change") and abs(change) > MARGIN + ROUNDING)


def _false_verdict(row: Row) -> float | None:
    trend, no_change = _false_trend(row), _false_no_change(row)
    return None if trend is None or no_change is None else trend + no_change


def _false_of_given(row: Row) -> float | None:
    return _false_verdict(row) if _given(row) else None


def _given(row: Row) -> bool:
    return row["verdict"] not in {None, "undetermined", "withheld"}


def _pooled_verdict(row: Row) -> float | None:
    """Return 1 where pooled sides have a verdict."""
    return None if row["verdict"] is None or row["side"] != "pooled" else float(_given(row))


def _closed(kind: str) -> Counted:
    return lambda row: None if row["closed"] is None else float(row["closed"] == kind)


def _false_closed(row: Row) -> float | None:
    if row["closed"] is None:
        return None
    return float(row["closed"] == "closed" and abs(row["true_largest"]) > MARGIN + ROUNDING)


def _false_open(row: Row) -> float | None:
    if row["closed"] is None:
        return None
    return float(row["closed"] == "open" and abs(row["true_largest"]) < MARGIN - ROUNDING)


def _rejects(test: str) -> Counted:
    return lambda row: None if row[test] is None else float(row[test] <= 0.05 + ROUNDING)


def _unseen(n: int) -> Counted:
    return lambda row: None if row["unseen_held"][n] is None else float(row["unseen_held"][n])


RATES: dict[str, Counted] = {
    "fitted": lambda row: float(row["slope"] is not None),
    "with interval": lambda row: float(row["low"] is not None),
    "slope held": _held,
    "scatter held": _scatter_held,
    "excludes 0": _announced,
    "power": _detected,
    "narrows": _verdict("narrows"),
    "widens": _verdict("widens"),
    "no change": _verdict("no change"),
    "undetermined": _verdict("undetermined", "withheld"),
    "pooled verdict": _pooled_verdict,
    "false verdict": _false_verdict,
    "false trend": _false_trend,
    "false no change": _false_no_change,
    "false of given": _false_of_given,
    "permutation": _rejects("permutation_p"),
    "kendall": _rejects("kendall_p"),
    "new model within": _unseen(0),
    "new model beyond": _unseen(1),
    "closed": _closed("closed"),
    "open": _closed("open"),
    "false closed": _false_closed,
    "false open": _false_open,
}
"""Shares of fits, by name."""


def _bias(row: Row) -> float | None:
    known = row["slope"] is not None and row["true_slope"] is not None
    return row["slope"] - row["true_slope"] if known else None


MEDIANS: dict[str, Counted] = {
    "width": lambda row: None if row["low"] is None else row["high"] - row["low"],
    "bias": _bias,
    "scatter": lambda row: row["between"],
}


def measures(rows: Sequence[Row]) -> dict[str, Measured]:
    """Return all measures of the rows of one setting that at least one row has a say in."""
    found = {}
    for name, counted in RATES.items():
        if values := _valued(rows, counted):
            found[name] = rate(*values)
    for name, counted in MEDIANS.items():
        if values := _valued(rows, counted):
            found[name] = median(*values)
    return found


def _valued(rows: Sequence[Row], counted: Counted) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the values of the rows that have one, and their studies; None if there is none."""
    values = [(value, row["study"]) for row in rows if (value := counted(row)) is not None]
    if not values:
        return None
    numbers, studies = zip(*values, strict=True)
    return np.array(numbers, dtype=float), np.array(studies)


def rate(values: np.ndarray, studies: np.ndarray) -> Measured:
    """Return the mean of values that are grouped by study (a ratio estimate).

    Args:
        values: (n,), each 0 or 1.
        studies: (n,): the study of each.
    """
    _, which = np.unique(studies, return_inverse=True)
    sums, counts = np.bincount(which, values), np.bincount(which)
    share = float(sums.sum() / counts.sum())
    error = sqrt(((sums - share * counts) ** 2).sum()) / counts.sum()
    return Measured(share, max(float(error), 1 / (len(counts) + 2)), len(counts))


def median(values: np.ndarray, studies: np.ndarray) -> Measured:
    """Return the median; its error is that of one normal value a study.

    Args:
        values: (n,).
        studies: (n,): the study of each.
    """
    number = len(np.unique(studies))
    quarters = np.percentile(values, (25, 75))
    error = MEDIAN_ERROR * float(np.diff(quarters)[0]) / NORMAL_IQR / sqrt(number)
    return Measured(float(np.median(values)), error, number)

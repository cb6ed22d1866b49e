"""Functional forms of the gap against scale, and their fit by generalized least squares.

With x = log10(scale) less its mean, a form is fitted by minimizing r' S^-1 r, where r are the
residuals and S is the bootstrap covariance between the models' gaps. S is shrunk by 10% towards its
diagonal, as it is almost singular for models that share queries (Ledoit & Wolf 2004, "A
well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
Analysis 88(2), 365-411). SciPy fits the data; all resamples are then refitted at once, by damped
Gauss-Newton steps from that solution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import expit, logit

from icl_gap.analysis.outcomes import Floats

SHRINKAGE = 0.1
STEPS = 12
"""Number of Gauss-Newton steps."""


@dataclass(frozen=True, slots=True)
class Form:
    """A parametric curve.

    `curve` maps (..., k) parameters and (n,) values of x to (..., m) values: m is n, or 2 n for the
    accuracies ID and then OOD.
    """

    name: str
    parameters: tuple[str, ...]
    curve: Callable[[Floats, Floats], Floats]
    start: Callable[[Floats, Floats], Floats]
    """Return starting parameters for x and the values."""
    of_accuracies: bool = False

    def gap(self, parameters: Floats, x: Floats) -> Floats:
        """Return the gap at x, (..., n)."""
        values = self.curve(parameters, x)
        if not self.of_accuracies:
            return values
        inside, outside = values[..., : len(x)], values[..., len(x) :]
        return 1 - outside / inside


def _line(x: Floats, y: Floats) -> Floats:
    slope, start = np.polyfit(x, y, 1)
    return np.array([start, slope])


def _log(y: Floats) -> Floats:
    logs: Floats = np.log(np.clip(y, 0.02, None))
    return logs


def _floor_start(x: Floats, y: Floats) -> Floats:
    floor = y.min() - 0.1 * np.ptp(y) - 0.01
    return np.array([*_line(x, _log(y - floor)), floor])


def _logistic_start(x: Floats, y: Floats) -> Floats:
    odds = logit(np.clip(y, 0.01, 0.99))
    return np.array([*_line(x, odds[: len(x)]), *_line(x, odds[len(x) :])])


def _logistic(p: Floats, x: Floats) -> Floats:
    inside, outside = (p[..., n : n + 1] + p[..., n + 1 : n + 2] * x for n in (0, 2))
    return np.concatenate([expit(inside), expit(outside)], axis=-1)


FORMS = (
    Form(
        "constant",
        ("level",),
        lambda p, x: p[..., :1] + 0 * x,
        lambda _, y: np.array([y.mean()]),
    ),
    Form("linear", ("level", "slope"), lambda p, x: p[..., :1] + p[..., 1:2] * x, _line),
    Form(
        "power law",
        ("log level", "exponent"),
        lambda p, x: np.exp(p[..., :1] + p[..., 1:2] * x),
        lambda x, y: _line(x, _log(y)),
    ),
    Form(
        "power law with floor",
        ("log level", "exponent", "floor"),
        lambda p, x: p[..., 2:] + np.exp(p[..., :1] + p[..., 1:2] * x),
        _floor_start,
    ),
    Form(
        "logistic accuracies",
        ("ID level", "ID slope", "OOD level", "OOD slope"),
        _logistic,
        _logistic_start,
        of_accuracies=True,
    ),
)
"""The forms that are compared. x is centred, so a level is the value at the mean of x. An exponent
is the change of the natural logarithm per factor of ten."""


def precision_of(draws: Floats) -> Floats:
    """Return the inverse covariance between rows, shrunk towards its diagonal.

    Args:
        draws: (m, B), without NaN.

    Returns:
        (m, m). A row without variance gets the smallest variance of the others; the identity if no
        row varies.
    """
    cov = np.atleast_2d(np.cov(draws))
    spread = np.diag(cov)
    least = spread[spread > 1e-12].min(initial=np.inf)
    if not np.isfinite(least):
        return np.eye(len(cov))
    shrunk = (1 - SHRINKAGE) * cov
    np.fill_diagonal(shrunk, np.maximum(spread, least))
    return np.asarray(np.linalg.inv(shrunk), dtype=np.float64)


def solve(form: Form, x: Floats, values: Floats, precision: Floats) -> Floats:
    """Return the parameters that fit best, (k,).

    Args:
        form: The form.
        x: (n,): centred log10 of the scale.
        values: (m,): gaps, or accuracies ID and then OOD.
        precision: (m, m): inverse covariance of the values.
    """
    root = np.linalg.cholesky(precision).T

    def residuals(parameters: Floats) -> Floats:
        left: Floats = root @ (values - form.curve(parameters, x))
        return left

    best: Floats = optimize.least_squares(residuals, form.start(x, values), max_nfev=400).x
    return best


def solve_many(form: Form, x: Floats, values: Floats, precision: Floats, start: Floats) -> Floats:
    """Return the parameters that fit each of B sets of values best, (B, k).

    Args:
        form: The form.
        x: (n,): centred log10 of the scale.
        values: (B, m); a set with a NaN gets NaN parameters.
        precision: (m, m): inverse covariance of the values.
        start: (k,): parameters of the fit to the data.
    """
    parameters = np.broadcast_to(start, (len(values), len(start))).copy()
    cost = _cost(form, x, values, precision, parameters)
    damping = np.full(len(values), 1e-4)
    for _ in range(STEPS):
        slopes = _slopes(form, x, parameters)
        left = values - form.curve(parameters, x)
        weighed = np.einsum("bmk,mn->bkn", slopes, precision)
        normal = weighed @ slopes
        diagonal = np.einsum("bkk->bk", normal)
        diagonal += damping[:, None] * diagonal + 1e-12
        step = np.linalg.solve(normal, np.nan_to_num(weighed @ left[:, :, None]))
        tried = parameters + step[:, :, 0]
        new = _cost(form, x, values, precision, tried)
        better = new <= cost
        parameters[better], cost[better] = tried[better], new[better]
        damping = np.where(better, damping / 10, damping * 30)
    parameters[np.isnan(values).any(axis=1)] = np.nan
    return parameters


def _cost(form: Form, x: Floats, values: Floats, precision: Floats, parameters: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        left = values - form.curve(parameters, x)
        cost: Floats = np.einsum("bm,mn,bn->b", left, precision, left)
    return np.where(np.isnan(cost), np.inf, cost)


def _slopes(form: Form, x: Floats, parameters: Floats) -> Floats:
    """Return (B, m, k) derivatives by the parameters, from central differences."""
    columns = []
    for n in range(parameters.shape[-1]):
        nudge = np.zeros(parameters.shape[-1])
        nudge[n] = 1e-5
        difference = form.curve(parameters + nudge, x) - form.curve(parameters - nudge, x)
        columns.append(difference / 2e-5)
    return np.stack(columns, axis=-1)

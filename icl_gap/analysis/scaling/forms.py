"""Functional forms of the gap against scale, and their fit by generalized least squares.

With x = log10(scale) less its mean, a form is fitted by minimizing r' S^-1 r, where r are the
residuals and S is the bootstrap covariance between the models' gaps. S is shrunk by 10% towards its
diagonal, as it is almost singular for models that share queries (Ledoit & Wolf 2004, "A
well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate
Analysis 88(2), 365-411).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize
from scipy.special import expit, logit

from icl_gap.analysis.outcomes import Floats

SHRINKAGE = 0.1
_FAR = 1e100
"""Residual of a curve that overflows."""
MOST_EVALUATIONS = 500
"""Evaluations of a form in one fit, at most."""


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


def precision_of(draws: Floats, scattered: Floats | float = 0.0) -> Floats:
    """Return the inverse covariance between rows, shrunk towards its diagonal.

    Args:
        draws: (m, B), without NaN.
        scattered: (m,) or one: variance of a row between models, which is added.

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
    np.fill_diagonal(shrunk, np.maximum(spread, least) + scattered)
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
        with np.errstate(over="ignore", invalid="ignore"):
            left: Floats = root @ (values - form.curve(parameters, x))
        return np.nan_to_num(left, nan=_FAR, posinf=_FAR, neginf=-_FAR)

    # MINPACK's lmdif: a form that the values do not determine stops at the limit of evaluations.
    best, *_ = optimize.leastsq(
        residuals, form.start(x, values), maxfev=MOST_EVALUATIONS, full_output=True
    )
    return np.asarray(best, dtype=np.float64)

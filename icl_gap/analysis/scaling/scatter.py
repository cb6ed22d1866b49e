"""Scatter of models about the line of their gaps, estimated from all curves of a family.

u_cm, the deviation of model m in curve c from its line, has the standard deviation tau, and the
correlation rho between two curves of a model. Both have the restricted likelihood of the contrasts
of all curves together (Patterson & Thompson 1971, Biometrika 58(3), 545-554), linear in the
coefficients around each curve's fitted line. tau has a half-normal prior, rho a uniform one
(Roever et al. 2021, Research Synthesis Methods 12(4), 448-474). Both are integrated by quadrature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.linalg import block_diag

from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.scaling.mixtures import mixture_quantile
from icl_gap.analysis.scaling.regression import CurveRegression
from icl_gap.text import brief

PRIOR_SD = 0.12
"""Scale of the half-normal prior on tau."""
TAUS = 0.8 * (np.arange(18) / 17) ** 2
"""Nodes of the quadrature over tau."""
RHOS = np.array([0.05, 0.35, 0.65, 0.95])
"""Nodes of the quadrature over rho."""
LEAST_WEIGHT = 1e-4
"""Posterior probability below which a node is left out."""
_RIDGE = 1e-9
"""Added to normal equations, for curves in which no request is right."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Posterior of tau and rho: how the gaps of models scatter about the line."""

    joint: Floats
    """(T, R): posterior probabilities of the nodes of tau and rho."""

    @property
    def taus(self) -> Floats:
        """(T,): nodes of tau."""
        return TAUS

    @property
    def plausible(self) -> tuple[Floats, Floats]:
        """The nodes of tau that are not negligible, and their probabilities, which sum to 1."""
        kept = self.weights > LEAST_WEIGHT
        return TAUS[kept], self.weights[kept] / self.weights[kept].sum()

    @property
    def mean_rho(self) -> float:
        """The posterior mean of rho."""
        return float(self.joint.sum(axis=0) @ RHOS[: self.joint.shape[1]])

    @property
    def weights(self) -> Floats:
        """(T,): posterior probabilities of tau."""
        return np.asarray(self.joint.sum(axis=1))

    @property
    def mean(self) -> float:
        """The posterior mean."""
        return float(self.taus @ self.weights)

    def quantile(self, probability: float) -> float:
        """Return a posterior quantile, between two nodes by linear interpolation."""
        middles = np.cumsum(self.weights) - self.weights / 2
        return float(np.interp(probability, middles, self.taus))

    def __repr__(self) -> str:
        return brief("Scatter", f"mean {self.mean:.3f}")


def scatter_likelihood(curves: Sequence[CurveRegression], *, by_size: bool = False) -> Floats:
    """Return the restricted log-likelihood at the nodes of tau and rho, (T, R), up to a constant.

    Args:
        curves: The curves; of one alone, rho has no meaning, and R is 1.
        by_size: Fit a gap of its own to each size, so that tau comes from replicates of a size.
    """
    joint = _JointModel(curves, by_size=by_size)
    rhos = RHOS if len(curves) > 1 else RHOS[:1]
    columns = [joint.fit(TAUS, np.full(len(TAUS), rho)).log_likelihood for rho in rhos]
    return np.column_stack(columns)


def posterior(likelihood: Floats, prior_sd: float = PRIOR_SD) -> Scatter:
    """Return the posterior of tau and rho.

    Args:
        likelihood: (T, R): from `scatter_likelihood`.
        prior_sd: Scale of the half-normal prior of tau.
    """
    logs = likelihood + stats.halfnorm.logpdf(TAUS, scale=prior_sd)[:, None]
    weights = np.exp(logs - logs.max()) * np.gradient(TAUS)[:, None]
    return Scatter(weights / weights.sum())


@dataclass(frozen=True, slots=True)
class JointSlope:
    """One slope for all curves."""

    slope: float
    means: Floats
    """(N,): the slope under each plausible node of tau and rho."""
    sds: Floats
    """(N,): its standard error."""
    weights: Floats
    """(N,): posterior probabilities of the nodes."""
    differ_p: float
    """p-value of a chi-squared test of equal slopes, at the mean tau and rho."""

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the interval: quantiles of the mixture over the nodes."""
        tail = (1 - confidence) / 2
        low, high = (
            float(mixture_quantile(p, self.means, self.sds, self.weights)) for p in (tail, 1 - tail)
        )
        return low, high

    def __repr__(self) -> str:
        return brief("JointSlope", f"slope {self.slope:.3f}")


def joint_slope(curves: Sequence[CurveRegression], scatter: Scatter) -> JointSlope:
    """Fit one slope to several curves, with a level for each, by generalized least squares."""
    joint, own = _JointModel(curves, common_slope=True), _JointModel(curves)
    rows, columns = np.nonzero(scatter.joint > LEAST_WEIGHT)
    fits = joint.fit(TAUS[rows], RHOS[columns])
    weights = scatter.joint[rows, columns] / scatter.joint[rows, columns].sum()
    mean = np.array([scatter.mean]), np.array([scatter.mean_rho])
    rise = float(joint.fit(*mean).chi2[0] - own.fit(*mean).chi2[0])
    differ = stats.chi2.sf(max(0.0, rise), len(curves) - 1) if len(curves) > 1 else 1.0
    slope = float(weights @ fits.slope)
    return JointSlope(slope, fits.slope, np.sqrt(fits.variance), weights, float(differ))


def slope_without(curves: Sequence[CurveRegression], model: str, scatter: Scatter) -> float:
    """Return the slope that is common to all curves without one model."""
    rest = [
        CurveRegression(curve.accuracies.without(curve.accuracies.models.index(model)))
        if model in curve.accuracies.models
        else curve
        for curve in curves
    ]
    joint = _JointModel(rest, common_slope=True)
    return float(joint.fit(np.array([scatter.mean]), np.array([scatter.mean_rho])).slope[0])


@dataclass(frozen=True, slots=True)
class _JointFits:
    """Fits of all curves under N values of tau and rho."""

    log_likelihood: Floats
    """(N,): restricted log-likelihood, up to a constant."""
    chi2: Floats
    """(N,)."""
    slope: Floats
    """(N,): the last coefficient: the common slope, where there is one."""
    variance: Floats
    """(N,): its variance."""


class _JointModel:
    """The contrasts of all curves, linear in the coefficients around each curve's fitted line.

    Args:
        curves: The curves.
        by_size: Give each size of a curve a gap of its own.
        common_slope: Give all curves one slope.
    """

    def __init__(
        self,
        curves: Sequence[CurveRegression],
        *,
        by_size: bool = False,
        common_slope: bool = False,
    ) -> None:
        parts = [_Residuals.of(curve) for curve in curves]
        self._loading = np.concatenate([part.loading for part in parts])
        value = np.concatenate([part.value for part in parts])
        where = np.repeat(np.arange(len(curves)), [len(part.value) for part in parts])
        x = np.concatenate([curve.accuracies.x for curve in curves])
        own = (where[:, None] == np.arange(len(curves))).astype(float)
        if common_slope:
            # Contrasts at gaps of 0 for all, so that one slope is fitted to all of them.
            slopes = np.concatenate([part.gaps for part in parts])
            value = value - self._loading * slopes
            columns = np.column_stack([own, x - x.mean()])
        elif by_size:
            columns = block_diag(
                *(
                    (c.accuracies.x[:, None] == np.unique(c.accuracies.x)).astype(float)
                    for c in curves
                )
            )
        else:
            columns = np.column_stack([own, own * (x - x.mean())[:, None]])
        self._columns = np.column_stack([self._loading[:, None] * columns, value])
        self._sampled = _joint_covariance(curves, parts, where)
        names = np.array([name for curve in curves for name in curve.accuracies.models])
        self._one_model = names[:, None] == names
        self._within = (where[:, None] == where) & self._one_model

    def fit(self, taus: Floats, rhos: Floats) -> _JointFits:
        """Fit the coefficients under N values of tau and rho."""
        rho = rhos[:, None, None]
        scattered = np.where(self._within, 1.0, rho * self._one_model)
        loads = np.outer(self._loading, self._loading)
        cov = self._sampled + taus[:, None, None] ** 2 * loads * scattered
        columns = np.broadcast_to(self._columns, (len(taus), *self._columns.shape))
        products = self._columns.T @ np.linalg.solve(cov, columns)
        normal = products[:, :-1, :-1] + _RIDGE * np.eye(products.shape[1] - 1)
        pull = products[:, :-1, -1]
        inverse = np.linalg.inv(normal)
        found = np.einsum("nkl,nl->nk", inverse, pull)
        chi2 = np.maximum(products[:, -1, -1] - (found * pull).sum(axis=1), 0)
        log_det: Floats = np.asarray(np.linalg.slogdet(cov)[1] + np.linalg.slogdet(normal)[1])
        # D falls where the gap exceeds the line, so the coefficient is that of -D.
        return _JointFits(
            -0.5 * (log_det + chi2), chi2, -found[:, -1], np.asarray(inverse[:, -1, -1])
        )


@dataclass(frozen=True, slots=True)
class _Residuals:
    """A curve's contrasts at its fitted line."""

    gaps: Floats
    """(M,): the line."""
    value: Floats
    """(M,)."""
    loading: Floats
    """(M,): A_id under the line, the derivative of the contrasts by the gaps."""
    drawn: Floats
    """(M, B)."""

    @classmethod
    def of(cls, regression: CurveRegression) -> _Residuals:
        """Return the residuals of a curve."""
        curve, tau = regression.accuracies, np.array([PRIOR_SD / 2])
        gaps = regression.fitted(tau)
        found = regression.contrasts(gaps, tau)
        m, kept = len(curve.x), 1 - gaps[0]
        drawn = curve.draws[m:] - kept[:, None] * curve.draws[:m]
        return cls(gaps[0], found.value[0], found.purified[0], drawn)


def _joint_covariance(
    curves: Sequence[CurveRegression], parts: Sequence[_Residuals], where: NDArray[np.int64]
) -> Floats:
    """Return the sampling covariance of the contrasts of all curves; 0 between other queries."""
    cov = np.atleast_2d(np.cov(np.concatenate([part.drawn for part in parts])))
    keys = [curve.accuracies.queries for curve in curves]
    together = np.array([[one == other for other in keys] for one in keys])
    least = np.concatenate([curve.accuracies.least for curve in curves])
    return np.asarray(cov * together[where][:, where] + 2 * np.diag(least))

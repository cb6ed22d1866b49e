"""Regression of one curve's gaps on scale, fitted to accuracies.

The gap of model m in curve c (one benchmark side with one number of shots) is

    g_cm = a_c + b_c x_m + u_cm,    u ~ N(0, tau^2),

with x = log10(scale). No ratio is formed: under the line, the contrast

    D_cm = A_ood,cm - (1 - a_c - b_c x_m) A_id,cm

has mean 0 and covariance V_c(a, b) + tau^2 A_id^2, V_c from the bootstrap covariance of the
accuracies (Fieller 1954, JRSS B 16(2), 175-185). For a given tau, Q = D' V^-1 D with V taken at the
same (a, b) is the profile likelihood over the true accuracies: the continuously updated estimator
(Hansen, Heaton & Yaron 1996, Journal of Business & Economic Statistics 14(3), 262-280). log |V| is
left out of it, as its slope in (a, b) would bias the line where accuracy rises with scale.

`icl_gap.analysis.scaling.scatter` estimates tau. The slope has the confidence distribution
sum_k w_k Phi(r_k), with w_k the posterior probability of tau_k, and r_k the signed root of the rise
of Q from its least value to its least value at one slope.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from icl_gap.analysis.outcomes import Floats
from icl_gap.text import brief

_STEPS = 6
"""Gauss-Newton steps of a fit."""
_REACH = np.array([0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0])
"""Standard errors from the estimate at which a profile is computed, on either side."""


@dataclass(frozen=True, slots=True)
class CurveAccuracies:
    """Accuracies of the M models of one curve, to which a line of the gap is fitted."""

    x: Floats
    """(M,): log10 of the scale."""
    models: tuple[str, ...]
    """(M,): names; models of one name share their scatter between curves."""
    a_id: Floats
    """(M,): accuracies with ID exemplars."""
    a_ood: Floats
    """(M,)."""
    draws: Floats
    """(2 M, B): the same under B resamples, ID first."""
    least: Floats
    """(M,): least variance of an accuracy: that of one hit among the requests."""
    queries: object
    """Key of the queries; curves of different queries are independent."""

    @property
    def cov(self) -> Floats:
        """(2 M, 2 M): covariance of the estimated accuracies."""
        return np.cov(self.draws) + np.diag(np.tile(self.least, 2))

    def without(self, row: int) -> CurveAccuracies:
        """Return the accuracies of all models but one."""
        m = len(self.x)
        kept = np.flatnonzero(np.arange(m) != row)
        return CurveAccuracies(
            self.x[kept],
            tuple(self.models[n] for n in kept),
            self.a_id[kept],
            self.a_ood[kept],
            self.draws[np.concatenate([kept, kept + m])],
            self.least[kept],
            self.queries,
        )

    def __repr__(self) -> str:
        return brief("CurveAccuracies", f"{len(self.x)} models")


@dataclass(frozen=True, slots=True)
class Confidence:
    """Confidence distribution of one number: its distribution function on a grid."""

    values: Floats
    """(K,), rising."""
    below: Floats
    """(K,): confidence that the number is at most the value."""

    def quantile(self, probability: float) -> float:
        """Return a quantile; infinite if the data do not bound the number on that side."""
        if probability < self.below[0]:
            return -np.inf
        if probability > self.below[-1]:
            return np.inf
        return float(np.interp(probability, self.below, self.values))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the central interval; its ends may be infinite."""
        tail = (1 - confidence) / 2
        return self.quantile(tail), self.quantile(1 - tail)

    def __repr__(self) -> str:
        return brief("Confidence", f"median {self.quantile(0.5):.3f}")


@dataclass(frozen=True, slots=True)
class _Contrasts:
    """D, its derivatives and its precision for N lines of one curve."""

    value: Floats
    """(N, M)."""
    purified: Floats
    """(N, M): accuracies ID less their regression on D: estimates of A_id under the line."""
    precision: Floats
    """(N, M, M)."""

    @property
    def q(self) -> Floats:
        """(N,): Q."""
        return np.asarray(np.einsum("nm,nml,nl->n", self.value, self.precision, self.value))

    def where(self, chosen: NDArray[np.bool_], other: _Contrasts) -> _Contrasts:
        """Return the contrasts of the chosen lines, and those of another for the rest."""
        wide = chosen[:, None]
        return _Contrasts(
            np.where(wide, self.value, other.value),
            np.where(wide, self.purified, other.purified),
            np.where(wide[:, None], self.precision, other.precision),
        )


@dataclass(frozen=True, slots=True)
class LineFits:
    """Fits of one curve's line under each of T values of tau."""

    coefficients: Floats
    """(T, k)."""
    cov: Floats
    """(T, k, k): covariance of the coefficients."""
    q: Floats
    """(T,): Q at its least."""

    def __repr__(self) -> str:
        return brief("LineFits", f"{len(self.q)} values of tau")


class CurveRegression:
    """The regression of one curve: contrasts, lines and profiles under given values of tau.

    Args:
        accuracies: The accuracies of its models.
    """

    def __init__(self, accuracies: CurveAccuracies) -> None:
        self.accuracies = accuracies
        self.centre = float(accuracies.x.mean())
        """Place of the level: the mean of log10 of the scale."""
        m, cov = len(accuracies.x), accuracies.cov
        self._inside, self._across, self._outside = cov[:m, :m], cov[:m, m:], cov[m:, m:]
        self._design = np.column_stack([np.ones(m), accuracies.x - self.centre])

    def line(self, taus: Floats) -> LineFits:
        """Fit level (at the centre) and slope for each tau."""
        data = self.accuracies
        level = 1 - data.a_ood.sum() / max(data.a_id.sum(), 1e-9)
        start = np.tile([np.clip(level, -1.0, 1.0), 0.0], (len(taus), 1))
        return self._descend(start, self._design, np.zeros((1, len(data.x))), taus)

    def fitted(self, taus: Floats) -> Floats:
        """Return (T, M): the gaps on the fitted line for each tau."""
        return np.asarray(self.line(taus).coefficients @ self._design.T)

    def paule_mandel(self, confidence: float) -> tuple[float, tuple[float, float], float]:
        """Return slope, interval and tau by the method of Paule and Mandel.

        tau makes Q equal to its M - 2 degrees of freedom (Paule & Mandel 1982, Journal of Research
        of the National Bureau of Standards 87(5), 377-385). The interval is that of Knapp & Hartung
        2003 (Statistics in Medicine 22(17), 2693-2710), with a factor of at least 1 and Student's
        distribution.
        """
        taus = np.linspace(0, 1, 201)
        free = len(self.accuracies.x) - 2
        line = self.line(taus)
        at = int(np.argmax(line.q <= free)) if (line.q <= free).any() else len(taus) - 1
        slope, variance = float(line.coefficients[at, 1]), float(line.cov[at, 1, 1])
        factor = max(1.0, float(line.q[at]) / free)
        half = float(stats.t.ppf((1 + confidence) / 2, free)) * float(np.sqrt(variance * factor))
        return slope, (slope - half, slope + half), float(taus[at])

    def deviations(self, tau: float) -> Floats:
        """Return (M,) deviations of the gaps from their best constant, in standard errors."""
        data, taus = self.accuracies, np.array([tau])
        level = self.line(taus).coefficients[:, :1]
        flat = self._descend(level, self._design[:, :1], np.zeros((1, len(data.x))), taus)
        found = self.contrasts(np.tile(flat.coefficients, len(data.x)), taus)
        sds = np.sqrt(np.einsum("mm->m", np.linalg.inv(found.precision[0])))
        return np.asarray(-found.value[0] / sds)

    def contrasts(self, gaps: Floats, taus: Floats) -> _Contrasts:
        """Return the contrasts under N lines, given as gaps, (N, M), and N values of tau."""
        data, kept = self.accuracies, 1 - gaps
        ratio = kept[:, :, None]
        mixed = ratio * self._across
        cov = self._outside - mixed - mixed.swapaxes(1, 2)
        cov += ratio * self._inside * kept[:, None, :]
        np.einsum("nmm->nm", cov)[...] += (taus[:, None] * data.a_id) ** 2
        precision = np.asarray(np.linalg.inv(cov), dtype=np.float64)
        value = data.a_ood - kept * data.a_id
        with_d = self._across - self._inside * kept[:, None, :]  # Cov(A_id, D)
        fall = np.einsum("nml,nlk,nk->nm", with_d, precision, value)
        return _Contrasts(value, data.a_id - fall, precision)

    def _descend(self, start: Floats, design: Floats, fixed: Floats, taus: Floats) -> LineFits:
        """Minimize Q over the coefficients of `design`, (M, k), by damped Gauss-Newton steps.

        `fixed`, (N or 1, M), is a part of the gaps that stays; `start` is (N, k).
        """
        here = start
        found = self.contrasts(fixed + here @ design.T, taus)
        size = np.ones(len(here))
        for _ in range(_STEPS):
            normal, pull = _normal_equations(found, design)
            step = np.linalg.solve(normal, pull[:, :, None])[:, :, 0]
            tried = here - size[:, None] * step
            new = self.contrasts(fixed + tried @ design.T, taus)
            better = new.q <= found.q
            here = np.where(better[:, None], tried, here)
            found = new.where(better, found)
            size = np.where(better, 1.0, size / 4)
        normal, _ = _normal_equations(found, design)
        return LineFits(here, np.asarray(np.linalg.inv(normal)), found.q)

    def slope(self, taus: Floats, weights: Floats) -> Confidence:
        """Return the confidence distribution of the slope, given the posterior of tau, (T,)."""
        level, column = self._design[:, :1], self._design[:, 1]
        line = self.line(taus)
        centre, se = line.coefficients[:, 1], np.sqrt(line.cov[:, 1, 1])
        wide = float(weights @ se) + float(np.ptp(centre))
        values = float(weights @ centre) + wide * np.concatenate([-_REACH[:0:-1], _REACH])
        grid = (len(taus), len(values))
        fixed = np.broadcast_to(values[:, None] * column, (*grid, len(column)))
        # Away from the estimate, the level starts where the fitted covariance leads it.
        lean = line.cov[:, 0, 1] / line.cov[:, 1, 1]
        start = line.coefficients[:, :1] + lean[:, None] * (values - centre[:, None])
        profile = self._descend(
            start.reshape(-1, 1),
            level,
            fixed.reshape(-1, len(column)),
            np.repeat(taus, len(values)),
        )
        rise = np.maximum(profile.q.reshape(grid) - line.q[:, None], 0)
        roots = np.sign(values - centre[:, None]) * np.sqrt(rise)
        return Confidence(values, np.maximum.accumulate(weights @ stats.norm.cdf(roots)))


def _normal_equations(found: _Contrasts, design: Floats) -> tuple[Floats, Floats]:
    """Return G' V^-1 G, (N, k, k), and G' V^-1 D, (N, k), with G = dD / d(coefficients).

    In G, A_id is purified of its correlation with D, which makes the product half the gradient of
    Q.
    """
    slopes = found.purified[:, :, None] * design
    weighed = np.einsum("nmk,nml->nkl", slopes, found.precision)
    normal = weighed @ slopes + 1e-9 * np.eye(design.shape[1])
    return normal, np.einsum("nkl,nl->nk", weighed, found.value)

"""Functional forms of the gap against scale, compared by their error for a model left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from icl_gap.analysis.gaps import ResampledGap
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.scaling import forms
from icl_gap.analysis.scaling.forms import FORMS, Form
from icl_gap.analysis.scaling.slopes import FormFit


@dataclass(frozen=True, slots=True)
class _FittedValues:
    """The values that a form is fitted to: m gaps, or 2 M accuracies, ID first."""

    values: Floats
    """(m,)."""
    draws: Floats
    """(m, B), without NaN."""
    scattered: Floats
    """(m,): variance between models."""

    def of(self, rows: NDArray[np.int64]) -> _FittedValues:
        """Return some of the values."""
        return _FittedValues(self.values[rows], self.draws[rows], self.scattered[rows])


def compare_forms(used: Sequence[ResampledGap], x: Floats, tau: float) -> tuple[FormFit, ...]:
    """Fit each form, test it, and measure its error for a model that is left out.

    Each form is fitted to its own values: gaps, or the accuracies of both conditions. The test is
    chi-squared with the sampling covariance alone: it rejects a form about which models scatter.
    The error is the root mean square difference between the gap of a model and the prediction of a
    fit to all others, in which models scatter by tau; it compares forms of different values.

    Args:
        used: The M models of one family with a resolved gap.
        x: (M,): centred log10 of their scale.
        tau: Standard deviation of the gap between models.
    """
    found = []
    for form in FORMS:
        k = len(form.parameters)
        if len(set(x)) < k or len(used) <= k + 1:
            reason = f"{len(used)} models are too few for {k} parameters"
            found.append(FormFit(form.name, (), None, None, None, reason))
        else:
            found.append(_fit_form(form, used, x, tau))
    return tuple(found)


def _fit_form(form: Form, used: Sequence[ResampledGap], x: Floats, tau: float) -> FormFit:
    fitted = _fitted_values(form, used, tau)
    precision = forms.precision_of(fitted.draws)
    best = forms.solve(form, x, fitted.values, precision)
    left = fitted.values - form.curve(best, x)
    chi2, free = float(left @ precision @ left), len(left) - len(best)
    return FormFit(
        form.name,
        tuple(zip(form.parameters, map(float, best), strict=True)),
        chi2,
        float(stats.chi2.sf(chi2, free)) if free else None,
        _error(form, fitted, gap_values(used), x),
        None,
    )


def _error(form: Form, fitted: _FittedValues, gaps: Floats, x: Floats) -> float | None:
    """Return the root mean square error of the gap of a model that the fit leaves out."""
    missed = []
    for n in range(len(x)):
        kept = np.flatnonzero(np.arange(len(x)) != n)
        if len(set(x[kept])) < len(form.parameters):
            return None
        rest = fitted.of(np.concatenate([kept, kept + len(x)]) if form.of_accuracies else kept)
        precision = forms.precision_of(rest.draws, rest.scattered)
        best = forms.solve(form, x[kept], rest.values, precision)
        missed.append(gaps[n] - form.gap(best, x[n : n + 1])[0])
    error = float(np.sqrt(np.mean(np.square(missed))))
    return error if np.isfinite(error) else None


def _fitted_values(form: Form, used: Sequence[ResampledGap], tau: float) -> _FittedValues:
    if not form.of_accuracies:
        draws = complete_resamples(np.stack([each.gaps for each in used]))
        return _FittedValues(gap_values(used), draws, np.full(len(used), tau**2))
    inside, outside = (
        np.array([getattr(each.point, f"a_{c}").value for each in used]) for c in ("id", "ood")
    )
    draws = np.stack([*(each.draws.a_id for each in used), *(each.draws.a_ood for each in used)])
    scattered = np.concatenate([np.zeros(len(used)), (tau * inside) ** 2])
    return _FittedValues(np.concatenate([inside, outside]), draws, scattered)


def gap_values(used: Sequence[ResampledGap]) -> Floats:
    """Return the gaps of the models, (M,)."""
    return np.array([each.point.gap.value for each in used if each.point.gap])


def complete_resamples(draws: Floats) -> Floats:
    """Return the columns (resamples) without a missing value."""
    return draws[:, ~np.isnan(draws).any(axis=0)]

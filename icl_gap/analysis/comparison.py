"""The forms of the gap over scale, fitted to one family and compared by AICc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from icl_gap.analysis import forms
from icl_gap.analysis.bootstrap import interval
from icl_gap.analysis.forms import FORMS, Form
from icl_gap.analysis.gaps import Measured
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.points import FormFit


def compare(
    used: Sequence[Measured], x: Floats, precision: Floats, confidence: float
) -> list[FormFit]:
    """Each form's fit, and how well it does for its number of parameters.

    AICc (Hurvich & Tsai 1989, Biometrika 76(2)) of Gaussian gaps with a known covariance,
    chi2 + 2 k + 2 k (k + 1) / (n - k - 1); of the form of accuracies, chi2 is that of the gap
    which follows from them. The best one's parameters have intervals, from refits of all resamples.

    Args:
        used: The models of one family.
        x: (M,): their places, centred.
        precision: (M, M): the inverse of their gaps' covariance.
        confidence: Of the intervals.
    """
    y, n = values_of(used), len(used)
    fits, refits = [], {}
    for form in FORMS:
        k = len(form.parameters)
        if len(set(x)) < k or n <= k + 1:
            reason = f"{n} models cannot tell {k} parameters"
            fits.append(FormFit(form.name, (), (), None, None, reason))
            continue
        values, draws = _what_is_fitted(form, used)
        weights = forms.precision_of(complete(draws)) if form.of_accuracies else precision
        best = forms.solve(form, x, values, weights)
        left = y - form.gap(best, x)
        chi2 = float(left @ precision @ left)
        aicc = chi2 + 2 * k + 2 * k * (k + 1) / (n - k - 1)
        named = tuple(zip(form.parameters, map(float, best), strict=True))
        fits.append(FormFit(form.name, named, (), chi2, aicc, None))
        refits[form.name] = partial(forms.solve_many, form, x, draws.T, weights, best)
    if best_of := min((fit for fit in fits if fit.aicc is not None), key=_aicc, default=None):
        many = refits[best_of.form]().T
        ends = tuple(interval(each, confidence, worst=(-np.inf, np.inf)) for each in many)
        if np.isfinite(ends).all():
            fits[fits.index(best_of)] = replace(best_of, intervals=ends)
    return fits


def _aicc(fit: FormFit) -> float:
    return np.inf if fit.aicc is None else fit.aicc


def _what_is_fitted(form: Form, used: Sequence[Measured]) -> tuple[Floats, Floats]:
    """A form's values, (m,), and their draws, (m, B)."""
    if not form.of_accuracies:
        return values_of(used), np.stack([each.gaps for each in used])
    inside, outside = ([getattr(e.point, f"a_{c}").value for e in used] for c in ("id", "ood"))
    drawn = [*(each.draws.a_id for each in used), *(each.draws.a_ood for each in used)]
    return np.array([*inside, *outside]), np.stack(drawn)


def values_of(used: Sequence[Measured]) -> Floats:
    """The gaps of models, (M,)."""
    return np.array([each.point.gap.value for each in used if each.point.gap])


def complete(draws: Floats) -> Floats:
    """The resamples in which no row is missing."""
    return draws[:, ~np.isnan(draws).any(axis=0)]

"""Functional forms of the gap against scale, fitted to one family and compared by AICc."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from icl_gap.analysis import forms
from icl_gap.analysis.bootstrap import percentile_interval
from icl_gap.analysis.forms import FORMS, Form
from icl_gap.analysis.gaps import ResampledGap
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.slopes import FormFit


def compare_forms(
    used: Sequence[ResampledGap], x: Floats, precision: Floats, confidence: float
) -> list[FormFit]:
    """Fit each form and compute its AICc.

    AICc = chi2 + 2 k + 2 k (k + 1) / (n - k - 1), for Gaussian gaps with a known covariance
    (Hurvich & Tsai 1989, Biometrika 76(2), 297-307). For the form of accuracies, chi2 is that of
    the gap which follows from them. The parameters of the best form get intervals from refits of
    all resamples.

    Args:
        used: The M models of one family.
        x: (M,): centred log10 of their scale.
        precision: (M, M): inverse covariance of their gaps.
        confidence: Confidence of the intervals.
    """
    y, n = gap_values(used), len(used)
    fits, refits = [], {}
    for form in FORMS:
        k = len(form.parameters)
        if len(set(x)) < k or n <= k + 1:
            reason = f"{n} models are too few for {k} parameters"
            fits.append(FormFit(form.name, (), (), None, None, reason))
            continue
        values, draws = _fitted_values(form, used)
        weights = forms.precision_of(complete_resamples(draws)) if form.of_accuracies else precision
        best = forms.solve(form, x, values, weights)
        left = y - form.gap(best, x)
        chi2 = float(left @ precision @ left)
        aicc = chi2 + 2 * k + 2 * k * (k + 1) / (n - k - 1)
        named = tuple(zip(form.parameters, map(float, best), strict=True))
        fits.append(FormFit(form.name, named, (), chi2, aicc, None))
        refits[form.name] = partial(forms.solve_many, form, x, draws.T, weights, best)
    if best_of := min((fit for fit in fits if fit.aicc is not None), key=_aicc, default=None):
        many = refits[best_of.form]().T
        ends = tuple(
            percentile_interval(each, confidence, worst=(-np.inf, np.inf)) for each in many
        )
        if np.isfinite(ends).all():
            fits[fits.index(best_of)] = replace(best_of, intervals=ends)
    return fits


def _aicc(fit: FormFit) -> float:
    return np.inf if fit.aicc is None else fit.aicc


def _fitted_values(form: Form, used: Sequence[ResampledGap]) -> tuple[Floats, Floats]:
    """Return the values that a form is fitted to, (m,), and their draws, (m, B)."""
    if not form.of_accuracies:
        return gap_values(used), np.stack([each.gaps for each in used])
    inside, outside = ([getattr(e.point, f"a_{c}").value for e in used] for c in ("id", "ood"))
    drawn = [*(each.draws.a_id for each in used), *(each.draws.a_ood for each in used)]
    return np.array([*inside, *outside]), np.stack(drawn)


def gap_values(used: Sequence[ResampledGap]) -> Floats:
    """Return the gaps of the models, (M,)."""
    return np.array([each.point.gap.value for each in used if each.point.gap])


def complete_resamples(draws: Floats) -> Floats:
    """Return the columns (resamples) without a missing value."""
    return draws[:, ~np.isnan(draws).any(axis=0)]

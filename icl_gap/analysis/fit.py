"""The gap against scale: a straight line in the logarithm of the parameter count, and others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from math import ceil

import numpy as np
from scipy import stats

from icl_gap.analysis import forms
from icl_gap.analysis.bootstrap import interval
from icl_gap.analysis.cells import Floats
from icl_gap.analysis.evidence import errors_to_tell
from icl_gap.analysis.forms import FORMS, Form
from icl_gap.analysis.gaps import Measured
from icl_gap.analysis.pairing import Remarks
from icl_gap.analysis.points import (
    BandPoint,
    CommonSlope,
    FormFit,
    GapFit,
    GapPoint,
    LeftOut,
    Needed,
    SlopeWithout,
    Trend,
)

BAND_POINTS = 25
MIN_SIZES = 3
"""Fewer always lie on a line, so that no line is drawn."""


def fit_gaps(
    measured: Sequence[Measured], *, confidence: float
) -> tuple[tuple[GapFit, ...], tuple[CommonSlope, ...], Remarks]:
    """Fit each family's gaps on each benchmark, number of shots and query split.

    By generalized least squares of gap = intercept + slope * log10(n_params), n_params being all
    parameters, embeddings included; how gaps weigh, and which other forms they are compared with,
    stands in `icl_gap.analysis.forms`. The slope's interval is a percentile interval over refits:
    resample b fits gap*_b of every model, and all models asked the same queries under the same
    seeds share its draws, so that what makes a query hard for all of them does not count as scatter
    between sizes.

    Args:
        measured: Points and their resampled gaps, all of the same number of resamples.
        confidence: Of all intervals.

    Returns:
        The fits of every group that has at least two sizes of a trained model with a resolved gap;
        where two families have such fits, the slope that they may have in common; and which
        families have fewer sizes.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Measured]] = defaultdict(list)
    for each in measured:
        point = each.point
        place: tuple[str, ...] = (point.benchmark, str(point.shots), point.query_split)
        groups[point.family, place].append(each)
    fits, remarks = [], Remarks()
    together: dict[tuple[str, ...], list[list[Measured]]] = defaultdict(list)
    for (_, place), group in groups.items():
        usable = [each for each in group if _unfit(each.point) is None]
        if len({each.point.n_params for each in usable}) > 1:
            fits.append(_fit(usable, _left_out(group), confidence))
            together[place].append(usable)
        elif any(_sized(each.point) for each in group):
            point = group[0].point
            text = "no fit: fewer than two sizes of a trained model with a resolved gap"
            where = f"{point.family} on {point.benchmark}, {point.shots} shots"
            remarks.append((text, f"{where}, {point.query_split} queries"))
    common = [_common(families, confidence) for families in together.values() if len(families) > 1]
    return tuple(fits), tuple(common), remarks


def _sized(point: GapPoint) -> bool:
    return point.trained and point.n_params is not None


def _unfit(point: GapPoint) -> str | None:
    """Why a fit cannot use a point; None if it can."""
    if not point.trained:
        return "untrained"
    if point.n_params is None:
        return "no parameter count"
    return point.unresolved_because


def _left_out(group: Iterable[Measured]) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(each.point.model, reason) for each in group if (reason := _unfit(each.point))
    )


def _fit(used: Sequence[Measured], left_out: tuple[LeftOut, ...], confidence: float) -> GapFit:
    points = [each.point for each in used]
    x, y, gaps = _places(used), _values(used), np.stack([each.gaps for each in used])
    precision = forms.precision_of(_complete(gaps))
    centre = x.mean()
    levels, slopes = refit(x - centre, np.column_stack([y, gaps]), precision)
    ends = interval(slopes[1:], confidence, worst=(-np.inf, np.inf))
    resolved = bool(np.isfinite(ends).all())
    few = len({point.n_params for point in points}) < MIN_SIZES
    first = points[0]
    line = levels[0] + slopes[0] * (x - centre)
    return GapFit(
        family=first.family,
        dataset=first.dataset,
        split=first.split,
        shots=first.shots,
        query_split=first.query_split,
        slope=float(slopes[0]),
        slope_interval=ends if resolved else None,
        intercept=float(levels[0] - slopes[0] * centre),
        r_squared=_explained(y, line),
        n_points=len(points),
        models=tuple(point.model for point in points),
        left_out=left_out,
        unsupported=_unsupported(few=few, resolved=resolved),
        band=tuple(
            BandPoint(
                float(10 ** (centre + at)),
                float(levels[0] + slopes[0] * at),
                *interval(levels[1:] + slopes[1:] * at, confidence, worst=(-np.inf, np.inf)),
            )
            for at in np.linspace(x.min() - centre, x.max() - centre, BAND_POINTS)
            if resolved and not few
        ),
        forms=tuple(_compare(used, precision, confidence)),
        without=tuple(_without(used, precision)),
        trend=_trend(used),
        needed=_needed(used, slopes[1:], float(slopes[0]), ends, confidence),
    )


def refit(x: Floats, gaps: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Straight lines through many sets of gaps over the same sizes.

    Args:
        x: (M,), at least two different values.
        gaps: (M, B).
        precision: (M, M): the inverse of the gaps' covariance.

    Returns:
        Levels at x = 0 and slopes, (B,) each; NaN where a gap is.
    """
    levels, slopes = _linear(np.column_stack([np.ones_like(x), x]), gaps, precision)
    return levels, slopes


def _places(used: Sequence[Measured]) -> Floats:
    return np.log10([float(each.point.n_params or 0) for each in used])


def _values(used: Sequence[Measured]) -> Floats:
    return np.array([each.point.gap.value for each in used if each.point.gap])


def _complete(draws: Floats) -> Floats:
    """The resamples in which no row is missing."""
    return draws[:, ~np.isnan(draws).any(axis=0)]


def _explained(y: Floats, line: Floats) -> float | None:
    spread = ((y - y.mean()) ** 2).sum()
    return float(1 - ((y - line) ** 2).sum() / spread) if np.ptp(y) > 0 else None


def _unsupported(*, few: bool, resolved: bool) -> str | None:
    if not resolved:
        return "too many resamples leave a gap of the family unresolved"
    return f"fewer than {MIN_SIZES} sizes, which always lie on a line" if few else None


def _compare(used: Sequence[Measured], precision: Floats, confidence: float) -> list[FormFit]:
    """Each form's fit, and how well it does for its number of parameters.

    AICc (Hurvich & Tsai 1989, Biometrika 76(2)) of Gaussian gaps with a known covariance,
    chi2 + 2 k + 2 k (k + 1) / (n - k - 1); of the form of accuracies, chi2 is that of the gap
    which follows from them. The best one's parameters have intervals, from refits of all resamples.
    """
    x, y, n = _places(used), _values(used), len(used)
    x -= x.mean()
    fits, refits = [], {}
    for form in FORMS:
        k = len(form.parameters)
        if len(set(x)) < k or n <= k + 1:
            reason = f"{n} models cannot tell {k} parameters"
            fits.append(FormFit(form.name, (), (), None, None, reason))
            continue
        values, draws = _what_is_fitted(form, used)
        weights = forms.precision_of(_complete(draws)) if form.of_accuracies else precision
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
        return _values(used), np.stack([each.gaps for each in used])
    inside, outside = ([getattr(e.point, f"a_{c}").value for e in used] for c in ("id", "ood"))
    drawn = [*(each.draws.a_id for each in used), *(each.draws.a_ood for each in used)]
    return np.array([*inside, *outside]), np.stack(drawn)


def _without(used: Sequence[Measured], precision: Floats) -> Iterable[SlopeWithout]:
    """The slope without each size: one that hangs on a single model shows."""
    x, y = _places(used), _values(used)
    for each in used:
        kept = np.flatnonzero(x != np.log10(float(each.point.n_params or 0)))
        if len(set(x[kept])) > 1:
            # The precision of what is left is that of its own covariance.
            rest = np.linalg.inv(np.linalg.inv(precision)[np.ix_(kept, kept)])
            _, slopes = refit(x[kept], y[kept, None], rest)
            yield SlopeWithout(each.point.model, float(slopes[0]))


def _trend(used: Sequence[Measured]) -> Trend:
    """Whether the gap goes up or down with size, whatever its form; p-values are two-sided.

    Kendall's tau over the models. Page's test (Page 1963, JASA 58(301), 216-230) over parts of the
    queries, each with the gap of every model: sizes are ranked within a part.
    """
    order = np.argsort(_places(used), kind="stable")
    tau = stats.kendalltau(_places(used), _values(used))
    folds = np.stack([used[n].folds for n in order], axis=1)
    folds = folds[~np.isnan(folds).any(axis=1)]
    page = None
    if len(order) >= MIN_SIZES and len(folds) >= 2:
        one_sided = [stats.page_trend_test(table).pvalue for table in (folds, folds[:, ::-1])]
        page = min(1.0, 2 * float(min(one_sided)))
    known = not np.isnan(tau.statistic)
    return Trend(
        kendall_tau=float(tau.statistic) if known else None,
        kendall_p=float(tau.pvalue) if known else None,
        page_p=page,
    )


def _needed(
    used: Sequence[Measured],
    slopes: Floats,
    slope: float,
    ends: tuple[float, float],
    confidence: float,
) -> Needed | None:
    """How large a study would tell this slope from zero four times in five."""
    if not np.isfinite(ends).all() or not ends[0] <= 0 <= ends[1] or slope == 0:
        return None
    factor = (errors_to_tell(confidence) * float(np.nanstd(slopes, ddof=1)) / abs(slope)) ** 2
    queries = max(each.point.n_queries for each in used)
    return Needed(queries=ceil(queries * factor), sizes=ceil(len(used) * factor))


def _common(families: Sequence[Sequence[Measured]], confidence: float) -> CommonSlope:
    """One slope for several families, each with an intercept of its own."""
    used = [each for family in families for each in family]
    which = np.repeat(np.arange(len(families)), [len(family) for family in families])
    own = (which[:, None] == np.arange(len(families))).astype(float)
    x, gaps = _places(used), np.stack([each.gaps for each in used])
    precision = forms.precision_of(_complete(gaps))
    both = np.column_stack([_values(used), gaps])
    designs = np.column_stack([own, x]), np.column_stack([own, own * x[:, None]])
    found, free = (_linear(design, both, precision) for design in designs)
    left = [
        both[:, 0] - design @ each[:, 0]
        for design, each in zip(designs, (found, free), strict=True)
    ]
    chi2, chi2_free = (float(each @ precision @ each) for each in left)
    ends = interval(found[-1, 1:], confidence, worst=(-np.inf, np.inf))
    first = used[0].point
    return CommonSlope(
        families=tuple(family[0].point.family for family in families),
        dataset=first.dataset,
        split=first.split,
        shots=first.shots,
        query_split=first.query_split,
        slope=float(found[-1, 0]),
        slope_interval=ends if np.isfinite(ends).all() else None,
        intercepts=tuple(map(float, found[:-1, 0])),
        differ_p=float(stats.chi2.sf(max(0.0, chi2 - chi2_free), len(families) - 1)),
    )


def _linear(design: Floats, values: Floats, precision: Floats) -> Floats:
    """The coefficients of each column of values, by generalized least squares."""
    weighed = design.T @ precision
    return np.asarray(np.linalg.solve(weighed @ design, weighed @ values), dtype=np.float64)

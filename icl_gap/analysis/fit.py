"""The gap against scale: a straight line in the logarithm of the scale, and others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil

import numpy as np
from scipy import stats

from icl_gap.analysis import forms
from icl_gap.analysis.bootstrap import interval
from icl_gap.analysis.comparison import compare, complete, values_of
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.evidence import errors_to_tell
from icl_gap.analysis.gaps import Measured
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Remarks
from icl_gap.analysis.points import (
    BandPoint,
    CommonSlope,
    GapFit,
    LeftOut,
    Needed,
    SlopeWithout,
    Trend,
)
from icl_gap.analysis.scale import ESTIMATED, Scale
from icl_gap.text import shots_text

BAND_POINTS = 25
MIN_SIZES = 3
"""Fewer always lie on a line, so that no line is drawn."""


def fit_gaps(
    measured: Sequence[Measured],
    scale: Scale,
    *,
    confidence: float,
    estimated_sizes: bool = False,
) -> tuple[tuple[GapFit, ...], tuple[CommonSlope, ...], Remarks]:
    """Fit each family's gaps on each benchmark, number of shots and query split.

    By generalized least squares of gap = intercept + slope * log10(scale); how gaps weigh, and
    which other forms they are compared with, stands in `icl_gap.analysis.forms`. The slope's
    interval is a percentile interval over refits: resample b fits gap*_b of every model, and all
    models asked the same queries under the same seeds share its draws, so that what makes a query
    hard for all of them does not count as scatter between sizes.

    Args:
        measured: Points and their resampled gaps, all of the same number of resamples.
        scale: What the fits are against, such as the number of parameters.
        confidence: Of all intervals.
        estimated_sizes: Whether models count whose size is only estimated.

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
        usable, left_out = _split(group, scale, estimated_sizes=estimated_sizes)
        remarks += [
            (f"left out of fits, {ESTIMATED}", e.model) for e in left_out if e.reason == ESTIMATED
        ]
        if len({scale.of(each.point) for each in usable}) > 1:
            fits.append(_fit(usable, scale, left_out, confidence))
            together[place].append(usable)
        elif any(e.point.trained and scale.of(e.point) is not None for e in group):
            point = group[0].point
            text = f"no fit: fewer than two {scale.steps} of a trained model with a resolved gap"
            where = f"{point.family} on {point.benchmark}, {shots_text(point.shots)}"
            remarks.append((text, f"{where}, {point.query_split} queries"))
    common = [
        _common(families, scale, confidence) for families in together.values() if len(families) > 1
    ]
    return tuple(fits), tuple(common), remarks


def _fit(
    used: Sequence[Measured], scale: Scale, left_out: tuple[LeftOut, ...], confidence: float
) -> GapFit:
    points = [each.point for each in used]
    x, y, gaps = _places(used, scale), values_of(used), np.stack([each.gaps for each in used])
    precision = forms.precision_of(complete(gaps))
    centre = x.mean()
    levels, slopes = refit(x - centre, np.column_stack([y, gaps]), precision)
    ends = interval(slopes[1:], confidence, worst=(-np.inf, np.inf))
    resolved = bool(np.isfinite(ends).all())
    few = len(set(x)) < MIN_SIZES
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
        against=scale.key,
        intercept=float(levels[0] - slopes[0] * centre),
        r_squared=_explained(y, line),
        n_points=len(points),
        models=tuple(point.model for point in points),
        left_out=left_out,
        unsupported=_unsupported(scale, few=few, resolved=resolved),
        band=tuple(
            BandPoint(
                float(10 ** (centre + at)),
                Estimate(
                    float(levels[0] + slopes[0] * at),
                    *interval(levels[1:] + slopes[1:] * at, confidence, worst=(-np.inf, np.inf)),
                ),
            )
            for at in np.linspace(x.min() - centre, x.max() - centre, BAND_POINTS)
            if resolved and not few
        ),
        forms=tuple(compare(used, x - centre, precision, confidence)),
        without=tuple(_without(used, x, precision)),
        trend=_trend(used, x),
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


def _split(
    group: Sequence[Measured], scale: Scale, *, estimated_sizes: bool
) -> tuple[list[Measured], tuple[LeftOut, ...]]:
    """What a fit uses of a family, the smallest first, and what it does not."""
    usable, left_out = [], []
    for each in group:
        why = scale.why_not(each.point, estimated_sizes=estimated_sizes)
        if why is None:
            usable.append(each)
        else:
            left_out.append(LeftOut(each.point.model, why))
    return sorted(usable, key=lambda each: scale.of(each.point) or 0), tuple(left_out)


def _places(used: Sequence[Measured], scale: Scale) -> Floats:
    return np.log10([float(scale.of(each.point) or 0) for each in used])


def _explained(y: Floats, line: Floats) -> float | None:
    spread = ((y - y.mean()) ** 2).sum()
    return float(1 - ((y - line) ** 2).sum() / spread) if np.ptp(y) > 0 else None


def _unsupported(scale: Scale, *, few: bool, resolved: bool) -> str | None:
    if not resolved:
        return "too many resamples leave a gap of the family unresolved"
    return f"fewer than {MIN_SIZES} {scale.steps}, which always lie on a line" if few else None


def _without(used: Sequence[Measured], x: Floats, precision: Floats) -> Iterable[SlopeWithout]:
    """The slope without each size: one that hangs on a single model shows."""
    y = values_of(used)
    for each, place in zip(used, x, strict=True):
        kept = np.flatnonzero(x != place)
        if len(set(x[kept])) > 1:
            # The precision of what is left is that of its own covariance.
            rest = np.linalg.inv(np.linalg.inv(precision)[np.ix_(kept, kept)])
            _, slopes = refit(x[kept], y[kept, None], rest)
            yield SlopeWithout(each.point.model, float(slopes[0]))


def _trend(used: Sequence[Measured], x: Floats) -> Trend:
    """Whether the gap goes up or down with size, whatever its form; p-values are two-sided.

    Kendall's tau over the models. Page's test (Page 1963, JASA 58(301), 216-230) over parts of the
    queries, each with the gap of every model: sizes are ranked within a part.
    """
    order = np.argsort(x, kind="stable")
    tau = stats.kendalltau(x, values_of(used))
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


def _common(families: Sequence[Sequence[Measured]], scale: Scale, confidence: float) -> CommonSlope:
    """One slope for several families, each with an intercept of its own."""
    used = [each for family in families for each in family]
    which = np.repeat(np.arange(len(families)), [len(family) for family in families])
    own = (which[:, None] == np.arange(len(families))).astype(float)
    x, gaps = _places(used, scale), np.stack([each.gaps for each in used])
    precision = forms.precision_of(complete(gaps))
    both = np.column_stack([values_of(used), gaps])
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
        against=scale.key,
        intercepts=tuple(map(float, found[:-1, 0])),
        differ_p=float(stats.chi2.sf(max(0.0, chi2 - chi2_free), len(families) - 1)),
    )


def _linear(design: Floats, values: Floats, precision: Floats) -> Floats:
    """The coefficients of each column of values, by generalized least squares."""
    weighed = design.T @ precision
    return np.asarray(np.linalg.solve(weighed @ design, weighed @ values), dtype=np.float64)

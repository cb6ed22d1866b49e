"""Fits of the gap against the logarithm of the scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import ceil

import numpy as np
from scipy import stats

from icl_gap.analysis import forms
from icl_gap.analysis.bootstrap import percentile_interval
from icl_gap.analysis.comparison import compare_forms, complete_resamples, gap_values
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.evidence import standard_errors_to_detect
from icl_gap.analysis.gaps import ResampledGap
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Remarks
from icl_gap.analysis.points import GapPoint
from icl_gap.analysis.scale import ESTIMATED, Scale
from icl_gap.analysis.slopes import (
    BandPoint,
    CommonSlope,
    GapFit,
    LeaveOneOutSlope,
    LeftOut,
    SampleSize,
    Trend,
)
from icl_gap.text import shots_text

BAND_POINTS = 25
MIN_SIZES = 3
"""Least number of sizes for a line: fewer always lie on one."""


def fit_gaps(
    measured: Sequence[ResampledGap],
    scale: Scale,
    *,
    confidence: float,
    estimated_sizes: bool = False,
) -> tuple[tuple[GapFit, ...], tuple[CommonSlope, ...], Remarks]:
    """Fit each family's gaps on each benchmark, number of shots and query split.

    The line gap = intercept + slope * log10(scale) is fitted by generalized least squares;
    `icl_gap.analysis.forms` has the weights and the other forms. The slope's interval is a
    percentile interval over refits of all resamples. All models with the same queries and seeds
    share their draws, so a query that is hard for all of them adds no variance between sizes.

    Args:
        measured: Gaps with their draws, all with the same number of resamples.
        scale: The scale to fit against.
        confidence: Confidence of all intervals.
        estimated_sizes: Include models whose size is an estimate.

    Returns:
        The fit of each family with at least two sizes of a trained model with a resolved gap; a
        common slope for each group of two or more such families; and remarks on families with
        fewer sizes.
    """
    groups: dict[tuple[str, _Comparable], list[ResampledGap]] = defaultdict(list)
    for each in measured:
        point = each.point
        groups[point.family, _comparable(point)].append(each)
    fits, remarks = [], Remarks()
    together: dict[_Comparable, list[list[ResampledGap]]] = defaultdict(list)
    for (_, comparable), group in groups.items():
        usable, left_out = _split(group, scale, estimated_sizes=estimated_sizes)
        remarks += [
            (f"left out of fits, {ESTIMATED}", e.model) for e in left_out if e.reason == ESTIMATED
        ]
        if len({scale.of(each.point) for each in usable}) > 1:
            fits.append(_fit(usable, scale, left_out, confidence))
            together[comparable].append(usable)
        elif any(e.point.trained and scale.of(e.point) is not None for e in group):
            point = group[0].point
            text = f"no fit: fewer than two {scale.steps} of a trained model with a resolved gap"
            where = f"{point.family} on {point.benchmark}, {shots_text(point.shots)}"
            remarks.append((text, f"{where}, {point.query_split} queries"))
    common = [
        _common(families, scale, confidence) for families in together.values() if len(families) > 1
    ]
    return tuple(fits), tuple(common), remarks


_Comparable = tuple[str, int, str]


def _comparable(point: GapPoint) -> _Comparable:
    """Return benchmark, shots and query split, within which families are compared."""
    return point.benchmark, point.shots, point.query_split


def _fit(
    used: Sequence[ResampledGap], scale: Scale, left_out: tuple[LeftOut, ...], confidence: float
) -> GapFit:
    points = [each.point for each in used]
    x, y, gaps = _log_scale(used, scale), gap_values(used), np.stack([each.gaps for each in used])
    precision = forms.precision_of(complete_resamples(gaps))
    centre = x.mean()
    levels, slopes = fit_lines(x - centre, np.column_stack([y, gaps]), precision)
    ends = percentile_interval(slopes[1:], confidence, worst=(-np.inf, np.inf))
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
                    *percentile_interval(
                        levels[1:] + slopes[1:] * at, confidence, worst=(-np.inf, np.inf)
                    ),
                ),
            )
            for at in np.linspace(x.min() - centre, x.max() - centre, BAND_POINTS)
            if resolved and not few
        ),
        forms=tuple(compare_forms(used, x - centre, precision, confidence)),
        leave_one_out=tuple(_leave_one_out(used, x, precision)),
        trend=_trend(used, x),
        sample_size=_sample_size(used, slopes[1:], float(slopes[0]), ends, confidence),
    )


def fit_lines(x: Floats, gaps: Floats, precision: Floats) -> tuple[Floats, Floats]:
    """Fit straight lines to many sets of gaps at the same x.

    Args:
        x: (M,), at least two different values.
        gaps: (M, B).
        precision: (M, M): inverse covariance of the gaps.

    Returns:
        Levels at x = 0 and slopes, (B,) each; NaN where a set has a NaN.
    """
    levels, slopes = _linear(np.column_stack([np.ones_like(x), x]), gaps, precision)
    return levels, slopes


def _split(
    group: Sequence[ResampledGap], scale: Scale, *, estimated_sizes: bool
) -> tuple[list[ResampledGap], tuple[LeftOut, ...]]:
    """Divide a family into the models that a fit uses, smallest first, and those left out."""
    usable, left_out = [], []
    for each in group:
        why = scale.why_not(each.point, estimated_sizes=estimated_sizes)
        if why is None:
            usable.append(each)
        else:
            left_out.append(LeftOut(each.point.model, why))
    return sorted(usable, key=lambda each: scale.of(each.point) or 0), tuple(left_out)


def _log_scale(used: Sequence[ResampledGap], scale: Scale) -> Floats:
    """Return log10 of each model's scale."""
    return np.log10([float(scale.of(each.point) or 0) for each in used])


def _explained(y: Floats, line: Floats) -> float | None:
    """Return R squared; None if the gaps do not vary."""
    spread = ((y - y.mean()) ** 2).sum()
    return float(1 - ((y - line) ** 2).sum() / spread) if np.ptp(y) > 0 else None


def _unsupported(scale: Scale, *, few: bool, resolved: bool) -> str | None:
    """Return the reason why no line is drawn; None if one is."""
    if not resolved:
        return "too many resamples leave a gap of the family unresolved"
    return f"fewer than {MIN_SIZES} {scale.steps}, which always lie on a line" if few else None


def _leave_one_out(
    used: Sequence[ResampledGap], x: Floats, precision: Floats
) -> Iterable[LeaveOneOutSlope]:
    """Yield the slope without each size, to show a slope that depends on a single model."""
    y = gap_values(used)
    for each, left_out in zip(used, x, strict=True):
        kept = np.flatnonzero(x != left_out)
        if len(set(x[kept])) > 1:
            # The precision of the rest is the inverse of its own covariance.
            rest = np.linalg.inv(np.linalg.inv(precision)[np.ix_(kept, kept)])
            _, slopes = fit_lines(x[kept], y[kept, None], rest)
            yield LeaveOneOutSlope(each.point.model, float(slopes[0]))


def _trend(used: Sequence[ResampledGap], x: Floats) -> Trend:
    """Test for a monotone trend of the gap with scale; p-values are two-sided.

    Kendall's tau over the models (Kendall 1938, Biometrika 30, 81-93), and Page's test over parts
    of the queries, which ranks the models' gaps within each part (Page 1963, JASA 58(301),
    216-230).
    """
    order = np.argsort(x, kind="stable")
    tau = stats.kendalltau(x, gap_values(used))
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


def _sample_size(
    used: Sequence[ResampledGap],
    slopes: Floats,
    slope: float,
    ends: tuple[float, float],
    confidence: float,
) -> SampleSize | None:
    """Return the size of an experiment that would detect this slope with power `POWER`."""
    if not np.isfinite(ends).all() or not ends[0] <= 0 <= ends[1] or slope == 0:
        return None
    factor = (
        standard_errors_to_detect(confidence) * float(np.nanstd(slopes, ddof=1)) / abs(slope)
    ) ** 2
    queries = max(each.point.n_queries for each in used)
    return SampleSize(queries=ceil(queries * factor), sizes=ceil(len(used) * factor))


def _common(
    families: Sequence[Sequence[ResampledGap]], scale: Scale, confidence: float
) -> CommonSlope:
    """Fit one slope to several families, with an intercept for each."""
    used = [each for family in families for each in family]
    which = np.repeat(np.arange(len(families)), [len(family) for family in families])
    own = (which[:, None] == np.arange(len(families))).astype(float)
    x, gaps = _log_scale(used, scale), np.stack([each.gaps for each in used])
    precision = forms.precision_of(complete_resamples(gaps))
    both = np.column_stack([gap_values(used), gaps])
    designs = np.column_stack([own, x]), np.column_stack([own, own * x[:, None]])
    found, free = (_linear(design, both, precision) for design in designs)
    left = [
        both[:, 0] - design @ each[:, 0]
        for design, each in zip(designs, (found, free), strict=True)
    ]
    chi2, chi2_free = (float(each @ precision @ each) for each in left)
    ends = percentile_interval(found[-1, 1:], confidence, worst=(-np.inf, np.inf))
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
    """Return the coefficients of each column of values, by generalized least squares."""
    weighed = design.T @ precision
    return np.asarray(np.linalg.solve(weighed @ design, weighed @ values), dtype=np.float64)

"""The gap against scale: a straight line in the logarithm of the parameter count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy import stats

from icl_gap.analysis.bootstrap import interval
from icl_gap.analysis.gaps import Measured
from icl_gap.analysis.pairing import Floats, Remarks
from icl_gap.analysis.points import BandPoint, GapFit, GapPoint, LeftOut

BAND_POINTS = 25


def fit_gaps(
    measured: Sequence[Measured], *, confidence: float
) -> tuple[tuple[GapFit, ...], Remarks]:
    """Fit one line for each family, benchmark, number of shots and query split.

    Ordinary least squares (`scipy.stats.linregress`) of gap = intercept + slope * log10(n_params),
    n_params being all parameters, embeddings included. The slope's interval is a percentile
    interval over refits: resample b fits gap*_b of every model, and all models asked the same
    queries under the same seeds share its draws, so that what makes a query hard for all of them
    does not count as scatter between sizes.

    Args:
        measured: Points and their resampled gaps, all of the same number of resamples.
        confidence: Of the slope's interval and of the band.

    Returns:
        The fits of every group that has at least two sizes of a trained model with a defined gap;
        and which families have fewer.
    """
    groups: dict[tuple[str, ...], list[Measured]] = defaultdict(list)
    for each in measured:
        point = each.point
        key = (point.family, point.benchmark, str(point.shots), point.query_split)
        groups[key].append(each)
    fits, remarks = [], Remarks()
    for group in groups.values():
        usable = [each for each in group if _unfit(each.point) is None]
        sizes = {each.point.n_params for each in usable}
        if len(sizes) > 1:
            left_out = tuple(
                LeftOut(each.point.model, reason)
                for each in group
                if (reason := _unfit(each.point))
            )
            fits.append(_fit(usable, left_out, confidence))
        elif any(_sized(each.point) for each in group):
            point = group[0].point
            text = "no fit: fewer than two sizes of a trained model with a defined gap"
            where = f"{point.family} on {point.benchmark}, {point.shots} shots"
            remarks.append((text, f"{where}, {point.query_split} queries"))
    return tuple(fits), remarks


def _sized(point: GapPoint) -> bool:
    return point.trained and point.n_params is not None


def _unfit(point: GapPoint) -> str | None:
    """Why a fit cannot use a point; None if it can."""
    if not point.trained:
        return "untrained"
    if point.n_params is None:
        return "no parameter count"
    return point.unresolved_because


def _fit(used: Sequence[Measured], left_out: tuple[LeftOut, ...], confidence: float) -> GapFit:
    points = [each.point for each in used]
    x = np.log10([float(point.n_params or 0) for point in points])
    y = np.array([point.gap.value for point in points if point.gap])
    line = stats.linregress(x, y)
    slopes, intercepts = refit(x, np.stack([each.gaps for each in used]))
    ends = interval(slopes, confidence, worst=(-np.inf, np.inf))
    resolved = bool(np.isfinite(ends).all())
    grid = np.linspace(x.min(), x.max(), BAND_POINTS)
    first = points[0]
    return GapFit(
        family=first.family,
        dataset=first.dataset,
        split=first.split,
        shots=first.shots,
        query_split=first.query_split,
        slope=float(line.slope),
        slope_interval=ends if resolved else None,
        intercept=float(line.intercept),
        r_squared=float(line.rvalue**2) if np.ptp(y) > 0 else None,
        n_points=len(points),
        models=tuple(point.model for point in points),
        left_out=left_out,
        band=tuple(
            BandPoint(
                float(10**at),
                float(line.intercept + line.slope * at),
                *interval(intercepts + slopes * at, confidence, worst=(-np.inf, np.inf)),
            )
            for at in grid
            if resolved
        ),
    )


def refit(x: Floats, gaps: Floats) -> tuple[Floats, Floats]:
    """Least-squares slopes and intercepts of many sets of gaps over the same sizes.

    Args:
        x: (M,), at least two different values.
        gaps: (M, B).

    Returns:
        Slopes and intercepts, (B,) each; NaN where a gap is.
    """
    centred = x - x.mean()
    slopes = centred @ gaps / (centred @ centred)
    return slopes, gaps.mean(axis=0) - slopes * x.mean()

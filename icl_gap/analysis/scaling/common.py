"""One slope for several curves: of a family on a benchmark, or of several families."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from icl_gap.analysis.scaling.families import ScalingCurve, other_scale_slopes
from icl_gap.analysis.scaling.scatter import (
    Scatter,
    joint_slope,
    posterior,
    scatter_likelihood,
    slope_without,
)
from icl_gap.analysis.scaling.slopes import CommonSlope, FitSettings, LeaveOneOutSlope
from icl_gap.analysis.scaling.trends import permutation_test
from icl_gap.analysis.scaling.verdicts import EQUIVALENCE, SlopeEvidence, judge

ALIKE = 0.05
"""Level of the test of equal slopes, below which one slope says nothing."""


def common_slopes(
    curves: Sequence[ScalingCurve],
    scatters: Mapping[tuple[str, bool], Scatter],
    settings: FitSettings,
) -> tuple[CommonSlope, ...]:
    """Fit one slope to the curves of each question, and to those of several families.

    Args:
        curves: Curves with lines.
        scatters: Scatter of models, by family and whether sides are pooled.
        settings: The scale, the confidence and the margin.

    Returns:
        For each family and benchmark with several curves of single sides, their common slope; then,
        for each side and number of shots with several families, the slope common to these.
    """
    questions: dict[tuple[str, str], list[ScalingCurve]] = defaultdict(list)
    families: dict[tuple[object, ...], list[ScalingCurve]] = defaultdict(list)
    for curve in curves:
        point = curve.first
        if point.query_split != "pooled":
            questions[point.family, point.benchmark].append(curve)
        families[point.benchmark, point.shots, point.query_split].append(curve)
    found = []
    for (family, _), group in questions.items():
        if len(group) > 1:
            found.append(_common(group, scatters[family, False], settings))
    for group in families.values():
        if len(group) > 1:
            scatter = posterior(scatter_likelihood([curve.regression for curve in group]))
            found.append(_common(group, scatter, settings))
    return tuple(found)


def _common(curves: Sequence[ScalingCurve], scatter: Scatter, settings: FitSettings) -> CommonSlope:
    regressions = [curve.regression for curve in curves]
    points = [curve.first for curve in curves]
    names = dict.fromkeys(name for each in regressions for name in each.accuracies.models)
    by_family = {
        family: [curve.regression for curve in curves if curve.first.family == family]
        for family in dict.fromkeys(point.family for point in points)
    }
    fit = joint_slope(regressions, scatter)
    test = permutation_test(list(by_family.values()), scatter.mean)
    without = tuple(
        LeaveOneOutSlope(name, slope_without(regressions, name, scatter))
        for name in names
        if all(len(set(each.accuracies.x)) > 2 for each in regressions)
    )
    slopes = [other_scale_slopes(curve, scatter.mean) for curve in curves]
    others = {name: float(np.mean([each[name] for each in slopes])) for name in slopes[0]}
    longest = max(float(np.ptp(curve.x)) for curve in curves)
    low, high = fit.interval(EQUIVALENCE)
    verdict, because = judge(
        SlopeEvidence(
            slope=fit.slope,
            interval=fit.interval(0.95),
            change=(low * longest, high * longest),
            permutation=test,
            n_models=len(names),
            leave_one_out=[each.slope for each in without],
            other_scales=others,
            doubts=[f"the slopes of the curves differ (p = {fit.differ_p:.3f})"]
            if fit.differ_p < ALIKE
            else [],
        ),
        settings.margin,
    )
    return CommonSlope(
        dataset=points[0].dataset,
        split=points[0].split,
        slope=fit.slope,
        slope_interval=fit.interval(settings.confidence),
        against=settings.against,
        permutation_p=test.p_value,
        leave_one_out=without,
        other_scales=others,
        verdict=verdict,
        because=because,
        families=tuple(by_family),
        shots=tuple(sorted({point.shots for point in points})),
        query_splits=tuple(dict.fromkeys(point.query_split for point in points)),
        n_models=len(names),
        differ_p=fit.differ_p,
    )

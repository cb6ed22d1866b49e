"""One slope for several cells: of a family on a benchmark, or of several families."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from icl_gap.analysis.families import FamilyCell, other_scale_slopes
from icl_gap.analysis.scatter import (
    Scatter,
    joint_slope,
    posterior,
    scatter_likelihood,
    slope_without,
)
from icl_gap.analysis.slopes import CommonSlope, FitSettings, LeaveOneOutSlope
from icl_gap.analysis.trends import permutation_test
from icl_gap.analysis.verdicts import EQUIVALENCE, SlopeEvidence, judge

ALIKE = 0.05
"""Level of the test of equal slopes, below which one slope says nothing."""


def common_slopes(
    cells: Sequence[FamilyCell],
    scatters: Mapping[tuple[str, bool], Scatter],
    settings: FitSettings,
) -> tuple[CommonSlope, ...]:
    """Fit one slope to the cells of each question, and to the families of each cell.

    Args:
        cells: Cells with lines.
        scatters: Scatter of models, by family and whether sides are pooled.
        settings: The scale, the confidence and the margin.

    Returns:
        For each family and benchmark with several cells of single sides, their common slope; then,
        for each cell of several families, the slope common to these.
    """
    questions: dict[tuple[str, str], list[FamilyCell]] = defaultdict(list)
    families: dict[tuple[object, ...], list[FamilyCell]] = defaultdict(list)
    for cell in cells:
        point = cell.first
        if point.query_split != "pooled":
            questions[point.family, point.benchmark].append(cell)
        families[point.benchmark, point.shots, point.query_split].append(cell)
    found = []
    for (family, _), group in questions.items():
        if len(group) > 1:
            found.append(_common(group, scatters[family, False], settings))
    for group in families.values():
        if len(group) > 1:
            scatter = posterior(scatter_likelihood([cell.regression for cell in group]))
            found.append(_common(group, scatter, settings))
    return tuple(found)


def _common(cells: Sequence[FamilyCell], scatter: Scatter, settings: FitSettings) -> CommonSlope:
    regressions = [cell.regression for cell in cells]
    points = [cell.first for cell in cells]
    names = dict.fromkeys(name for each in regressions for name in each.cell.models)
    by_family = {
        family: [cell.regression for cell in cells if cell.first.family == family]
        for family in dict.fromkeys(point.family for point in points)
    }
    fit = joint_slope(regressions, scatter)
    test = permutation_test(list(by_family.values()), scatter.mean)
    without = tuple(
        LeaveOneOutSlope(name, slope_without(regressions, name, scatter))
        for name in names
        if all(len(set(each.cell.x)) > 2 for each in regressions)
    )
    slopes = [other_scale_slopes(cell, scatter.mean) for cell in cells]
    others = {name: float(np.mean([each[name] for each in slopes])) for name in slopes[0]}
    longest = max(float(np.ptp(cell.x)) for cell in cells)
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
            doubts=[f"the slopes of the cells differ (p = {fit.differ_p:.3f})"]
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

"""The curves of a family that its fits against scale use."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from icl_gap.analysis.gaps import ResampledGap
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Remarks
from icl_gap.analysis.points import GapPoint
from icl_gap.analysis.scaling.regression import CurveAccuracies, CurveRegression
from icl_gap.analysis.scaling.scale import ESTIMATED, Scale
from icl_gap.analysis.scaling.slopes import LeftOut
from icl_gap.text import brief, shots_text

MIN_REPLICATES = 3
"""Fewest trainings beyond the first of their size that estimate the scatter between trainings."""
SIZE_UNKNOWN = "no fit: sizes of models are not known, so figures against size show them by name"


@dataclass(frozen=True, slots=True, eq=False)
class ScalingCurve:
    """One family on one query split of a benchmark, with one number of shots."""

    used: tuple[ResampledGap, ...]
    """The models of the fit, smallest first."""
    left_out: tuple[LeftOut, ...]
    regression: CurveRegression

    @property
    def first(self) -> GapPoint:
        """The point of the smallest model, which describes the curve."""
        return self.used[0].point

    @property
    def x(self) -> Floats:
        """(M,): log10 of the models' scale."""
        return self.regression.accuracies.x

    @property
    def n_sizes(self) -> int:
        """Number of different sizes."""
        return len(set(self.x))

    @property
    def replicated(self) -> bool:
        """True if trainings of the same sizes, told apart by their seeds, can estimate tau."""
        sizes = [
            x for x, e in zip(self.x, self.used, strict=True) if e.point.training_seed is not None
        ]
        return len(sizes) - len(set(sizes)) >= MIN_REPLICATES

    @property
    def question(self) -> tuple[str, str, bool]:
        """Family and benchmark, and whether both sides are pooled: curves of one question."""
        point = self.first
        return point.family, point.benchmark, point.query_split == "pooled"

    def __repr__(self) -> str:
        return brief(
            "ScalingCurve", self.first.family, f"{len(self.used)} models", self.first.label
        )


def scaling_curves(
    measured: Sequence[ResampledGap], scale: Scale, *, estimated_sizes: bool
) -> tuple[list[ScalingCurve], Remarks]:
    """Return the curves of all families that have at least two sizes; and remarks on the others.

    Args:
        measured: Gaps with their draws, all with the same number of resamples.
        scale: The scale to fit against.
        estimated_sizes: Include models whose size is an estimate.
    """
    groups: dict[tuple[object, ...], list[ResampledGap]] = defaultdict(list)
    for each in measured:
        point = each.point
        if point.shots:
            groups[point.family, point.benchmark, point.shots, point.query_split].append(each)
    curves, remarks = [], Remarks()
    for group in groups.values():
        used, left_out = _split(group, scale, estimated_sizes=estimated_sizes)
        remarks += [
            (f"left out of fits, {ESTIMATED}", e.model) for e in left_out if e.reason == ESTIMATED
        ]
        if any(e.point.size_unknown and scale.of(e.point) is None for e in group):
            where = f"{group[0].point.family} on {group[0].point.benchmark}"
            remarks.append((SIZE_UNKNOWN, where))
        if len({scale.of(each.point) for each in used}) > 1:
            curves.append(ScalingCurve(used, left_out, CurveRegression(_accuracies(used, scale))))
        elif any(e.point.trained and scale.of(e.point) is not None for e in group):
            point = group[0].point
            text = f"no fit: fewer than two {scale.steps} of a trained model"
            where = f"{point.family} on {point.benchmark}, {shots_text(point.shots)}"
            remarks.append((text, f"{where}, {point.query_split} queries"))
    return curves, remarks


def other_scale_slopes(curve: ScalingCurve, tau: float) -> Mapping[str, float]:
    """Return the slopes of the difference of accuracies, and of the log-odds ratio.

    Both are weighted least squares against x. A weight is the inverse of the sampling variance
    and of tau squared, carried over from the relative gap by its derivative.
    """
    data = curve.regression.accuracies
    m, half = len(data.x), 0.5 * np.sqrt(data.least)
    inside, outside = (np.clip(a, half, 1 - half) for a in (data.a_id, data.a_ood))
    drawn = np.clip(data.draws, np.tile(half, 2)[:, None], 1 - np.tile(half, 2)[:, None])

    def odds(a: Floats) -> Floats:
        return np.asarray(np.log(a) - np.log1p(-a))

    values = {
        "difference": (inside - outside, drawn[:m] - drawn[m:], inside),
        "log-odds ratio": (
            odds(inside) - odds(outside),
            odds(drawn[:m]) - odds(drawn[m:]),
            inside / (outside * (1 - outside)),
        ),
    }
    found = {}
    for name, (value, draws, derivative) in values.items():
        weights = 1 / (draws.var(axis=1) + (tau * derivative) ** 2 + data.least)
        away = data.x - np.average(data.x, weights=weights)
        found[name] = float((weights * away) @ value / ((weights * away) @ away))
    return found


def _split(
    group: Sequence[ResampledGap], scale: Scale, *, estimated_sizes: bool
) -> tuple[tuple[ResampledGap, ...], tuple[LeftOut, ...]]:
    """Divide a family into the models that a fit uses, smallest first, and those left out."""
    used, left_out = [], []
    for each in group:
        why = scale.why_not(each.point, estimated_sizes=estimated_sizes)
        if why is None:
            used.append(each)
        else:
            left_out.append(LeftOut(each.point.model, why))
    return tuple(sorted(used, key=lambda each: scale.of(each.point) or 0)), tuple(left_out)


def _accuracies(used: Sequence[ResampledGap], scale: Scale) -> CurveAccuracies:
    points = [each.point for each in used]
    first = points[0]
    values = np.array([[p.a_id.value for p in points], [p.a_ood.value for p in points]])
    draws = np.stack([*(each.draws.a_id for each in used), *(each.draws.a_ood for each in used)])
    n_requests = np.array([point.n_queries * point.n_seeds for point in points])
    return CurveAccuracies(
        x=np.log10([float(scale.of(point) or 0) for point in points]),
        models=tuple(point.model for point in points),
        a_id=values[0],
        a_ood=values[1],
        # A resample without any answered request tells nothing of the variance.
        draws=np.where(np.isnan(draws), values.reshape(-1, 1), draws),
        least=1.0 / n_requests**2,
        queries=(first.benchmark, first.query_split),
    )

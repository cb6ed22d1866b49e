"""Fits of the gap against the logarithm of the scale, with scatter between models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.gaps import ResampledGap
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Remarks
from icl_gap.analysis.scaling.common import common_slopes
from icl_gap.analysis.scaling.comparison import compare_forms
from icl_gap.analysis.scaling.families import ScalingCurve, other_scale_slopes, scaling_curves
from icl_gap.analysis.scaling.line_posterior import LinePosterior
from icl_gap.analysis.scaling.lines import line_band, line_posterior, predict_gap, prior_sensitivity
from icl_gap.analysis.scaling.scale import SCALES, Scale
from icl_gap.analysis.scaling.scatter import (
    Scatter,
    posterior,
    scatter_likelihood,
    slope_without,
)
from icl_gap.analysis.scaling.slopes import (
    ClassicalSlope,
    Closed,
    CommonSlope,
    FitSettings,
    GapFit,
    LackOfFit,
    LeaveOneOutSlope,
    ScatterSource,
    Trend,
)
from icl_gap.analysis.scaling.trends import PermutationTest, kendall, permutation_test
from icl_gap.analysis.scaling.verdicts import EQUIVALENCE, SlopeEvidence, judge, judge_closed

MIN_SIZES = 3
"""Least number of sizes for a line: fewer always lie on one."""
REFUTED = 0.01
"""Level at which the points refute a line with the largest scatter that is plausible."""


@dataclass(frozen=True, slots=True)
class _FamilyScatter:
    """The scatter between a family's models, and where it comes from."""

    likelihood: Floats
    """(T, R)."""
    scatter: Scatter
    source: ScatterSource

    @classmethod
    def of(cls, curves: Sequence[ScalingCurve]) -> _FamilyScatter:
        """Estimate it from all curves together: from replicates, if all curves have them."""
        replicated = all(curve.replicated for curve in curves)
        likelihood = scatter_likelihood([c.regression for c in curves], by_size=replicated)
        source: ScatterSource = "replicates" if replicated else "residuals"
        return cls(likelihood, posterior(likelihood), source)


def fit_gaps(
    measured: Sequence[ResampledGap], settings: FitSettings
) -> tuple[tuple[GapFit, ...], tuple[CommonSlope, ...], Remarks]:
    """Fit each family's gaps on each benchmark, number of shots and query split.

    The module `regression` has the model of a curve, and `scatter` that of the scatter between
    models, which is estimated from all curves of a family together.

    Args:
        measured: Gaps with their draws, all with the same number of resamples.
        settings: The scale, the confidence, the margin, and scales to predict at.

    Returns:
        The fit of each family with at least two sizes of a trained model; the common slopes of
        `common_slopes`; and remarks on families with fewer sizes.
    """
    curves, remarks = scaling_curves(
        measured, SCALES[settings.against], estimated_sizes=settings.estimated_sizes
    )
    families: dict[tuple[str, bool], list[ScalingCurve]] = defaultdict(list)
    questions: dict[tuple[str, str, bool], list[ScalingCurve]] = defaultdict(list)
    for curve in curves:
        family, _, pooled = curve.question
        families[family, pooled].append(curve)
        questions[curve.question].append(curve)
    found = {key: _FamilyScatter.of(group) for key, group in families.items()}
    fits = []
    for (family, _, pooled), group in questions.items():
        of_family = found[family, pooled]
        test = permutation_test([[c.regression for c in group]], of_family.scatter.mean)
        fits += [_fit(curve, of_family, test, settings) for curve in group]
    scatters = {key: each.scatter for key, each in found.items()}
    lines = [curve for curve in curves if curve.n_sizes >= MIN_SIZES]
    return _without_hidden_trends(fits), common_slopes(lines, scatters, settings), remarks


def _without_hidden_trends(fits: Sequence[GapFit]) -> tuple[GapFit, ...]:
    """Return the fits; a pooled one has no verdict where its sides have opposite trends."""
    signs: dict[tuple[str, str, int], set[bool]] = defaultdict(set)
    for fit in fits:
        ends = fit.slope_interval
        if fit.query_split != "pooled" and ends is not None and ends[0] * ends[1] > 0:
            signs[fit.family, fit.benchmark, fit.shots].add(fit.slope > 0)
    because = "pooling hides the sides, whose slopes have opposite signs"
    return tuple(
        replace(fit, verdict="undetermined", because=because)
        if fit.query_split == "pooled" and len(signs[fit.family, fit.benchmark, fit.shots]) > 1
        else fit
        for fit in fits
    )


def with_forms(fits: Sequence[GapFit], measured: Sequence[ResampledGap]) -> tuple[GapFit, ...]:
    """Return the fits with the functional forms of their gaps, which take a while."""
    points = {
        (e.point.model, e.point.benchmark, e.point.shots, e.point.query_split): e for e in measured
    }
    found = []
    for fit in fits:
        here = [points[model, fit.benchmark, fit.shots, fit.query_split] for model in fit.models]
        at = dict(zip(fit.models, fit.scales, strict=True))
        used = [each for each in here if each.point.gap]
        x = np.log10([at[each.point.model] for each in used])
        tau = fit.between_model_sd.value
        found.append(replace(fit, forms=compare_forms(used, x - x.mean(), tau) if used else ()))
    return tuple(found)


def _fit(
    curve: ScalingCurve, found: _FamilyScatter, test: PermutationTest, settings: FitSettings
) -> GapFit:
    scatter, scale, point = found.scatter, SCALES[settings.against], curve.first
    line = line_posterior(curve, scatter)
    slope = curve.regression.slope(*scatter.plausible)
    bounded = bool(np.isfinite(slope.interval(max(0.95, settings.confidence))).all())
    unsupported = _unsupported(curve, scatter, scale, bounded=bounded)
    interval = slope.interval(settings.confidence) if bounded else None
    value, x = slope.quantile(0.5), curve.x
    without, others = _leave_one_out(curve, scatter), other_scale_slopes(curve, scatter.mean)
    low, high = slope.interval(EQUIVALENCE)
    verdict, because = judge(
        SlopeEvidence(
            slope=value,
            interval=slope.interval(0.95),
            change=(low * float(np.ptp(x)), high * float(np.ptp(x))),
            permutation=test,
            n_models=len(x),
            leave_one_out=[each.slope for each in without],
            other_scales=others,
            doubts=[unsupported] if unsupported else _flags(curve),
        ),
        settings.margin,
    )
    largest, largest_gap, closed = _at_largest(curve, settings.margin)
    return GapFit(
        dataset=point.dataset,
        split=point.split,
        slope=value,
        slope_interval=interval,
        against=scale.key,
        permutation_p=test.p_value,
        leave_one_out=without,
        other_scales=others,
        verdict=verdict,
        because=because,
        family=point.family,
        shots=point.shots,
        query_split=point.query_split,
        intercept=line.mean(10**line.centre) - value * line.centre,
        between_model_sd=Estimate(scatter.mean, scatter.quantile(0.025), scatter.quantile(0.975)),
        between_model_sd_from=found.source,
        lack_of_fit=_lack_of_fit(curve),
        r_squared=_explained(curve, line),
        classical=_classical(curve, settings.confidence),
        sensitivity=prior_sensitivity(curve, found.likelihood, settings.confidence),
        n_points=len(x),
        models=tuple(each.point.model for each in curve.used),
        scales=tuple(float(scale.of(each.point) or 0) for each in curve.used),
        left_out=curve.left_out,
        unsupported=unsupported,
        line=line,
        band=() if unsupported else line_band(line, x, settings.confidence),
        forms=(),
        trend=_trend(curve, test),
        largest=largest,
        largest_gap=largest_gap,
        closed=closed,
        margin=settings.margin,
        predicted=()
        if unsupported
        else tuple(predict_gap(line, at, settings) for at in settings.at),
    )


def _unsupported(
    curve: ScalingCurve, scatter: Scatter, scale: Scale, *, bounded: bool
) -> str | None:
    """Return the reason why no line is drawn; None if one is."""
    if curve.n_sizes < MIN_SIZES:
        return f"fewer than {MIN_SIZES} {scale.steps}, which always lie on a line"
    if not bounded:
        return "the accuracies are too low to bound the slope"
    widest = np.array([scatter.quantile(0.975)])
    chi2, free = float(curve.regression.line(widest).q[0]), len(curve.x) - 2
    if stats.chi2.sf(chi2, free) < REFUTED:
        return "the gaps lie further from the line than the scatter of models can explain"
    return None


def _flags(curve: ScalingCurve) -> list[str]:
    """Return the reasons why pooled gaps hide their sides, which then get no verdict."""
    flagged = [each.point for each in curve.used if each.point.flags]
    if not flagged:
        return []
    first = flagged[0]
    more = f", and {len(flagged) - 1} more models" if len(flagged) > 1 else ""
    return [f"pooling hides the sides: {first.model}, {'; '.join(first.flags)}{more}"]


def _leave_one_out(curve: ScalingCurve, scatter: Scatter) -> tuple[LeaveOneOutSlope, ...]:
    """Return the slope without each model, to show a slope that depends on a single one."""
    found = []
    for n, each in enumerate(curve.used):
        if len(set(np.delete(curve.x, n))) > 1:
            slope = slope_without([curve.regression], each.point.model, scatter)
            found.append(LeaveOneOutSlope(each.point.model, slope))
    return tuple(found)


def _lack_of_fit(curve: ScalingCurve) -> LackOfFit:
    q, free = float(curve.regression.line(np.zeros(1)).q[0]), len(curve.x) - 2
    return LackOfFit(q, float(stats.chi2.sf(q, free)) if free > 0 else None)


def _classical(curve: ScalingCurve, confidence: float) -> ClassicalSlope | None:
    if curve.n_sizes < MIN_SIZES:
        return None
    return ClassicalSlope(*curve.regression.paule_mandel(confidence))


def _explained(curve: ScalingCurve, line: LinePosterior) -> float | None:
    """Return R squared of the resolved gaps; None if they do not vary."""
    pairs = [
        (each.point.gap.value, line.mean(10**x))
        for each, x in zip(curve.used, curve.x, strict=True)
        if each.point.gap
    ]
    y, fitted = np.array(pairs).reshape(-1, 2).T
    spread = ((y - y.mean()) ** 2).sum() if len(y) else 0.0
    return float(1 - ((y - fitted) ** 2).sum() / spread) if spread > 0 else None


def _trend(curve: ScalingCurve, test: PermutationTest) -> Trend:
    known = [
        (x, e.point.gap.value) for x, e in zip(curve.x, curve.used, strict=True) if e.point.gap
    ]
    x, gaps = np.array(known).reshape(-1, 2).T
    return Trend(test.p_value, test.least, *kendall(x, gaps))


def _at_largest(curve: ScalingCurve, margin: float) -> tuple[str, Estimate | None, Closed]:
    """Return the largest model, its gap, and whether the gaps of that size are closed.

    The interval is that of the test of equivalence. Of several trainings of that size, the one
    whose interval reaches furthest from 0 is named, and all must agree. A training without a gap,
    and a flagged pooled gap, say nothing.
    """
    trainings = [each for x, each in zip(curve.x, curve.used, strict=True) if x == curve.x[-1]]
    found = [
        (gap, each.point) for each in trainings if (gap := each.interval(EQUIVALENCE)) is not None
    ]
    if not found:
        return trainings[-1].point.model, None, "undetermined"
    verdicts: set[Closed] = {
        "undetermined" if point.flags else judge_closed((gap.low, gap.high), margin)
        for gap, point in found
    }
    gap, point = max(found, key=lambda each: max(abs(each[0].low), abs(each[0].high)))
    return point.model, gap, verdicts.pop() if len(verdicts) == 1 else "undetermined"

"""A curve's line with its uncertainty: its posterior, its bands, its predictions."""

from __future__ import annotations

import numpy as np

from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.scaling.families import ScalingCurve
from icl_gap.analysis.scaling.line_posterior import LinePosterior
from icl_gap.analysis.scaling.mixtures import mixture_quantile
from icl_gap.analysis.scaling.scatter import PRIOR_SD, Scatter, posterior
from icl_gap.analysis.scaling.slopes import BandPoint, FitSettings, PredictedGap, PriorSensitivity
from icl_gap.analysis.scaling.verdicts import EQUIVALENCE, judge_closed

BAND_POINTS = 25


def line_posterior(curve: ScalingCurve, scatter: Scatter) -> LinePosterior:
    """Return the line under all plausible values of tau."""
    taus, weights = scatter.plausible
    found = curve.regression.line(taus)
    covs = ((c[0, 0], c[0, 1], c[1, 1]) for c in found.cov)
    return LinePosterior(
        curve.regression.centre,
        tuple(map(float, taus)),
        tuple(map(float, weights)),
        tuple(map(float, found.coefficients[:, 0])),
        tuple(map(float, found.coefficients[:, 1])),
        tuple((float(a), float(b), float(c)) for a, b, c in covs),
    )


def line_band(line: LinePosterior, x: Floats, confidence: float) -> tuple[BandPoint, ...]:
    """Return the line and its bands at `BAND_POINTS` scales between those of the models, x."""
    scales = [float(10**at) for at in np.linspace(x.min(), x.max(), BAND_POINTS)]
    means, new = (
        line.intervals(scales, confidence, new_model=new_model) for new_model in (False, True)
    )
    return tuple(
        BandPoint(scale, Estimate(line.mean(scale), *mean), model)
        for scale, mean, model in zip(scales, means, new, strict=True)
    )


def predict_gap(line: LinePosterior, at: float, settings: FitSettings) -> PredictedGap:
    """Return the predicted gap of a new model of one scale."""
    gap = Estimate(line.mean(at), *line.interval(at, settings.confidence, new_model=True))
    within = line.interval(at, EQUIVALENCE, new_model=True)
    return PredictedGap(at, gap, judge_closed(within, settings.margin))


def prior_sensitivity(
    curve: ScalingCurve, likelihood: Floats, confidence: float
) -> tuple[PriorSensitivity, ...]:
    """Return the slope's interval under half and twice the scale of the prior."""
    tail, found = (1 - confidence) / 2, []
    for prior_sd in (PRIOR_SD / 2, 2 * PRIOR_SD):
        line = line_posterior(curve, posterior(likelihood, prior_sd))
        slopes, sds = np.array(line.slopes), np.sqrt([cov[2] for cov in line.covs])
        ends = (mixture_quantile(p, slopes, sds, np.array(line.weights)) for p in (tail, 1 - tail))
        low, high = map(float, ends)
        found.append(PriorSensitivity(prior_sd, (low, high)))
    return tuple(found)

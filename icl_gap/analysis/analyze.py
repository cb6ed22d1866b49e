"""`analyze`: from finished cells to gaps and fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from icl_gap.analysis.points import Analysis, merge_notes
from icl_gap.errors import AnalysisError, InputError
from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, ScaleKey

if TYPE_CHECKING:
    import pandas as pd


def analyze(
    results: pd.DataFrame,
    *,
    metric: Metric = "raw",
    resamples: int = 5000,
    seed: int = 0,
    confidence: float = 0.95,
    against: ScaleKey = "n_params",
    estimated_sizes: bool = False,
) -> Analysis:
    """Relative generalization gaps with their intervals, and their fit against scale.

    Pure: the same requests in any order give the same numbers. The formulas stand in
    `icl_gap.analysis.gaps` (the gap), `icl_gap.analysis.bootstrap` (the intervals),
    `icl_gap.analysis.fit` (the fit) and `icl_gap.analysis.composition` (the reasoning gap).
    Intervals come from resampling, so where every request has the same outcome they have no width;
    that is no proof of certainty.

    Args:
        results: Requests of finished cells, as `load_results` gives them; rows in any order.
        metric: Which match to count: of the strings, of their normal forms, or of what programs do.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        confidence: Of every interval, in (0, 1).
        against: What fits are against: parameters, all or without embeddings, tokens trained on, or
            operations of training (`icl_gap.analysis.scale`).
        estimated_sizes: Let fits use models whose size nobody but others has told.

    Raises:
        AnalysisError: There are no results, or ID and OOD cells cannot be compared.
        InputError: An argument is not possible.
    """
    from icl_gap.analysis.composition import reasoning_gaps
    from icl_gap.analysis.fit import fit_gaps
    from icl_gap.analysis.gaps import measure
    from icl_gap.analysis.pairing import pair
    from icl_gap.analysis.scale import SCALES

    _check(metric, resamples, confidence, against)
    if results.empty:
        raise AnalysisError("there are no finished cells to analyze; run the sweep first")
    paired, missing = pair(results, metric)
    measured, remarks = measure(paired, resamples=resamples, seed=seed, confidence=confidence)
    reasoning, incomplete = reasoning_gaps(
        paired, resamples=resamples, seed=seed, confidence=confidence
    )
    fits, common, unfitted = fit_gaps(
        measured, SCALES[against], confidence=confidence, estimated_sizes=estimated_sizes
    )
    return Analysis(
        points=tuple(each.point for each in measured),
        fits=fits,
        common=common,
        reasoning=reasoning,
        notes=merge_notes([*missing, *remarks, *incomplete, *unfitted]),
        metric=metric,
        resamples=resamples,
        seed=seed,
        confidence=confidence,
        against=against,
        estimated_sizes=estimated_sizes,
    )


def _check(metric: Metric, resamples: int, confidence: float, against: ScaleKey) -> None:
    if metric not in METRICS:
        raise InputError("unknown metric", value=metric, allowed=tuple(METRICS))
    if against not in get_args(ScaleKey):
        raise InputError("unknown scale", value=against, allowed=get_args(ScaleKey))
    if not 0 < confidence < 1:
        raise InputError(
            "confidence is a probability", value=confidence, allowed="more than 0, less than 1"
        )
    # An interval's end needs at least one resample beyond it.
    if round(resamples * (1 - confidence) / 2, 9) < 1:
        raise InputError(
            f"too few resamples for intervals at {confidence:.0%}",
            value=resamples,
            allowed=f"at least {2 / (1 - confidence):.0f}",
        )

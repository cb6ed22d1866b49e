"""`analyze`: gaps and fits from the results of finished cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from icl_gap.analysis.points import (
    GapDifference,
    GapPoint,
    MatchedContrast,
    ReasoningGap,
    SideContrast,
)
from icl_gap.analysis.scaling.slopes import MARGIN, CommonSlope, FitSettings, GapFit
from icl_gap.errors import AnalysisError, InputError
from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, ScaleKey
from icl_gap.text import brief

if TYPE_CHECKING:
    import pandas as pd

    from icl_gap.analysis.gaps import ResampledGap
    from icl_gap.analysis.pairing import Remarks
    from icl_gap.results import Results

RESAMPLES = 5000
"""Number of bootstrap resamples."""
CONFIDENCE = 0.95
"""Confidence of all intervals."""


@dataclass(frozen=True, slots=True)
class Note:
    """A remark that qualifies some numbers, and which ones it concerns."""

    text: str
    where: tuple[str, ...]

    def __str__(self) -> str:
        shown = "; ".join(self.where[:3])
        more = f"; and {len(self.where) - 3} more" if len(self.where) > 3 else ""
        return f"{self.text}: {shown}{more}" if self.where else self.text

    def __repr__(self) -> str:
        return brief("Note", self.text, f"concerns {len(self.where)}")


@dataclass(frozen=True, slots=True)
class Analysis:
    """All gaps and fits of a set of results, with the settings of the analysis."""

    points: tuple[GapPoint, ...]
    """Of each setting: the test side, the train side, then both pooled."""
    sides: tuple[SideContrast, ...]
    """The test side's gap less the train side's, of each setting that has both."""
    fits: tuple[GapFit, ...]
    common: tuple[CommonSlope, ...]
    """One for each family on a benchmark with several shots or sides, and one for each side and
    number of shots of a benchmark with several families."""
    reasoning: tuple[ReasoningGap, ...]
    """Reasoning gaps on the benchmarks that have composed questions and their parts."""
    comparisons: tuple[GapDifference, ...]
    """Differences between the two models, shots or selections to compare; none by default."""
    notes: tuple[Note, ...]
    metric: Metric
    resamples: int
    seed: int
    confidence: float
    against: ScaleKey = "n_params"
    """The scale of all fits."""
    estimated_sizes: bool = False
    """True if fits use models whose size is an estimate."""
    margin: float = MARGIN
    """Largest gap, or change of the gap, that counts as none."""
    cluster: str | None = None
    """Field by which queries are clustered in every resample; None if they are independent."""
    matched: tuple[MatchedContrast, ...] = ()
    """Gaps that remain where OOD exemplars cover their queries as ID ones do (`ood_matched`)."""
    model_order: tuple[str, ...] = field(default=(), compare=False)
    """Models in the order of the results, which is that of the sweep; figures show models of
    unknown size in it. Nothing else depends on it."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`; all numbers are finite."""
        return asdict(self)

    def to_frame(self) -> pd.DataFrame:
        """Return the gaps as a pandas frame, one row for each of `points`, in their order.

        Columns are the fields of `GapPoint`. An estimate is three columns (`gap`, `gap_low`,
        `gap_high`; so `a_id`, `a_ood` and `smooth`), an interval two (`simultaneous_low`, …; so
        `fieller` and `bounds`), the test three (`p_value`, `p_holm`, `p_bh`), and `flags` one
        text. Missing numbers are NaN: an unresolved gap has its reason in `unresolved_because`.
        """
        from icl_gap.analysis.gap_frame import gap_frame

        return gap_frame(self.points)

    def _repr_html_(self) -> str:
        from icl_gap.analysis.analysis_html import analysis_html

        return analysis_html(self)

    def __repr__(self) -> str:
        parts = (f"{len(self.points)} gaps", f"{len(self.fits)} fits", f"{len(self.notes)} notes")
        return brief("Analysis", *parts, f"metric {self.metric}, against {self.against}")


def analyze(
    results: pd.DataFrame | Results | str | Path,
    *,
    metric: Metric = "raw",
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    against: ScaleKey = "n_params",
    estimated_sizes: bool = False,
    margin: float = MARGIN,
    at: Sequence[float] = (),
    cluster: str | None = None,
    compare: tuple[str, str] | None = None,
) -> Analysis:
    """Estimate relative generalization gaps with intervals, and fit them against scale.

    The result depends on the requests alone, not on their order, apart from its `model_order`.
    Formulas, sources and calibration of all estimators are in `icl_gap/analysis/README.md`.

    Args:
        results: Requests of finished cells: a frame as returned by `load_results`, in any order, or
            a results folder, or its path.
        metric: The match to count: of strings, of normal forms, or of execution results.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
        confidence: Confidence of all intervals, in (0, 1).
        against: The scale to fit against: all parameters, parameters without embeddings, training
            tokens, or training FLOPs (`icl_gap.analysis.scaling.scale`).
        estimated_sizes: Also fit models whose size is an estimate by others than its authors.
        margin: Largest gap, or change of the gap, that counts as none; more than 0.
        at: Scales for which the fits predict the gap of a new model, in units of `against`.
        cluster: Column of the frame that names each query's cluster; whole clusters are resampled
            in place of queries. Of a folder also `template` (the program without its
            numbers), `target` or `source`, which are read from the benchmark.
        compare: Two models, or two values `shots=5`, `selection=random`, whose gaps are subtracted
            in every setting that both have.

    Raises:
        AnalysisError: There are no results, ID and OOD cells cannot be compared, queries cannot be
            clustered, or the two to compare have no setting in common.
        InputError: An argument is out of range.
    """
    settings = FitSettings(against, estimated_sizes, confidence, margin, tuple(at))
    _check(metric, resamples, settings)
    frame = _frame_of(results, cluster)
    if frame.empty:
        raise AnalysisError("there are no finished cells to analyze; run the sweep first")
    return _analyze(
        frame,
        settings,
        metric=metric,
        resamples=resamples,
        seed=seed,
        cluster=cluster,
        compare=compare,
    )


def _analyze(
    results: pd.DataFrame,
    settings: FitSettings,
    *,
    metric: Metric,
    resamples: int,
    seed: int,
    cluster: str | None,
    compare: tuple[str, str] | None,
) -> Analysis:
    from icl_gap.analysis.composition import reasoning_gaps
    from icl_gap.analysis.contrasts import compare_gaps, parse_comparison, side_contrasts
    from icl_gap.analysis.gaps import estimate_gaps
    from icl_gap.analysis.matched import matched_contrasts
    from icl_gap.analysis.multiplicity import adjust_families
    from icl_gap.analysis.pairing import pair

    comparison = parse_comparison(*compare) if compare else None
    paired, missing = pair(results, metric, cluster)
    confidence = settings.confidence
    bootstrap = {"resamples": resamples, "seed": seed}
    measured, remarks = estimate_gaps(paired, **bootstrap, confidence=confidence)
    gaps = adjust_families(measured, confidence=confidence)
    reasoning, incomplete = reasoning_gaps(paired, **bootstrap, confidence=confidence)
    matched, unmatched = matched_contrasts(results, metric, **bootstrap, confidence=confidence)
    fits, common, unfitted = _fits(gaps, settings)
    return Analysis(
        points=tuple(each.point for each in gaps),
        sides=side_contrasts(gaps, confidence=confidence),
        fits=fits,
        common=common,
        reasoning=reasoning,
        comparisons=compare_gaps(gaps, comparison, confidence=confidence) if comparison else (),
        matched=matched,
        notes=_notes([*missing, *remarks, *incomplete, *unmatched, *unfitted]),
        metric=metric,
        resamples=resamples,
        seed=seed,
        confidence=confidence,
        against=settings.against,
        estimated_sizes=settings.estimated_sizes,
        margin=settings.margin,
        cluster=cluster,
        model_order=tuple(map(str, results["model"].unique())),
    )


def _fits(
    gaps: Sequence[ResampledGap], settings: FitSettings
) -> tuple[tuple[GapFit, ...], tuple[CommonSlope, ...], Remarks]:
    """Fit the gaps of each selection of exemplars on their own."""
    from icl_gap.analysis.scaling.fit import fit_gaps, with_forms

    fits: list[GapFit] = []
    common: list[CommonSlope] = []
    remarks: Remarks = []
    for selection in dict.fromkeys(each.point.selection for each in gaps):
        group = [each for each in gaps if each.point.selection == selection]
        found, slopes, unfitted = fit_gaps(group, settings)
        fits += with_forms(found, group)
        common += slopes
        remarks += unfitted
    return tuple(fits), tuple(common), remarks


def _frame_of(results: pd.DataFrame | Results | str | Path, cluster: str | None) -> pd.DataFrame:
    """Return a frame as it is, and the frame of a results folder."""
    from icl_gap.analysis.clusters import read_outcome_frame
    from icl_gap.results import Results, open_results

    if isinstance(results, Results | str | Path):
        return read_outcome_frame([open_results(results)], cluster)
    return results


def _check(metric: Metric, resamples: int, settings: FitSettings) -> None:
    against, confidence = settings.against, settings.confidence
    if metric not in METRICS:
        raise InputError("unknown metric", value=metric, allowed=tuple(METRICS))
    if against not in get_args(ScaleKey):
        raise InputError("unknown scale", value=against, allowed=get_args(ScaleKey))
    if not 0 < confidence < 1:
        raise InputError(
            "confidence is a probability", value=confidence, allowed="more than 0, less than 1"
        )
    if settings.margin <= 0:
        raise InputError("the margin is not positive", value=settings.margin, allowed="above 0")
    if (least := min(settings.at, default=1.0)) <= 0:
        raise InputError("a scale to predict at is not positive", value=least, allowed="above 0")
    # An interval's end needs at least one resample beyond it.
    if round(resamples * (1 - confidence) / 2, 9) < 1:
        raise InputError(
            f"too few resamples for intervals at {confidence:.0%}",
            value=resamples,
            allowed=f"at least {2 / (1 - confidence):.0f}",
        )


def _notes(remarks: Iterable[tuple[str, str]]) -> tuple[Note, ...]:
    """Merge (text, where) pairs of the same text, in order of their first appearance."""
    merged: dict[str, dict[str, None]] = {}
    for text, where in remarks:
        merged.setdefault(text, {})[where] = None
    return tuple(Note(text, tuple(where)) for text, where in merged.items())

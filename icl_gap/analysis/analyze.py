"""`analyze`: gaps and fits from the results of finished cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, get_args

from icl_gap.analysis.points import GapPoint, MatchedContrast, ReasoningGap
from icl_gap.analysis.slopes import MARGIN, CommonSlope, FitSettings, GapFit
from icl_gap.errors import AnalysisError, InputError
from icl_gap.metrics import METRICS
from icl_gap.schema import Metric, ScaleKey
from icl_gap.text import brief

if TYPE_CHECKING:
    import pandas as pd


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
    fits: tuple[GapFit, ...]
    common: tuple[CommonSlope, ...]
    """One for each benchmark, number of shots and query split for which several families are
    fitted."""
    reasoning: tuple[ReasoningGap, ...]
    """Reasoning gaps on the benchmarks that have composed questions and their parts."""
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
    matched: tuple[MatchedContrast, ...] = ()
    """Gaps that remain where OOD exemplars cover their queries as ID ones do (`ood_matched`)."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`; all numbers are finite."""
        return asdict(self)

    def __repr__(self) -> str:
        parts = (f"{len(self.points)} gaps", f"{len(self.fits)} fits", f"{len(self.notes)} notes")
        return brief("Analysis", *parts, f"metric {self.metric}, against {self.against}")


def analyze(
    results: pd.DataFrame,
    *,
    metric: Metric = "raw",
    resamples: int = 5000,
    seed: int = 0,
    confidence: float = 0.95,
    against: ScaleKey = "n_params",
    estimated_sizes: bool = False,
    margin: float = MARGIN,
    at: Sequence[float] = (),
) -> Analysis:
    """Estimate relative generalization gaps with intervals, and fit them against scale.

    The result depends on the requests alone, not on their order. Formulas, sources and calibration
    of all estimators are in `icl_gap/analysis/README.md`. Intervals come from resampling: if all
    requests have the same outcome, they have no width, which does not mean certainty.

    Args:
        results: Requests of finished cells, as returned by `load_results`, in any order.
        metric: The match to count: of strings, of normal forms, or of execution results.
        resamples: Number of bootstrap resamples.
        seed: Seed of the bootstrap.
        confidence: Confidence of all intervals, in (0, 1).
        against: The scale to fit against: all parameters, parameters without embeddings, training
            tokens, or training FLOPs (`icl_gap.analysis.scale`).
        estimated_sizes: Also fit models whose size is an estimate by others than its authors.
        margin: Largest gap, or change of the gap, that counts as none; more than 0.
        at: Scales for which the fits predict the gap of a new model, in units of `against`.

    Raises:
        AnalysisError: There are no results, or ID and OOD cells cannot be compared.
        InputError: An argument is out of range.
    """
    settings = FitSettings(against, estimated_sizes, confidence, margin, tuple(at))
    _check(metric, resamples, settings)
    if results.empty:
        raise AnalysisError("there are no finished cells to analyze; run the sweep first")
    return _analyze(results, settings, metric=metric, resamples=resamples, seed=seed)


def _analyze(
    results: pd.DataFrame, settings: FitSettings, *, metric: Metric, resamples: int, seed: int
) -> Analysis:
    from icl_gap.analysis.composition import reasoning_gaps
    from icl_gap.analysis.fit import fit_gaps, with_forms
    from icl_gap.analysis.gaps import estimate_gaps
    from icl_gap.analysis.matched import matched_contrasts
    from icl_gap.analysis.pairing import pair

    paired, missing = pair(results, metric)
    confidence = settings.confidence
    bootstrap = {"resamples": resamples, "seed": seed}
    gaps, remarks = estimate_gaps(paired, **bootstrap, confidence=confidence)
    reasoning, incomplete = reasoning_gaps(paired, **bootstrap, confidence=confidence)
    matched, unmatched = matched_contrasts(results, metric, **bootstrap, confidence=confidence)
    fits, common, unfitted = fit_gaps(gaps, settings)
    return Analysis(
        points=tuple(each.point for each in gaps),
        fits=with_forms(fits, gaps),
        common=common,
        reasoning=reasoning,
        matched=matched,
        notes=_notes([*missing, *remarks, *incomplete, *unmatched, *unfitted]),
        metric=metric,
        resamples=resamples,
        seed=seed,
        confidence=confidence,
        against=settings.against,
        estimated_sizes=settings.estimated_sizes,
        margin=settings.margin,
    )


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

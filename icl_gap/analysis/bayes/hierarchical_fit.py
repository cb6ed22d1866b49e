"""Records of the hierarchical check, and their table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from icl_gap.analysis.analyze import Note
from icl_gap.analysis.bayes.predictive import PredictiveCheck
from icl_gap.analysis.estimate import Estimate
from icl_gap.schema import ScaleKey, Split
from icl_gap.text import brief, shots_text


@dataclass(frozen=True, slots=True)
class ModelGap:
    """Accuracies and relative gap of one model under the mixed model."""

    model: str
    scale: float
    """The model's value on the scale of the fit."""
    a_id: Estimate
    a_ood: Estimate
    gap: Estimate


@dataclass(frozen=True, slots=True)
class HierarchicalFit:
    """The mixed model of one family on one side of a benchmark, with one number of shots.

    Estimates are posterior medians with equal-tailed intervals.
    """

    family: str
    dataset: str
    split: str
    shots: int
    query_split: Split
    against: ScaleKey
    gaps: tuple[ModelGap, ...]
    """Gaps of the models, by scale."""
    slope: Estimate
    """Change of the gap with a tenfold scale, for typical models: effects of single models left
    out. The counterpart of the slope of `icl_gap.analysis.scaling.fit`."""
    slope_of_these: Estimate
    """The same for these very models, with their own effects."""
    between_model_sd: Estimate
    """Standard deviation between models of the effect of OOD exemplars; log-odds, as the next."""
    sd_query: Estimate
    """Standard deviation of the queries' difficulty."""
    sd_query_model: Estimate
    """Standard deviation of a query's difficulty for one model beyond that for all."""
    sd_query_shift: Estimate
    """Standard deviation between queries of the effect of OOD exemplars."""
    r_hat_max: float
    ess_min: float
    """Smallest effective sample size, of bulk or tail, of all quantities above."""
    divergences: int
    checks: tuple[PredictiveCheck, ...]
    doubts: tuple[str, ...]
    """Reasons not to trust the fit; empty if there are none."""

    @property
    def trusted(self) -> bool:
        """True if nothing speaks against the fit."""
        return not self.doubts

    @property
    def label(self) -> str:
        """Short text for messages, e.g. `scan/mcd1 opt, 5 shots, test queries`."""
        return (
            f"{self.dataset}/{self.split} {self.family}, {shots_text(self.shots)},"
            f" {self.query_split} queries"
        )

    def __repr__(self) -> str:
        trust = "trusted" if self.trusted else "not trusted"
        return brief("HierarchicalFit", f"slope {self.slope.value:+.3f}", trust, self.label)


@dataclass(frozen=True, slots=True)
class HierarchicalCheck:
    """The mixed models of all groups of results that have enough sizes."""

    fits: tuple[HierarchicalFit, ...]
    notes: tuple[Note, ...]
    """Remarks on what is left out."""
    confidence: float
    """Probability that the intervals hold."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`, under the key `hierarchical`."""
        fits = [{**asdict(fit), "trusted": fit.trusted} for fit in self.fits]
        notes = [asdict(note) for note in self.notes]
        return {"hierarchical": {"fits": fits, "notes": notes, "confidence": self.confidence}}

    def __repr__(self) -> str:
        trusted = sum(fit.trusted for fit in self.fits)
        return brief("HierarchicalCheck", f"{len(self.fits)} fits", f"{trusted} trusted")


def hierarchical_table(check: HierarchicalCheck) -> list[dict[str, str]]:
    """Return one row for each fit: its slope, and whether to trust it."""

    def text(found: Estimate) -> str:
        return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"

    return [
        {
            "family": fit.family,
            "benchmark": f"{fit.dataset}/{fit.split}",
            "shots": str(fit.shots),
            "queries": fit.query_split,
            "gap per 10x": text(fit.slope),
            "trusted": "yes" if fit.trusted else "no",
        }
        for fit in check.fits
    ]

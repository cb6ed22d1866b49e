"""What an analysis holds: gaps, fits, and what must be said beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from icl_gap.analysis.estimate import Estimate
from icl_gap.schema import Condition, Metric, ScaleKey, SizeSource
from icl_gap.text import brief, shots_text

QuerySplit = Literal["train", "test", "pooled"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a gap is measured of: one model on one benchmark at one number of shots."""

    model: str
    family: str
    n_params: int | None
    """All parameters; None for a baseline, which has none."""
    n_params_non_embedding: int | None
    size_source: SizeSource
    """How these are known."""
    training_tokens: int | None
    """As stated by those who trained it; None where they do not say."""
    trained: bool
    """False for weights straight from the initializer."""
    dataset: str
    split: str
    """The benchmark's split, e.g. `mcd1`."""
    partial: str | None
    """Which part of the published split was used, where it was not whole."""
    shots: int
    """As asked for."""

    @property
    def benchmark(self) -> str:
        """Dataset and split, e.g. `scan/mcd1`."""
        return f"{self.dataset}/{self.split}"

    @property
    def place(self) -> str:
        """Which subject it is, for a message."""
        return f"{self.benchmark} {self.model}, {shots_text(self.shots)}"

    def __repr__(self) -> str:
        return brief("Subject", self.place)


@dataclass(frozen=True, slots=True)
class McNemar:
    """McNemar's exact test of A_id = A_ood under one seed."""

    seed: int
    only_id: int
    """Queries that were right with ID exemplars alone."""
    only_ood: int
    p_value: float
    """Two-sided."""
    p_holm: float
    """Adjusted for all tests of the benchmark about the same queries."""


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Accuracies under one metric, in [0, 1]."""

    id: float
    ood: float


@dataclass(frozen=True, slots=True)
class GapPoint(Subject):
    """The relative generalization gap of one subject, on one side of its benchmark or pooled."""

    query_split: QuerySplit
    a_id: Estimate
    """Exact match with exemplars from the query's own split, in [0, 1]."""
    a_ood: Estimate
    """Exact match with exemplars from the other split, in [0, 1]."""
    gap: Estimate | None
    """(A_id - A_ood) / A_id, at most 1; None where it is unresolved."""
    unresolved_because: str | None
    """Why `gap` is None, with the numbers; None where it is defined."""
    fieller: tuple[float, float] | None
    """Fieller's interval, beside the bootstrap's in `gap`; None where that is."""
    detectable: float | None
    """The smallest gap that a study of this size would tell from zero four times in five."""
    bounds: tuple[float | None, float | None] | None
    """The gap, had all requests without an answer gone one way, or the other; an end is None
    where no request would have been right ID. None where all were answered."""
    smooth: Estimate | None
    """The smooth gap: that of the gold answer's likelihood a token. None where it is not known."""
    tests: tuple[McNemar, ...]
    """One for each seed."""
    accuracies: Mapping[Metric, Accuracies]
    """Accuracies of each metric that is known of all requests."""
    n_queries: int
    """Different queries that were answered under at least one seed."""
    n_seeds: int
    n_skipped: int
    """Requests left out of both conditions, because their prompts did not fit the context."""
    n_failed: int
    """Requests left out of both conditions, because one of the two failed."""
    shots_effective: float
    """The mean number of exemplars that the prompts held; less than `shots` where some were
    dropped."""
    coverage_id: float
    """Mean share of a query's primitives that its exemplars hold, in [0, 1]."""
    coverage_ood: float

    def __repr__(self) -> str:
        gap = "unresolved" if self.gap is None else f"gap {self.gap.value:.3f}"
        return brief("GapPoint", gap, f"{self.query_split} queries", self.place)


@dataclass(frozen=True, slots=True)
class ReasoningGap:
    """What one model loses where two questions become one; see `composition`."""

    model: str
    n_params: int | None
    dataset: str
    query_split: QuerySplit
    condition: Condition
    shots: int
    composed: Estimate
    """Accuracy on composed questions, in [0, 1]."""
    first: Estimate
    second: Estimate
    gap: Estimate
    """S_comp - S_1 * S_2, in [-1, 1]: below 0 where composing costs more than answering both."""
    n_pairs: int

    def __repr__(self) -> str:
        at = f"{self.query_split} queries, {self.condition}, {shots_text(self.shots)}"
        return brief("ReasoningGap", f"gap {self.gap.value:.3f}", at, self.dataset, self.model)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model that a fit does not use, and why."""

    model: str
    reason: str

    def __repr__(self) -> str:
        return brief("LeftOut", self.model, self.reason)


@dataclass(frozen=True, slots=True)
class BandPoint:
    """The fitted line at one scale, with its pointwise interval."""

    scale: float
    """Value of the scale that the fit is `against`."""
    gap: Estimate


@dataclass(frozen=True, slots=True)
class FormFit:
    """One form of the gap over scale, fitted."""

    form: str
    parameters: tuple[tuple[str, float], ...]
    """Names and values, with log10 of the scale counted from its mean over the models."""
    intervals: tuple[tuple[float, float], ...]
    """Of the parameters, in their order; empty unless this is the best form."""
    chi2: float | None
    aicc: float | None
    """The smaller, the better; forms of one fit compare."""
    unsupported: str | None
    """Why it is not fitted; None where it is."""

    def __repr__(self) -> str:
        fit = self.unsupported or f"chi2 {self.chi2}, AICc {self.aicc}"
        return brief("FormFit", self.form, fit)


@dataclass(frozen=True, slots=True)
class SlopeWithout:
    """The slope of a family without one of its sizes."""

    model: str
    """A model of that size."""
    slope: float

    def __repr__(self) -> str:
        return brief("SlopeWithout", f"slope {self.slope:.3f}", self.model)


@dataclass(frozen=True, slots=True)
class Trend:
    """Whether the gap goes up or down with size, whatever the form; two-sided p-values."""

    kendall_tau: float | None
    """None where gaps do not vary."""
    kendall_p: float | None
    page_p: float | None
    """None where there are fewer than three models, or too few queries."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What would tell a slope from zero four times in five, were it as fitted."""

    queries: int
    """Different ones, with the same models and seeds."""
    sizes: int
    """Over the same range, with the same queries, were gaps independent between sizes."""


@dataclass(frozen=True, slots=True)
class Slope:
    """How the gap changes with scale, on one benchmark at one number of shots."""

    dataset: str
    split: str
    shots: int
    query_split: QuerySplit
    slope: float
    """Change of the gap for ten times of what it is fitted against."""
    slope_interval: tuple[float, float] | None
    """None where too many resamples leave a gap unresolved."""
    against: ScaleKey
    """The scale: by default all parameters, embeddings included."""

    @property
    def benchmark(self) -> str:
        """Dataset and split, e.g. `scan/mcd1`."""
        return f"{self.dataset}/{self.split}"

    def __repr__(self) -> str:
        at = f"{self.query_split} queries, {shots_text(self.shots)}"
        return brief(type(self).__name__, f"slope {self.slope:.3f}", at, self.benchmark)


@dataclass(frozen=True, slots=True)
class GapFit(Slope):
    """A straight line through the gaps of one family: gap = intercept + slope * log10(scale)."""

    family: str
    intercept: float
    r_squared: float | None
    """Share of the gaps' variance that the line explains; None where they do not vary."""
    n_points: int
    models: tuple[str, ...]
    """The models used, smallest first."""
    left_out: tuple[LeftOut, ...]
    unsupported: str | None
    """Why no line is drawn; None where one is."""
    band: tuple[BandPoint, ...]
    """The line from the smallest model to the largest; empty where it is `unsupported`."""
    forms: tuple[FormFit, ...]
    """The line among other forms, compared by AICc."""
    without: tuple[SlopeWithout, ...]
    trend: Trend
    needed: Needed | None
    """None where the slope's interval leaves zero out, or there is none."""

    @property
    def best(self) -> FormFit | None:
        """The form of the smallest AICc; None where sizes are too few for any."""
        fitted = {form.aicc: form for form in self.forms if form.aicc is not None}
        return fitted[min(fitted)] if fitted else None

    def __repr__(self) -> str:
        at = f"{self.n_points} points, {self.query_split} queries, {shots_text(self.shots)}"
        return brief("GapFit", f"slope {self.slope:.3f}", at, self.family, self.benchmark)


@dataclass(frozen=True, slots=True)
class CommonSlope(Slope):
    """Lines through the gaps of several families, with one slope and an intercept for each."""

    families: tuple[str, ...]
    intercepts: tuple[float, ...]
    """In the order of `families`."""
    differ_p: float
    """The p-value of a chi-squared test of whether the families' slopes differ."""

    def __repr__(self) -> str:
        at = f"{len(self.families)} families, {self.query_split} queries, {shots_text(self.shots)}"
        return brief("CommonSlope", f"slope {self.slope:.3f}", at, self.benchmark)


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a reader of the numbers must know, and which of them it concerns."""

    text: str
    where: tuple[str, ...]

    def __str__(self) -> str:
        shown = "; ".join(self.where[:3])
        more = f"; and {len(self.where) - 3} more" if len(self.where) > 3 else ""
        return f"{self.text}: {shown}{more}" if self.where else self.text

    def __repr__(self) -> str:
        return brief("Note", self.text, f"{len(self.where)} places")


@dataclass(frozen=True, slots=True)
class Analysis:
    """All gaps and fits of a set of results, with the settings they were made under."""

    points: tuple[GapPoint, ...]
    fits: tuple[GapFit, ...]
    common: tuple[CommonSlope, ...]
    """Of benchmarks, shots and query splits that several families have fits for."""
    reasoning: tuple[ReasoningGap, ...]
    """Of benchmarks that have composed questions and their parts."""
    notes: tuple[Note, ...]
    metric: Metric
    resamples: int
    seed: int
    confidence: float
    against: ScaleKey = "n_params"
    """The scale of all fits."""
    estimated_sizes: bool = False
    """Whether fits use models whose size is only estimated."""

    def to_json(self) -> dict[str, Any]:
        """The same as plain values, ready for `json.dumps`; no number in it is infinite or NaN."""
        return asdict(self)

    def __repr__(self) -> str:
        parts = (f"{len(self.points)} gaps", f"{len(self.fits)} fits", f"{len(self.notes)} notes")
        return brief("Analysis", *parts, f"metric {self.metric}, against {self.against}")


def merge_notes(notes: list[tuple[str, str]]) -> tuple[Note, ...]:
    """Bring (text, where) pairs of the same text together, in order of their first appearance."""
    places: dict[str, dict[str, None]] = {}
    for text, where in notes:
        places.setdefault(text, {})[where] = None
    return tuple(Note(text, tuple(where)) for text, where in places.items())

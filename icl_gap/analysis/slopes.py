"""Records of fits: the gap of one or several families against scale."""

from __future__ import annotations

from dataclasses import dataclass

from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import QuerySplit
from icl_gap.schema import ScaleKey
from icl_gap.text import brief, shots_text


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model that a fit leaves out, with the reason."""

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
    """One functional form of the gap against scale, fitted to a family."""

    form: str
    parameters: tuple[tuple[str, float], ...]
    """Names and values; log10 of the scale is centred on its mean over the models."""
    intervals: tuple[tuple[float, float], ...]
    """Intervals of the parameters, in their order; empty unless this form is the best."""
    chi2: float | None
    aicc: float | None
    """Corrected Akaike criterion; comparable between the forms of one fit, lower is better."""
    unsupported: str | None
    """Reason why the form is not fitted; None if it is."""

    def __repr__(self) -> str:
        fit = self.unsupported or f"chi2 {self.chi2}, AICc {self.aicc}"
        return brief("FormFit", self.form, fit)


@dataclass(frozen=True, slots=True)
class LeaveOneOutSlope:
    """The slope of a family without the models of one size."""

    model: str
    """A model of the size that is left out."""
    slope: float

    def __repr__(self) -> str:
        return brief("LeaveOneOutSlope", f"slope {self.slope:.3f}", self.model)


@dataclass(frozen=True, slots=True)
class Trend:
    """Tests of a monotone trend of the gap with scale; p-values are two-sided."""

    kendall_tau: float | None
    """None if the gaps do not vary."""
    kendall_p: float | None
    page_p: float | None
    """None with fewer than three models, or too few queries."""


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Size of an experiment that would detect a fitted slope with 80% power."""

    queries: int
    """Number of distinct queries, with the same models and seeds."""
    sizes: int
    """Number of model sizes over the same range, with the same queries; assumes that the gaps of
    sizes are independent."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of the gap with scale, on one benchmark with one number of shots."""

    dataset: str
    split: str
    shots: int
    query_split: QuerySplit
    slope: float
    """Change of the gap for ten times the scale that it is fitted against."""
    slope_interval: tuple[float, float] | None
    """None if too many resamples leave a gap unresolved."""
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
    """Share of the gaps' variance that the line explains; None if they do not vary."""
    n_points: int
    models: tuple[str, ...]
    """The models used, smallest first."""
    left_out: tuple[LeftOut, ...]
    unsupported: str | None
    """Reason why no line is drawn; None if one is."""
    band: tuple[BandPoint, ...]
    """The line from the smallest model to the largest; empty if it is `unsupported`."""
    forms: tuple[FormFit, ...]
    """The line among other forms, compared by AICc."""
    leave_one_out: tuple[LeaveOneOutSlope, ...]
    """The slope without each of the sizes in turn."""
    trend: Trend
    sample_size: SampleSize | None
    """None if the slope's interval excludes zero, or there is none."""

    @property
    def best(self) -> FormFit | None:
        """The form with the smallest AICc; None if there are too few sizes for any."""
        fitted = {form.aicc: form for form in self.forms if form.aicc is not None}
        return fitted[min(fitted)] if fitted else None

    def __repr__(self) -> str:
        at = f"{self.n_points} points, {self.query_split} queries, {shots_text(self.shots)}"
        return brief("GapFit", f"slope {self.slope:.3f}", at, self.family, self.benchmark)


@dataclass(frozen=True, slots=True)
class CommonSlope(Slope):
    """Parallel lines through the gaps of several families: one slope, an intercept for each."""

    families: tuple[str, ...]
    intercepts: tuple[float, ...]
    """In the order of `families`."""
    differ_p: float
    """p-value of a chi-squared test of equal slopes."""

    def __repr__(self) -> str:
        at = f"{len(self.families)} families, {self.query_split} queries, {shots_text(self.shots)}"
        return brief("CommonSlope", f"slope {self.slope:.3f}", at, self.benchmark)

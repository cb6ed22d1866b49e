"""Records of fits: the gap of one or several families against scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.points import QuerySplit
from icl_gap.analysis.scaling.line_posterior import LinePosterior
from icl_gap.schema import ScaleKey
from icl_gap.text import brief, shots_text

Verdict = Literal["narrows", "widens", "no change beyond margin", "undetermined"]
"""Change of the gap with scale; `icl_gap.analysis.scaling.verdicts` has the rule."""
Closed = Literal["closed", "open", "undetermined"]
"""Whether the gap is closed, within a margin, in all trainings of the largest size."""
ScatterSource = Literal["residuals", "replicates"]
"""Source of the standard deviation between models: residuals of the line, or replicate trainings
of one size."""


MARGIN = 0.1
"""Default margin: a gap, or a change of it, that is small enough to be called none."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of all fits of an analysis."""

    against: ScaleKey = "n_params"
    """The scale to fit against."""
    estimated_sizes: bool = False
    """Include models whose size is an estimate."""
    confidence: float = 0.95
    """Confidence of all intervals but those of the verdicts."""
    margin: float = MARGIN
    """Largest gap, or change of the gap, that counts as none."""
    at: tuple[float, ...] = ()
    """Scales to predict the gap of a new model at."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model that a fit leaves out, with the reason."""

    model: str
    reason: str

    def __repr__(self) -> str:
        return brief("LeftOut", self.model, self.reason)


@dataclass(frozen=True, slots=True)
class BandPoint:
    """The fitted line at one scale, with pointwise intervals."""

    scale: float
    """Value of the scale that the fit is `against`."""
    gap: Estimate
    """The line: the mean of the gaps of models of this scale."""
    new_model: tuple[float, float]
    """Prediction interval of the gap of one new model of this scale."""


@dataclass(frozen=True, slots=True)
class FormFit:
    """One functional form of the gap against scale, fitted to a family."""

    form: str
    parameters: tuple[tuple[str, float], ...]
    """Names and values; log10 of the scale is centred on its mean over the models."""
    chi2: float | None
    """Weighted sum of squared residuals of what is fitted; models do not scatter in it."""
    p_value: float | None
    """p-value of the form if models do not scatter; None without degrees of freedom."""
    error: float | None
    """Root mean square error of the gap of a model that the fit leaves out; None if the others are
    too few."""
    unsupported: str | None
    """Reason why the form is not fitted; None if it is."""

    def __repr__(self) -> str:
        fit = self.unsupported or f"chi2 {self.chi2}, error {self.error}"
        return brief("FormFit", self.form, fit)


@dataclass(frozen=True, slots=True)
class LeaveOneOutSlope:
    """The slope of a family without one of its models."""

    model: str
    slope: float

    def __repr__(self) -> str:
        return brief("LeaveOneOutSlope", f"slope {self.slope:.3f}", self.model)


@dataclass(frozen=True, slots=True)
class Trend:
    """Tests of a monotone trend of the gap with scale; p-values are two-sided."""

    permutation_p: float
    """Permutation test over the models, jointly for all curves of a family on a benchmark."""
    least_permutation_p: float
    """Smallest p-value that the permutation test can have with these models."""
    kendall_tau: float | None
    """Kendall's tau between scale and gap; None if the gaps do not vary."""
    kendall_p: float | None
    """None where even a perfect order of so few models would not reach 0.05."""


@dataclass(frozen=True, slots=True)
class LackOfFit:
    """Test of the line if models did not scatter about it."""

    q: float
    """Weighted sum of squared residuals."""
    p_value: float | None
    """None without degrees of freedom."""


@dataclass(frozen=True, slots=True)
class ClassicalSlope:
    """The slope by Paule and Mandel's estimate of tau, with a Knapp-Hartung interval."""

    slope: float
    interval: tuple[float, float]
    between_model_sd: float

    def __repr__(self) -> str:
        return brief("ClassicalSlope", f"slope {self.slope:.3f}")


@dataclass(frozen=True, slots=True)
class PriorSensitivity:
    """The slope's interval under another scale of the prior on tau."""

    prior_sd: float
    slope_interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class PredictedGap:
    """The gap that a line predicts for a new model of a scale."""

    scale: float
    gap: Estimate
    closed: Closed
    """Whether a new model's gap would be within the margin; by its 90% prediction interval."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Change of the gap with scale on one benchmark."""

    dataset: str
    split: str
    slope: float
    """Change of the gap for ten times the scale that it is fitted against."""
    slope_interval: tuple[float, float] | None
    """None if the accuracies do not bound the slope."""
    against: ScaleKey
    """The scale: by default all parameters, embeddings included."""
    permutation_p: float
    """Permutation test of a trend; see `Trend`."""
    leave_one_out: tuple[LeaveOneOutSlope, ...]
    """The slope without each of the models in turn."""
    other_scales: Mapping[str, float]
    """The slope of the difference of accuracies, and of the log-odds ratio."""
    verdict: Verdict
    because: str
    """Reason for the verdict, with its numbers."""

    @property
    def benchmark(self) -> str:
        """Dataset and split, e.g. `scan/mcd1`."""
        return f"{self.dataset}/{self.split}"


@dataclass(frozen=True, slots=True)
class GapFit(Slope):
    """A straight line through the gaps of one family: gap = intercept + slope * log10(scale)."""

    family: str
    shots: int
    query_split: QuerySplit
    intercept: float
    between_model_sd: Estimate
    """Standard deviation tau of the models' gaps about the line."""
    between_model_sd_from: ScatterSource
    lack_of_fit: LackOfFit
    r_squared: float | None
    """Share of the resolved gaps' variance that the line explains; None if they do not vary."""
    classical: ClassicalSlope | None
    """Estimate by another method; None with fewer than three models."""
    sensitivity: tuple[PriorSensitivity, ...]
    n_points: int
    models: tuple[str, ...]
    """The models used, smallest first."""
    scales: tuple[float, ...]
    """Their values of the scale."""
    left_out: tuple[LeftOut, ...]
    unsupported: str | None
    """Reason why no line is drawn; None if one is."""
    line: LinePosterior
    band: tuple[BandPoint, ...]
    """The line from the smallest model to the largest; empty if it is `unsupported`."""
    forms: tuple[FormFit, ...]
    """The line among other forms, compared by the error for a model left out."""
    trend: Trend
    largest: str
    """The largest model; of several trainings, the one whose interval reaches furthest from 0."""
    largest_gap: Estimate | None
    """Its gap with a 90% interval; None if it is unresolved."""
    closed: Closed
    margin: float
    """Margin of `closed` and of `no change beyond margin`."""
    predicted: tuple[PredictedGap, ...]
    """Predictions for the scales that the user names."""

    @property
    def best(self) -> FormFit | None:
        """The form with the smallest error for a model left out; None if none has one."""
        fitted = {form.error: form for form in self.forms if form.error is not None}
        return fitted[min(fitted)] if fitted else None

    @property
    def forms_rejected(self) -> bool:
        """True if every form that can be tested is rejected, so that models scatter."""
        tested = [form.p_value for form in self.forms if form.p_value is not None]
        return bool(tested) and max(tested) < 0.05

    def prediction_interval(
        self, n_params: float, confidence: float = 0.95
    ) -> tuple[float, float] | None:
        """Return the interval for the gap of a new model of the family.

        Args:
            n_params: Value of the scale that the fit is `against`, by default parameters.
            confidence: Confidence in (0, 1).

        Returns:
            None if no line is drawn.
        """
        if self.unsupported is not None:
            return None
        return self.line.interval(n_params, confidence, new_model=True)

    def __repr__(self) -> str:
        at = f"{self.n_points} points, {self.query_split} queries, {shots_text(self.shots)}"
        return brief(
            "GapFit", f"slope {self.slope:.3f}", self.verdict, at, self.family, self.benchmark
        )


@dataclass(frozen=True, slots=True)
class CommonSlope(Slope):
    """One slope for several curves, with an intercept for each.

    The curves are those of one family on one benchmark (all shots, both sides), or those of several
    families with the same shots and side.
    """

    families: tuple[str, ...]
    shots: tuple[int, ...]
    query_splits: tuple[QuerySplit, ...]
    n_models: int
    differ_p: float
    """p-value of a test of equal slopes of all curves."""

    def __repr__(self) -> str:
        curves = f"{len(self.shots)} shots, {len(self.query_splits)} query splits"
        families = f"{len(self.families)} families"
        return brief(
            "CommonSlope", f"slope {self.slope:.3f}", self.verdict, families, curves, self.benchmark
        )

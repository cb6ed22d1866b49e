"""Records of gaps: one model on one benchmark with one number of shots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from icl_gap.analysis.estimate import Estimate
from icl_gap.schema import Condition, Metric, SizeSource, Split
from icl_gap.text import brief, shots_text

QuerySplit = Literal["train", "test", "pooled"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One model on one benchmark with one number of shots and one selection of exemplars."""

    model: str
    family: str
    n_params: int | None
    """Number of parameters; None for a baseline, which has none, and where nobody states it."""
    n_params_non_embedding: int | None
    """Number of parameters without embeddings and output layer."""
    size_source: SizeSource
    """Source of the numbers of parameters."""
    training_tokens: int | None
    """Number of training tokens, as stated by the model's authors; None if they do not say."""
    trained: bool
    """False for weights straight from the initializer."""
    dataset: str
    split: str
    """The benchmark's split, e.g. `mcd1`."""
    partial: str | None
    """The part of the published split that is used; None if all of it is."""
    shots: int
    """Number of exemplars that the sweep asks for."""
    selection: str | None = field(default=None, kw_only=True)
    """The strategy that selects exemplars; None if the results do not say."""
    training_seed: int | None = field(default=None, kw_only=True)
    """Seed of the model's training, which tells replicates of one size apart; None without one."""

    @property
    def benchmark(self) -> str:
        """Dataset and split, e.g. `scan/mcd1`."""
        return f"{self.dataset}/{self.split}"

    @property
    def size_unknown(self) -> bool:
        """True for a model of a server whose number of parameters nobody states."""
        return self.trained and self.n_params is None and self.size_source != "counted"

    @property
    def label(self) -> str:
        """Short text for messages, e.g. `scan/mcd1 opt-350m, 5 shots`."""
        return f"{self.benchmark} {self.model}, {shots_text(self.shots)}"

    def __repr__(self) -> str:
        return brief("Setting", self.label)


@dataclass(frozen=True, slots=True)
class SignFlipTest:
    """Exact test of A_id = A_ood, over all seeds; see `icl_gap.analysis.sign_flips`.

    Adjusted p-values are for all questions on the same queries of one benchmark: those of all
    models, numbers of shots and selections.
    """

    p_value: float
    """Two-sided p-value."""
    p_holm: float
    """p-value adjusted by Holm's method, which controls the family-wise error rate."""
    p_bh: float
    """p-value adjusted by Benjamini and Hochberg's method, which controls the false discovery
    rate."""


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Accuracy under one metric, with ID and with OOD exemplars, in [0, 1]."""

    id: float
    ood: float


@dataclass(frozen=True, slots=True)
class GapPoint(Setting):
    """Relative generalization gap in one setting, of one benchmark side or pooled over both."""

    query_split: QuerySplit
    a_id: Estimate
    """Accuracy with exemplars from the query's own side, in [0, 1]."""
    a_ood: Estimate
    """Accuracy with exemplars from the other side, in [0, 1]."""
    gap: Estimate | None
    """(A_id - A_ood) / A_id, at most 1; None if it is unresolved."""
    unresolved_because: str | None
    """Reason why `gap` is None, with the numbers; None if the gap is resolved."""
    flags: tuple[str, ...]
    """Reasons why a pooled gap hides its sides, with the numbers; no verdict should rest on a
    flagged gap. Empty for a single side."""
    exact: bool
    """True if so few queries distinguish ID from OOD that the gap's interval includes exact
    bounds (`icl_gap.analysis.small_counts`)."""
    simultaneous: tuple[float, float] | None
    """Interval that holds together with those of all gaps on the same queries of the benchmark
    (max-t band); None if the gap is unresolved."""
    fieller: tuple[float, float] | None
    """Fieller's interval of the gap; None if it is unbounded, the gap is unresolved, or `exact`."""
    detectable: float | None
    """Smallest gap that an experiment of this size would detect with 80% power; None if the gap is
    unresolved."""
    bounds: tuple[float | None, float | None] | None
    """Lowest and highest possible gap, whatever the unanswered requests would have given. An end is
    None if A_id would be 0 there; None if all requests are answered."""
    smooth: Estimate | None
    """Smooth gap, from the likelihood of the gold programs' tokens; None if it is unknown."""
    test: SignFlipTest
    """Test of A_id = A_ood."""
    accuracies: Mapping[Metric, Accuracies]
    """Accuracies under each metric that is known for all requests."""
    n_queries: int
    """Number of distinct queries answered under at least one seed."""
    n_clusters: int | None
    """Number of clusters of queries that are resampled; None if queries are."""
    n_seeds: int
    seed_share: float | None
    """Share of the variance of the gap that more seeds would remove, in [0, 1]; None for one seed
    or an unresolved gap."""
    n_skipped: int
    """Number of requests left out of both conditions because a prompt did not fit the context."""
    n_failed: int
    """Number of requests left out of both conditions because one of the two failed."""
    shots_effective: float
    """Mean number of exemplars in the prompts; below `shots` if some were dropped."""
    coverage_id: float
    """Mean share of a query's primitives that its ID exemplars hold, in [0, 1]."""
    coverage_ood: float
    """The same for OOD exemplars."""

    def __repr__(self) -> str:
        gap = "unresolved" if self.gap is None else f"gap {self.gap.value:.3f}"
        return brief("GapPoint", gap, f"{self.query_split} queries", self.label)


@dataclass(frozen=True, slots=True)
class SideContrast(Setting):
    """Difference between the gaps of the two sides of a benchmark in one setting."""

    contrast: Estimate | None
    """g_test - g_train, from the shared resamples; None if a side's gap is unresolved."""
    unresolved_because: str | None
    """Reason why `contrast` is None; None if there is one."""

    def __repr__(self) -> str:
        found = "unresolved" if self.contrast is None else f"{self.contrast.value:+.3f}"
        return brief("SideContrast", found, self.label)


@dataclass(frozen=True, slots=True)
class GapDifference:
    """Difference between the gaps of two models, numbers of shots or selections, all else equal."""

    varied: Literal["model", "shots", "selection"]
    """The field that differs."""
    first: str
    """Its value for the first gap."""
    second: str
    """Its value for the second gap."""
    dataset: str
    split: str
    query_split: QuerySplit
    model: str | None
    """None if it is `varied`."""
    shots: int | None
    """None if it is `varied`."""
    selection: str | None
    """None if it is `varied`, or unknown."""
    difference: Estimate | None
    """Gap of the first less gap of the second, from the shared resamples; None if one of them is
    unresolved."""
    unresolved_because: str | None
    """Reason why `difference` is None; None if there is one."""

    @property
    def benchmark(self) -> str:
        """Dataset and split, e.g. `scan/mcd1`."""
        return f"{self.dataset}/{self.split}"

    def __repr__(self) -> str:
        found = "unresolved" if self.difference is None else f"{self.difference.value:+.3f}"
        between = f"{self.first} less {self.second}"
        return brief("GapDifference", found, between, f"{self.query_split} queries", self.benchmark)


@dataclass(frozen=True, slots=True)
class ReasoningGap:
    """Loss of one model on questions composed of two; see `icl_gap.analysis.composition`."""

    model: str
    n_params: int | None
    dataset: str
    query_split: QuerySplit
    condition: Condition
    shots: int
    composed: Estimate
    """Accuracy on composed questions, in [0, 1]."""
    first: Estimate
    """Accuracy on the first parts alone."""
    second: Estimate
    """Accuracy on the second parts alone."""
    gap: Estimate
    """S_comp - S_1 * S_2, in [-1, 1]; negative if composed questions are harder than both parts."""
    n_pairs: int
    """Number of pairs of questions."""

    def __repr__(self) -> str:
        at = f"{self.query_split} queries, {self.condition}, {shots_text(self.shots)}"
        return brief("ReasoningGap", f"gap {self.gap.value:.3f}", at, self.dataset, self.model)


@dataclass(frozen=True, slots=True)
class MatchedContrast(Setting):
    """Gaps of one benchmark side with ordinary and with matched OOD exemplars, same requests."""

    query_split: Split
    n_matched: int
    """Number of requests (query and seed) that are compared."""
    n_unmatched: int
    """Number of requests left out because no exemplars were found that cover the query alike."""
    a_id: Estimate | None
    """Accuracies of the matched requests; None if there are none."""
    a_ood: Estimate | None
    a_matched: Estimate | None
    ordinary: Estimate | None
    """Relative gap of the matched requests under `ood`; None if A_id is not resolved from 0."""
    remaining: Estimate | None
    """Their relative gap under `ood_matched`."""
    vanished: Estimate | None
    """Share of the ordinary gap that vanishes; None if that gap is not resolved from 0."""
    because: str | None
    """Why an estimate is missing."""

    def __repr__(self) -> str:
        numbers = f"{self.n_matched:,} matched, {self.n_unmatched:,} not"
        return brief("MatchedContrast", self.label, self.query_split, numbers)

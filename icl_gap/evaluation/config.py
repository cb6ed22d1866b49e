"""The sweep file: the benchmarks, models and settings of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from icl_gap.data.paths import is_there
from icl_gap.errors import InputError
from icl_gap.models import EmbedderSpec, ModelEntry
from icl_gap.prompts import Template
from icl_gap.sampling import Order, SamplerSpec, Selection
from icl_gap.sampling.pool import HoldOut
from icl_gap.schema import Condition, Predictions, Split
from icl_gap.specs import Spec, anchored, check_spec, read_spec, shipped, user_path
from icl_gap.text import brief

Overflow = Literal["error", "skip", "drop_shots"]
Executor = Literal["local", "ray"]
Control = Literal["shuffled_targets", "targets_only"]
Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
"""`true` and `2.0` are no whole numbers, and results hold those of 64 bits."""
Shots = Annotated[Whole, Field(ge=0)]


class BenchmarkEntry(Spec):
    """A benchmark; `scan` alone is short for `{name: scan}`."""

    path_fields: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    """The name of a shipped card, or the path of a card of one's own."""
    split: str | None = None
    """The benchmark's split; default: the card's own."""
    options: dict[str, bool] = Field(default_factory=dict)
    """Options of the benchmark's loader, e.g. `postprocess: false` for CFQ."""


class DatasetEntry(BenchmarkEntry):
    """A benchmark of a sweep."""

    template: Template | None = None
    """The prompt's template; default: the card's own."""
    exemplars_from: BenchmarkEntry | None = None
    """Another benchmark to draw exemplars from, as a control: from its train or its test side, as
    it would be here."""

    @field_validator("exemplars_from", mode="before")
    @classmethod
    def _benchmark_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class SweepSpec(Spec):
    """A grid of cells: every combination of its lists."""

    renamed: ClassVar[Mapping[str, str]] = {**SamplerSpec.renamed}
    path_fields: ClassVar[tuple[str, ...]] = ("figures",)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The sweep's name, and that of the folder that its results go to."""
    datasets: tuple[DatasetEntry, ...] = Field(min_length=1)
    """The benchmarks."""
    models: tuple[ModelEntry, ...] = Field(min_length=1)
    """The models: names, or entries as below."""
    query_splits: tuple[Split, ...] = Field(default=("test", "train"), min_length=1)
    """The sides that queries come from; the pooled gap needs both."""
    conditions: tuple[Condition, ...] = Field(default=("id", "ood"), min_length=1)
    """`id` takes exemplars from the query's own side, `ood` from the other, `ood_matched` from the
    other such that they cover the query as its `id` exemplars do; see below."""
    shots: tuple[Shots, ...] = Field(default=(1, 5, 10), min_length=1)
    """The numbers of exemplars in a prompt."""
    seeds: tuple[Whole, ...] = Field(default=(0, 1, 2, 3, 4), min_length=1)
    """Each seed draws other exemplars."""
    limit: Whole | None = Field(default=1045, ge=1)
    """The largest number of queries of each side; null for all. A raised limit asks only for the
    new queries, a lowered one uses the first."""
    selection: Selection = "oracle_coverage"
    """The strategy that selects exemplars; see below."""
    embedder: EmbedderSpec = EmbedderSpec()
    """The embedder of sources, for `selection: embedding`; a name alone is its `model`."""
    hold_out: HoldOut = "source"
    """What no exemplar shares with its query: its source text, or also its program template."""
    order: Order = "selection"
    """The order of exemplars in a prompt: as selected, reversed, most similar last, shuffled."""
    control: Control | None = None
    """A control: exemplars show another's target, or no source, in place of pairs that belong
    together. `coverage` stays that of the exemplars as they were chosen."""
    overflow: Overflow = "error"
    """Treatment of a query whose prompt and gold answer do not fit the model's context: stop before
    anything runs, leave it out, or show it fewer exemplars; the last two under every condition."""
    predictions: Predictions = "verdict"
    """`verdict` decodes until it is known whether a response is right, `full` to its end."""
    canonical: bool = Field(default=True, strict=True)
    """Decode a response that has left the gold text as long as it can still be an equivalent
    program. Without this, such a response has no canonical score unless `predictions` is full."""
    likelihood: bool = Field(default=True, strict=True)
    """Compute the log-likelihood of each gold target. Without it verdicts take less time, as a gold
    target is computed only as far as the response equals it; there is no smooth gap then."""
    precision_check: Whole = Field(default=0, ge=0)
    """The number of requests of each model to run again in float32, one by one, to see which
    responses its precision changes."""
    repeats: Whole = Field(default=1, ge=1, le=100)
    """The number of times that a sample of 100 requests of each model is asked, the sweep's own
    time included, to see how often responses change: hosted models are not deterministic."""
    executor: Executor = "local"
    """`local` runs here, model by model; `ray` on the cluster that Ray finds or starts."""
    figures: tuple[str, ...] = ("gap_vs_scale",)
    """Recipes drawn at the end: names of shipped ones, or paths."""

    @property
    def sampler(self) -> SamplerSpec:
        """The sampler of exemplars."""
        return SamplerSpec(
            selection=self.selection,
            hold_out=self.hold_out,
            order=self.order,
            shuffled_targets=self.control == "shuffled_targets",
        )

    @field_validator("datasets", mode="before")
    @classmethod
    def _dataset_names(cls, value: Any) -> Any:
        return _each(value, lambda entry: {"name": entry})

    @field_validator("embedder", mode="before")
    @classmethod
    def _embedder_name(cls, value: Any) -> Any:
        return {"model": value} if isinstance(value, str) else value

    @field_validator("models", mode="before")
    @classmethod
    def _model_names(cls, value: Any) -> Any:
        """Read plain names: `nearest` is the baseline, any other a hub name or a folder.

        An entry with a `family` and no `model` is of the zoo.
        """
        entries = _each(
            value,
            lambda name: {"kind": "nearest_exemplar"} if name == "nearest" else {"model": name},
        )
        if not isinstance(entries, list):
            return entries
        return [
            {"kind": _kind(entry), **entry} if isinstance(entry, dict) else entry
            for entry in entries
        ]

    @field_validator("datasets", "models", "query_splits", "conditions", "shots", "seeds")
    @classmethod
    def _no_duplicate_cells(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        """Refuse equal entries, which make equal cells; the plan checks what they resolve to."""
        for index, entry in enumerate(value):
            if entry in value[:index]:
                raise ValueError(
                    f"duplicate cells: entries {value.index(entry)} and {index} are the same"
                )
        return value

    @model_validator(mode="after")
    def _one_shared_set(self) -> SweepSpec:
        if self.sampler.shares_exemplars and self.hold_out == "template":
            raise ValueError(
                f"`selection: {self.selection}` shows all queries one set, so it cannot hold out "
                "each query's template; use `hold_out: source`"
            )
        if self.sampler.shares_exemplars and "ood_matched" in self.conditions:
            raise ValueError(
                f"`selection: {self.selection}` shows all queries one set, so `ood_matched` cannot "
                "follow the coverage of each query; use another selection, or leave out "
                "`ood_matched`"
            )
        return self

    def __repr__(self) -> str:
        counts = f"{len(self.datasets)} datasets, {len(self.models)} models"
        return brief("SweepSpec", self.name, counts, f"shots {self.shots}, seeds {self.seeds}")


AnySweep = SweepSpec | Mapping[str, Any] | str | Path
"""A sweep, the keys and values of its file, the file's path, or the name of a sweep that ships."""


def read_sweep(sweep: AnySweep) -> SweepSpec:
    """Read a sweep. Relative paths in a file are those of its folder.

    Args:
        sweep: The path of a sweep file, the name of a sweep that ships, or the keys and values that
            a file would hold. A `SweepSpec` is returned as it is.

    Raises:
        InputError: It cannot be read or is not a sweep; the error names file, line and place.
    """
    if isinstance(sweep, SweepSpec):
        return sweep
    if isinstance(sweep, Mapping):
        return check_spec(dict(sweep), SweepSpec)
    path = find_sweep(sweep)
    return anchored(read_spec(path, SweepSpec), path.parent.absolute())


def find_sweep(name_or_path: str | Path) -> Path:
    """Return the path of a sweep file.

    Args:
        name_or_path: Its path, or the name of a sweep that ships, such as `quickstart`.

    Raises:
        InputError: There is no such file, and no such sweep ships.
    """
    path = user_path(name_or_path)
    if is_there(path) or path.suffix in {".yaml", ".yml"}:
        return path
    folder = shipped("sweeps")
    known = {each.relative_to(folder).with_suffix("").as_posix(): each for each in _sweeps(folder)}
    if (found := known.get(str(name_or_path))) is None:
        raise InputError(
            "there is no such sweep",
            value=str(name_or_path),
            allowed=[*known, "or the path of a file (.yaml)"],
        )
    return found


def _sweeps(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.yaml"))


def _kind(entry: dict[str, Any]) -> str:
    """Return the kind of a model's entry that does not say it."""
    return "zoo" if "family" in entry and "model" not in entry else "transformers"


def _each(value: Any, expand: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [expand(entry) if isinstance(entry, str) else entry for entry in value]

"""The benchmarks and models of a sweep: loaded and identified, nothing run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from icl_gap import data, models, prompts, sampling, scoring
from icl_gap.errors import InputError
from icl_gap.evaluation.config import DatasetEntry, SweepSpec
from icl_gap.progress import Progress
from icl_gap.schema import Benchmark, CanonicalForm, Example, Execution, Split
from icl_gap.specs import check_spec
from icl_gap.text import brief

Entry = TypeVar("Entry")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """A benchmark of a sweep, loaded."""

    entry: DatasetEntry
    benchmark: Benchmark
    shown: Benchmark
    """Where exemplars come from; mostly the same."""
    template: prompts.Template
    form: CanonicalForm
    execution: Execution | None
    alike: scoring.Alike | None
    """Whether two programs come to the same, as `execution` has it."""
    queries: Mapping[Split, Sequence[Example]]
    """Of each side that the sweep asks, in the order asked."""
    embed: models.Embedder | None
    """What finds sources alike, where the sweep asks for it."""

    def __repr__(self) -> str:
        queries = ", ".join(f"{len(some):,} {side}" for side, some in self.queries.items())
        return brief("Study", f"{self.benchmark.name}/{self.benchmark.split}", f"queries {queries}")


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """A model of a sweep, identified but not loaded."""

    spec: models.ModelSpec
    identity: models.Identity
    tokenizer: models.Tokenizer | None
    shots: tuple[int, ...]
    """The model's own, or the sweep's."""
    place: str
    """In the sweep, as `models[2]`."""

    @property
    def place_of_shots(self) -> str:
        """Where in the sweep its shots stand."""
        return "shots" if self.spec.shots is None else f"{self.place}.shots"

    def __repr__(self) -> str:
        return brief("Subject", self.place, self.identity.name)


def studies(sweep: SweepSpec, progress: Progress) -> list[Study]:
    """Load the benchmarks of a sweep.

    Raises:
        InputError: One is not to be had, or two could not be told apart in the results.
    """
    entries = progress(sweep.datasets, "reading benchmarks", len(sweep.datasets))
    places = [f"datasets[{index}]" for index in range(len(sweep.datasets))]
    embed = _embedder(sweep)
    found = _each(places, entries, lambda entry: _study(entry, sweep, embed))
    _check_distinct(places, [f"{s.benchmark.name}/{s.benchmark.split}" for s in found])
    return found


def subjects(sweep: SweepSpec, progress: Progress) -> list[Subject]:
    """Identify the models of a sweep; no weights are loaded.

    Raises:
        InputError: One is not to be had, or two could not be told apart in the results.
    """

    def subject(placed: tuple[str, models.ModelSpec]) -> Subject:
        place, spec = placed
        identity = models.identify(spec)
        tokenizer = models.load_tokenizer(spec, identity)
        shots = sweep.shots if spec.shots is None else spec.shots
        return Subject(spec, identity, tokenizer, shots, place)

    specs = [
        (f"models[{index}]", spec)
        for index, entry in enumerate(sweep.models)
        for spec in models.expand(entry)
    ]
    places = [place for place, _ in specs]
    found = _each(places, progress(specs, "reading models", len(specs)), subject)
    _check_distinct(places, [s.identity.name for s in found])
    return found


def _study(entry: DatasetEntry, sweep: SweepSpec, embed: models.Embedder | None) -> Study:
    card = data.load_card(entry.name)
    benchmark = shown = data.load(card, entry.split, None, **entry.options)
    if (other := entry.exemplars_from) is not None:
        try:
            shown = data.load(data.load_card(other.name), other.split, None, **other.options)
        except InputError as error:
            error.within("exemplars_from")
            raise
    template = entry.template or check_spec(card.template, prompts.Template)
    if sweep.control == "targets_only":
        template = template.model_copy(update={"exemplar_sources": False})
    _check_stop(template.stop, benchmark)
    if shown is not benchmark:
        _check_stop(template.stop, shown)
    queries = {
        split: sampling.queries(benchmark, split, sweep.sampler, sweep.limit)
        for split in sweep.query_splits
    }
    alike = scoring.alike(card.execution, data.load_world(card, entry.split))
    return Study(
        entry=entry,
        benchmark=benchmark,
        shown=shown,
        template=template,
        form=card.canonical,
        execution=card.execution,
        alike=alike,
        queries=queries,
        embed=embed,
    )


def _embedder(sweep: SweepSpec) -> models.Embedder | None:
    if sweep.selection != "embedding":
        return None
    try:
        return models.find_embedder(sweep.embedder)
    except InputError as error:
        error.within("embedder")
        raise


def _check_stop(stop: str, benchmark: Benchmark) -> None:
    for example in (*benchmark.train, *benchmark.test):
        if stop in example.target:
            raise InputError(
                f"the target of {example.id} holds the template's stop, so no answer can be right",
                value=stop,
                allowed="a stop that no target holds",
            )


def _each(places: Sequence[str], entries: Iterable[Entry], make: Callable[[Entry], T]) -> list[T]:
    """Make one thing of each entry, and add the entry's place to an error that knows none."""
    made = []
    for place, entry in zip(places, entries, strict=True):
        try:
            made.append(make(entry))
        except InputError as error:
            error.within(place)
            raise
    return made


def _check_distinct(places: Sequence[str], labels: Sequence[str]) -> None:
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise InputError(
                f"duplicate cells: the results of {places[labels.index(label)]} and "
                f"{places[index]} could not be told apart",
                value=label,
                allowed="each once: give a model another `name`, a benchmark a sweep of its own",
            ).at(key=places[index])

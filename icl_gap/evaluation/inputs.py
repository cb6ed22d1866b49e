"""The benchmarks and models of a sweep: loaded and identified, nothing run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from icl_gap import data, models, prompts, sampling
from icl_gap.errors import Faults, InputError
from icl_gap.evaluation.config import DatasetEntry, SweepSpec
from icl_gap.programs.language import Database, Language
from icl_gap.programs.languages import LANGUAGES
from icl_gap.progress import Progress
from icl_gap.schema import Benchmark, Example, Split
from icl_gap.specs import check_spec
from icl_gap.text import brief

Entry = TypeVar("Entry")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class SweepBenchmark:
    """A benchmark of a sweep, loaded."""

    entry: DatasetEntry
    data: Benchmark
    exemplar_source: Benchmark
    """The benchmark that exemplars come from: `data`, unless the entry has `exemplars_from`."""
    template: prompts.Template
    language: Language[Any]
    database: Database | None
    """Database that programs are run on, for languages that need one."""
    queries: Mapping[Split, Sequence[Example]]
    """The queries of each side that the sweep asks, in query order."""
    query_ids: Mapping[Split, Sequence[str]]
    """The ids of all queries of these sides, in query order: `limit` takes the first of them."""
    max_new_bytes: Mapping[Split, int]
    """By side: the length beyond which a response cannot be right, in UTF-8 bytes."""
    embed: models.Embedder | None
    """The embedder of sources, for `selection: embedding`."""

    def __repr__(self) -> str:
        queries = ", ".join(f"{len(some):,} {side}" for side, some in self.queries.items())
        return brief("SweepBenchmark", f"{self.data.name}/{self.data.split}", f"queries {queries}")


@dataclass(frozen=True, slots=True, eq=False)
class SweepModel:
    """A model of a sweep, identified but not loaded."""

    spec: models.ModelSpec
    identity: models.Identity
    tokenizer: models.Tokenizer | None
    shots: tuple[int, ...]
    """The model's own numbers of shots, or the sweep's."""
    place: str
    """Its key in the sweep, such as `models[2]`."""

    @property
    def shots_place(self) -> str:
        """The key of the sweep under which its shots stand."""
        return "shots" if self.spec.shots is None else f"{self.place}.shots"

    def __repr__(self) -> str:
        return brief("SweepModel", self.place, self.identity.name)


def read_inputs(
    sweep: SweepSpec, progress: Progress
) -> tuple[list[SweepBenchmark], list[SweepModel]]:
    """Load the benchmarks of a sweep and identify its models; see the two functions below.

    Raises:
        InputError: For all faults of both.
    """
    benchmarks, models, faults = [], [], Faults()
    with faults.caught():
        benchmarks = load_benchmarks(sweep, progress)
    with faults.caught():
        models = identify_models(sweep, progress)
    faults.raise_any()
    return benchmarks, models


def load_benchmarks(sweep: SweepSpec, progress: Progress) -> list[SweepBenchmark]:
    """Load the benchmarks of a sweep.

    Raises:
        InputError: One cannot be had, or the results could not tell two of them apart.
    """
    entries = progress(sweep.datasets, "reading benchmarks", len(sweep.datasets))
    entry_keys = [f"datasets[{index}]" for index in range(len(sweep.datasets))]
    embed = _embedder(sweep)
    found = _each(entry_keys, entries, lambda entry: _load_benchmark(entry, sweep, embed))
    _check_distinct(entry_keys, [f"{each.data.name}/{each.data.split}" for each in found])
    return found


def identify_models(sweep: SweepSpec, progress: Progress) -> list[SweepModel]:
    """Identify the models of a sweep; no weights are loaded.

    Raises:
        InputError: One cannot be had, or the results could not tell two of them apart.
    """

    def identified(placed: tuple[str, models.ModelSpec]) -> SweepModel:
        place, spec = placed
        identity = models.identify(spec)
        tokenizer = models.load_tokenizer(spec, identity)
        shots = sweep.shots if spec.shots is None else spec.shots
        return SweepModel(spec, identity, tokenizer, shots, place)

    specs = [
        (f"models[{index}]", spec)
        for index, entry in enumerate(sweep.models)
        for spec in models.expand(entry)
    ]
    entry_keys = [place for place, _ in specs]
    found = _each(entry_keys, progress(specs, "reading models", len(specs)), identified)
    _check_distinct(entry_keys, [s.identity.name for s in found])
    return found


def _load_benchmark(
    entry: DatasetEntry, sweep: SweepSpec, embed: models.Embedder | None
) -> SweepBenchmark:
    card = data.load_card(entry.name)
    benchmark = exemplar_source = data.load_split(card, entry.split, None, **entry.options)
    if (other := entry.exemplars_from) is not None:
        try:
            exemplar_source = data.load_split(
                data.load_card(other.name), other.split, None, **other.options
            )
        except InputError as error:
            error.within("exemplars_from")
            raise
    template = entry.template or check_spec(card.template, prompts.Template)
    if sweep.control == "targets_only":
        template = template.model_copy(update={"exemplar_sources": False})
    _check_stop(template.stop, benchmark)
    if exemplar_source is not benchmark:
        _check_stop(template.stop, exemplar_source)
    queries = {
        split: sampling.queries(benchmark, split, sweep.sampler) for split in sweep.query_splits
    }
    return SweepBenchmark(
        entry=entry,
        data=benchmark,
        exemplar_source=exemplar_source,
        template=template,
        language=LANGUAGES[card.language],
        database=data.load_database(card, entry.split),
        queries={split: each[: sweep.limit] for split, each in queries.items()},
        query_ids={split: tuple(q.id for q in each) for split, each in queries.items()},
        max_new_bytes={split: _max_new_bytes(benchmark.examples(split)) for split in queries},
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


def _max_new_bytes(examples: Sequence[Example]) -> int:
    """Return a length that no right response exceeds, in UTF-8 bytes.

    It is that of the longest gold target of the side, whatever the sweep's limit, and a quarter
    more, for responses that are right in another spelling.
    """
    longest = max((len(example.target.encode()) for example in examples), default=0)
    return longest + longest // 4 + 16


def _check_stop(stop: str, benchmark: Benchmark) -> None:
    for example in (*benchmark.train, *benchmark.test):
        if stop in example.target:
            raise InputError(
                f"the target of {example.id} holds the template's stop, so no answer can be right",
                value=stop,
                allowed="a stop that no target holds",
            )


def _each(
    entry_keys: Sequence[str], entries: Iterable[Entry], make: Callable[[Entry], T]
) -> list[T]:
    """Call `make` on each entry, and raise the errors of all together, each with its key."""
    made, faults = [], Faults()
    for place, entry in zip(entry_keys, entries, strict=True):
        with faults.caught(place):
            made.append(make(entry))
    faults.raise_any()
    return made


def _check_distinct(entry_keys: Sequence[str], labels: Sequence[str]) -> None:
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise InputError(
                f"duplicate cells: the results of {entry_keys[labels.index(label)]} and "
                f"{entry_keys[index]} could not be told apart",
                value=label,
                allowed="each once: give a model another `name`, a benchmark a sweep of its own",
            ).at(key=entry_keys[index])

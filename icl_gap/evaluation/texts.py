"""Texts of a sweep's benchmarks, which results name by their ids alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from icl_gap import data
from icl_gap.errors import InputError
from icl_gap.evaluation.config import DatasetEntry
from icl_gap.programs.language import Language
from icl_gap.programs.languages import LANGUAGES
from icl_gap.prompts import Template, as_shown
from icl_gap.sampling import crossed, pool_split
from icl_gap.schema import Benchmark, CellInfo, Example, Record
from icl_gap.specs import check_spec
from icl_gap.text import brief


class Examples(Mapping[str, Example]):
    """Mapping from ids to examples.

    Args:
        benchmarks: The benchmarks to take examples from.
    """

    def __init__(self, benchmarks: Iterable[Benchmark] = ()) -> None:
        self._by_id = {e.id: e for b in benchmarks for e in (*b.train, *b.test)}

    def __getitem__(self, id_: str) -> Example:
        return self._by_id[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_id)

    def __len__(self) -> int:
        return len(self._by_id)

    def __repr__(self) -> str:
        return brief("Examples", f"{len(self):,} by id")


@dataclass(frozen=True, slots=True)
class BenchmarkTexts:
    """The texts of one benchmark of a sweep."""

    exemplar_source: Benchmark
    """The benchmark that exemplars come from, mostly that of the queries."""
    language: Language[Any]
    """Language of its targets."""
    examples: Examples
    """All examples, of queries and exemplars."""


@dataclass(frozen=True, slots=True)
class SweepTexts:
    """The texts of those benchmarks of a sweep that can be read."""

    benchmarks: Mapping[str, BenchmarkTexts] = field(default_factory=dict)
    """By the fingerprint of the benchmark that queries come from."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """By the name of a benchmark (`scan/mcd1`): the reason for which it cannot be read."""

    def of(self, info: CellInfo) -> Examples:
        """Return the examples that a cell was made from; none where they cannot be read."""
        found = self.benchmarks.get(cell_fingerprint(info))
        return Examples() if found is None else found.examples

    def shown(self, info: CellInfo, records: Iterable[Record]) -> Iterator[tuple[Example, ...]]:
        """Yield the exemplars of each request as its prompt shows them, if `of` has examples."""
        examples, template = self.of(info), check_spec(info.spec["template"], Template)
        for record in records:
            yield as_shown(template, exemplars_of(record, examples))

    def pool(self, info: CellInfo) -> Sequence[Example]:
        """Return the examples that exemplars were drawn from, if `of` has examples."""
        benchmark = self.benchmarks[cell_fingerprint(info)].exemplar_source
        return benchmark.examples(pool_split(info.query_split, info.condition))

    def language(self, info: CellInfo) -> Language[Any]:
        """Return the language of a cell's targets, if `of` has examples."""
        return self.benchmarks[cell_fingerprint(info)].language

    def why_not(self, info: CellInfo) -> str | None:
        """Return why the texts of a cell are missing and what to do; None if they are there."""
        if self.of(info):
            return None
        name = f"{info.dataset}/{info.split}"
        if name in self.problems:
            return (
                f"{name}: {self.problems[name]}. Set ICL_GAP_DATA, or run `icl-gap data fetch "
                f"{info.dataset}`, and try again in the folder of the run."
            )
        return (
            f"{name}: the data at hand is not what the results were made from (its fingerprint is "
            "another). Try again with the data of the run."
        )


def exemplars_of(record: Record, examples: Mapping[str, Example]) -> tuple[Example, ...]:
    """Return the exemplars of a record, in the order of its prompt.

    Args:
        record: The record.
        examples: The examples by their ids.
    """
    own = tuple(examples[id_] for id_ in record.exemplar_ids)
    if record.exemplar_target_ids is None:
        return own
    targets = (examples[id_] for id_ in record.exemplar_target_ids)
    return tuple(crossed(one, other) for one, other in zip(own, targets, strict=True))


def cell_fingerprint(info: CellInfo) -> str:
    """Return the fingerprint of the benchmark in a cell's spec; empty if there is none."""
    dataset = info.spec.get("dataset")
    return str(dataset.get("fingerprint", "")) if isinstance(dataset, dict) else ""


def read_texts(sweep: Mapping[str, Any]) -> SweepTexts:
    """Load those benchmarks of a sweep that can be read.

    Args:
        sweep: The sweep as run.
    """
    found: dict[str, BenchmarkTexts] = {}
    problems: dict[str, str] = {}
    for value in sweep.get("datasets") or ():
        try:
            entry = check_spec(value, DatasetEntry)
            card = data.load_card(entry.name)
        except InputError as error:
            problems[_name(value)] = error.problem
            continue
        try:
            queries = exemplars = data.load_split(card, entry.split, None, **entry.options)
            if (other := entry.exemplars_from) is not None:
                exemplars = data.load_split(
                    data.load_card(other.name), other.split, None, **other.options
                )
        except InputError as error:
            problems[f"{card.name}/{entry.split or card.default_split}"] = error.problem
            continue
        both = [queries] if exemplars is queries else [queries, exemplars]
        found[queries.fingerprint] = BenchmarkTexts(
            exemplars, LANGUAGES[card.language], Examples(both)
        )
    return SweepTexts(found, problems)


def _name(entry: Any) -> str:
    """Name the benchmark of an entry that cannot be read; a card's file is named after it."""
    if not isinstance(entry, dict):
        return str(entry)
    stem = str(entry.get("name")).rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")
    return f"{stem}/{entry.get('split')}"

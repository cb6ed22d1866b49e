"""The texts of a sweep's benchmarks: results hold ids alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from icl_gap import data
from icl_gap.errors import InputError
from icl_gap.evaluation.config import DatasetEntry
from icl_gap.prompts import Template, shown
from icl_gap.sampling import crossed, origins, pool_split
from icl_gap.schema import Benchmark, CanonicalForm, CellInfo, Example, Record
from icl_gap.specs import check_spec
from icl_gap.text import brief


class Examples(Mapping[str, Example]):
    """Examples by their ids, and those that have the source of one and the target of another."""

    def __init__(self, benchmarks: Iterable[Benchmark] = ()) -> None:
        self._plain = {e.id: e for b in benchmarks for e in (*b.train, *b.test)}

    def __getitem__(self, id_: str) -> Example:
        if id_ in self._plain:
            return self._plain[id_]
        one, other = origins(id_)
        return crossed(self._plain[one], self._plain[other])

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    def __repr__(self) -> str:
        return brief("Examples", f"{len(self):,} by id")


@dataclass(frozen=True, slots=True)
class Found:
    """A benchmark of a sweep, at hand."""

    exemplars: Benchmark
    """Where exemplars come from; mostly where queries do."""
    form: CanonicalForm
    """How programs are written."""
    examples: Examples
    """Of both, queries and exemplars."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The examples of the benchmarks that are at hand."""

    found: Mapping[str, Found] = field(default_factory=dict)
    """By the fingerprint of the benchmark that queries come from."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why a benchmark (`scan/mcd1`) could not be read."""

    def of(self, info: CellInfo) -> Examples:
        """The examples that a cell was made from; none where they are not at hand."""
        found = self.found.get(fingerprint(info))
        return Examples() if found is None else found.examples

    def shown(self, info: CellInfo, records: Iterable[Record]) -> Iterator[tuple[Example, ...]]:
        """The exemplars of each request as its prompt shows them, if `of` has its examples."""
        examples, template = self.of(info), check_spec(info.spec["template"], Template)
        for record in records:
            yield shown(template, tuple(examples[each] for each in record.exemplar_ids))

    def pool(self, info: CellInfo) -> Sequence[Example]:
        """What a cell's exemplars were drawn from, if `of` has its examples."""
        benchmark = self.found[fingerprint(info)].exemplars
        return benchmark.examples(pool_split(info.query_split, info.condition))

    def form(self, info: CellInfo) -> CanonicalForm:
        """How the programs of a cell are written, if `of` has its examples."""
        return self.found[fingerprint(info)].form

    def why_not(self, info: CellInfo) -> str | None:
        """Why the texts of a cell are missing, and what to do; None where they are here."""
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


def fingerprint(info: CellInfo) -> str:
    """That of the benchmark a cell was made from, as its spec names it; empty if it does not."""
    dataset = info.spec.get("dataset")
    return str(dataset.get("fingerprint", "")) if isinstance(dataset, dict) else ""


def read_texts(sweep: Mapping[str, Any]) -> Texts:
    """Load the benchmarks of a sweep, as far as they are at hand.

    Args:
        sweep: The sweep as run.
    """
    found: dict[str, Found] = {}
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
        found[queries.fingerprint] = Found(exemplars, card.canonical, Examples(both))
    return Texts(found, problems)


def _name(entry: Any) -> str:
    """What an entry that cannot be read is about; a card's file is named after its benchmark."""
    if not isinstance(entry, dict):
        return str(entry)
    stem = str(entry.get("name")).rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")
    return f"{stem}/{entry.get('split')}"

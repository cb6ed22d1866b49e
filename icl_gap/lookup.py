"""The texts of a sweep's benchmarks: results hold ids alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from icl_gap import data
from icl_gap.config import DatasetEntry
from icl_gap.errors import InputError
from icl_gap.records import Benchmark, CanonicalForm, CellInfo, Example
from icl_gap.sampling import pool_split
from icl_gap.specs import check_spec


@dataclass(frozen=True, slots=True)
class Texts:
    """The examples of the benchmarks that are at hand."""

    examples: Mapping[str, Mapping[str, Example]] = field(default_factory=dict)
    """By the benchmark's fingerprint, then by id."""
    benchmarks: Mapping[str, tuple[Benchmark, CanonicalForm]] = field(default_factory=dict)
    """By the fingerprint, with how their programs are written."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Why a benchmark (`scan/mcd1`) could not be read."""

    def of(self, info: CellInfo) -> Mapping[str, Example]:
        """The examples that a cell was made from; none where they are not at hand."""
        return self.examples.get(fingerprint(info), {})

    def pool(self, info: CellInfo) -> Sequence[Example]:
        """What a cell's exemplars were drawn from, if `of` has its examples."""
        benchmark, _ = self.benchmarks[fingerprint(info)]
        return benchmark.examples(pool_split(info.query_split, info.condition))

    def form(self, info: CellInfo) -> CanonicalForm:
        """How the programs of a cell are written, if `of` has its examples."""
        return self.benchmarks[fingerprint(info)][1]

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
    examples: dict[str, Mapping[str, Example]] = {}
    benchmarks: dict[str, tuple[Benchmark, CanonicalForm]] = {}
    problems: dict[str, str] = {}
    for value in sweep.get("datasets") or ():
        try:
            entry = check_spec(value, DatasetEntry)
            card = data.load_card(entry.name)
        except InputError as error:
            problems[_name(value)] = error.problem
            continue
        split = entry.split or card.default_split
        try:
            benchmark = data.load(card, split, None, **entry.options)
        except InputError as error:
            problems[f"{card.name}/{split}"] = error.problem
            continue
        both = (*benchmark.train, *benchmark.test)
        examples[benchmark.fingerprint] = {example.id: example for example in both}
        benchmarks[benchmark.fingerprint] = benchmark, card.canonical
    return Texts(examples, benchmarks, problems)


def _name(entry: Any) -> str:
    """What an entry that cannot be read is about; a card's file is named after its benchmark."""
    if not isinstance(entry, dict):
        return str(entry)
    stem = str(entry.get("name")).rpartition("/")[2].removesuffix(".yaml").removesuffix(".yml")
    return f"{stem}/{entry.get('split')}"

"""The grid of a sweep, and the key of each of its cells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, groupby, product
from typing import Any

from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.inputs import SweepBenchmark, SweepModel
from icl_gap.schema import SCHEMA_VERSION, Benchmark, CellInfo, Condition, Split
from icl_gap.text import brief


@dataclass(frozen=True, slots=True)
class Coordinates:
    """The coordinates of a cell in the grid of its model and benchmark."""

    query_split: Split
    condition: Condition
    shots: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One point of a sweep's grid, whose requests differ in their queries alone."""

    info: CellInfo
    benchmark: SweepBenchmark
    model: SweepModel
    max_new_bytes: int
    """The length beyond which a response cannot be right, in UTF-8 bytes."""
    rank: int
    """Its number in the grid, from 0. Cells of lower rank are computed first."""

    def __repr__(self) -> str:
        info = self.info
        at = f"{info.dataset}/{info.split} {info.query_split} {info.condition}"
        return brief("Cell", info.key[:12], at, f"{info.shots} shots, seed {info.seed}", info.model)


def make_grid(
    sweep: SweepSpec, benchmarks: Sequence[SweepBenchmark], models: Sequence[SweepModel]
) -> Iterator[Cell]:
    """Yield every cell of a sweep, model by model."""
    rank = count()
    for model, benchmark, query_split in product(models, benchmarks, sweep.query_splits):
        for condition, shots, seed in product(sweep.conditions, model.shots, sweep.seeds):
            at = Coordinates(query_split, condition, shots, seed)
            yield _cell(sweep, benchmark, model, at, next(rank))


def group_into_jobs(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Group cells that are computed together: those of one model on one benchmark.

    Prompts of one benchmark have much in common, those of two have nothing.

    Args:
        cells: Cells in the order of the grid.
    """
    grouped = groupby(cells, key=lambda cell: (cell.model, cell.benchmark.data.name))
    return [list(group) for _, group in grouped]


def cell_key(spec: Mapping[str, Any]) -> str:
    """Return the sha256 of a cell's spec, independent of the order of its keys."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _cell(
    sweep: SweepSpec, benchmark: SweepBenchmark, model: SweepModel, at: Coordinates, rank: int
) -> Cell:
    data, identity = benchmark.data, model.identity
    spec = _spec(sweep, benchmark, model, at)
    info = CellInfo(
        key=cell_key(spec),
        model=identity.name,
        family=identity.family,
        n_params=identity.n_params,
        n_params_non_embedding=identity.n_params_non_embedding,
        size_source=identity.size_source,
        training_tokens=identity.training_tokens,
        training_seed=identity.training_seed,
        revision=identity.revision,
        trained=identity.trained,
        dataset=data.name,
        split=data.split,
        partial=data.partial,
        query_split=at.query_split,
        condition=at.condition,
        shots=at.shots,
        seed=at.seed,
        n_queries=len(benchmark.queries[at.query_split]),
        spec=spec,
    )
    return Cell(info, benchmark, model, benchmark.max_new_bytes[at.query_split], rank)


def _spec(
    sweep: SweepSpec, benchmark: SweepBenchmark, model: SweepModel, at: Coordinates
) -> dict[str, Any]:
    """Return all that can change a record of the cell, and nothing that cannot.

    `limit` is not part of it: it decides which queries are asked, and changes no record.
    """
    overflow: dict[str, Any] = {"policy": sweep.overflow}
    if sweep.overflow != "error":  # the fit is that of the longest prompt over the conditions
        overflow["conditions"] = sorted(sweep.conditions)
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": _source(benchmark.data),
        "exemplars_from": None
        if benchmark.exemplar_source is benchmark.data
        else _source(benchmark.exemplar_source),
        "model": dict(model.identity.key),
        "sampler": sweep.sampler.model_dump(mode="json"),
        "embedder": None if benchmark.embed is None else benchmark.embed.key,
        "template": benchmark.template.model_dump(mode="json"),
        "decoding": {
            "method": "greedy",
            "max_new_bytes": benchmark.max_new_bytes[at.query_split],
            "predictions": sweep.predictions,
            "canonical": sweep.canonical,
            **({} if sweep.likelihood else {"likelihood": False}),
        },
        "language": benchmark.language.name,
        "query_split": at.query_split,
        "condition": at.condition,
        "shots": at.shots,
        "seed": at.seed,
        "overflow": overflow,
    }


def _source(benchmark: Benchmark) -> dict[str, str]:
    """Return what identifies a benchmark's data."""
    return {
        "name": benchmark.name,
        "split": benchmark.split,
        "fingerprint": benchmark.fingerprint,
    }

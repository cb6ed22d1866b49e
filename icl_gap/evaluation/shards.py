"""Shards: the parts of a sweep that machines run apart, of about equal cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from icl_gap.evaluation.grid import Cell, group_into_jobs
from icl_gap.evaluation.inputs import SweepBenchmark, SweepModel
from icl_gap.models import measure_footprint
from icl_gap.text import brief

LOADING = 60.0
"""The cost of loading a model's weights, in requests of one exemplar."""


@dataclass(frozen=True, slots=True)
class SweepShard:
    """The cells that one machine runs."""

    cells: tuple[Cell, ...]
    """In the order of the grid."""
    share: float
    """The estimated share of the sweep's cost, in [0, 1]."""

    def __repr__(self) -> str:
        return brief("SweepShard", f"{len(self.cells):,} cells", f"{self.share:.0%} of the cost")


def into_shards(cells: Sequence[Cell], number: int) -> list[SweepShard]:
    """Cut a sweep into shards of about equal cost.

    The cells of a job stay in one shard, since results in low precision depend on what is computed
    together. The most costly jobs go first, each to the shard that has the least so far. The same
    sweep is always cut in the same way, whatever results exist.

    Args:
        cells: All cells of the sweep, in the order of its grid.
        number: The number of shards; some are empty where there are fewer jobs.
    """
    lengths: dict[SweepBenchmark, float] = {}
    sizes: dict[SweepModel, float] = {}
    jobs = group_into_jobs(cells)
    costs = [_cost(job, lengths, sizes) for job in jobs]
    totals = [0.0] * number
    shards: list[list[int]] = [[] for _ in range(number)]
    for job in sorted(range(len(jobs)), key=lambda n: (-costs[n], n)):
        least = min(range(number), key=lambda shard: (totals[shard], shard))
        totals[least] += costs[job]
        shards[least].append(job)
    return [
        SweepShard(tuple(cell for n in sorted(shard) for cell in jobs[n]), total / sum(costs))
        for shard, total in zip(shards, totals, strict=True)
    ]


def _cost(
    cells: Sequence[Cell], lengths: dict[SweepBenchmark, float], sizes: dict[SweepModel, float]
) -> float:
    """Estimate the cost of a job: parameters outside embeddings times characters read.

    No exemplars are drawn: every example is taken to be as long as the mean one.
    """
    model = cells[0].model
    if model not in sizes:
        found = measure_footprint(model.spec, model.identity)
        sizes[model] = 1.0 if found is None else float(found.non_embedding)
    read = 0.0
    for cell in cells:
        benchmark = cell.benchmark
        if benchmark not in lengths:
            examples = (*benchmark.data.train, *benchmark.data.test)
            lengths[benchmark] = fmean(len(each.source) + len(each.target) for each in examples)
        read += cell.info.n_queries * (cell.info.shots + 1) * lengths[benchmark]
    return sizes[model] * (read + LOADING * 2 * lengths[cells[0].benchmark])

"""A sweep in parts that machines run apart, of about the same cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from icl_gap.evaluation.grid import Cell
from icl_gap.evaluation.inputs import SweepBenchmark, SweepModel
from icl_gap.evaluation.questions import together
from icl_gap.models import measure_footprint
from icl_gap.text import brief


@dataclass(frozen=True, slots=True)
class Part:
    """What one machine runs."""

    cells: tuple[Cell, ...]
    """In the order of the grid."""
    share: float
    """Of the whole sweep's cost, as estimated."""

    def __repr__(self) -> str:
        return brief("Part", f"{len(self.cells):,} cells", f"{self.share:.0%} of the cost")


LOADING = 60.0
"""What loading a model's weights counts as, in requests of one exemplar."""


def into_shards(cells: Sequence[Cell], number: int) -> list[Part]:
    """Cut a sweep into parts of about the same cost.

    One model's cells on one benchmark stay in one part, since what is computed together decides
    results in low precision. The most costly go first, each to the part that has the least so far;
    the same sweep is always cut in the same way, whatever is known of its results.

    Args:
        cells: Of the whole sweep, in the order of its grid.
        number: Of parts; some are empty where there are fewer groups of cells.

    Returns:
        The parts.
    """
    lengths: dict[SweepBenchmark, float] = {}
    sizes: dict[SweepModel, float] = {}
    groups = [list(group) for _, group in groupby(cells, key=together)]
    costs = [_cost(group, lengths, sizes) for group in groups]
    loads = [0.0] * number
    parts: list[list[int]] = [[] for _ in range(number)]
    for group in sorted(range(len(groups)), key=lambda n: (-costs[n], n)):
        least = min(range(number), key=lambda part: (loads[part], part))
        loads[least] += costs[group]
        parts[least].append(group)
    return [
        Part(tuple(cell for n in sorted(part) for cell in groups[n]), load / sum(costs))
        for part, load in zip(parts, loads, strict=True)
    ]


def _cost(
    cells: Sequence[Cell], lengths: dict[SweepBenchmark, float], sizes: dict[SweepModel, float]
) -> float:
    """Parameters outside embeddings times characters read, of one model on one benchmark.

    Nothing is drawn for it: prompts are taken to be as long as the mean example makes them.
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

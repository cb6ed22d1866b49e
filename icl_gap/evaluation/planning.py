"""From a sweep to its cells: what will be asked of which model, before any weights load."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import chain, groupby

from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import Cell, grid
from icl_gap.evaluation.inputs import SweepModel, identify_models, load_benchmarks
from icl_gap.evaluation.questions import Load, Requests, loads, together
from icl_gap.evaluation.requests import Layout, Sizes
from icl_gap.evaluation.shards import into_shards
from icl_gap.progress import Progress, no_progress
from icl_gap.text import brief

__all__ = [
    "Cell",
    "Load",
    "Plan",
    "Shard",
    "Sizes",
    "SweepModel",
    "draw",
    "into_shards",
    "loads",
    "outline_sweep",
    "plan_sweep",
    "together",
]


Shard = tuple[int, int]
"""The number of a part, from 0, and of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A sweep's cells, model by model."""

    sweep: SweepSpec
    cells: tuple[Cell, ...]
    mine: tuple[Cell, ...]
    """Those to be run: all, or those of a shard."""
    requests: Requests
    """Gives the requests of a cell, in query order."""
    sizes: Callable[[Cell], Sizes]
    """Gives the sizes of a cell's prompts."""

    def __repr__(self) -> str:
        return brief("Plan", self.sweep.name, f"{len(self.mine):,} of {len(self.cells):,} cells")


def plan_sweep(
    sweep: SweepSpec, *, shard: Shard | None = None, progress: Progress = no_progress
) -> Plan:
    """Load the benchmarks, identify the models, draw all exemplars and measure all prompts.

    Args:
        sweep: What is asked.
        shard: Which part of it is to be run, and of how many, counted from 0; by default, all.
        progress: Shows progress.

    Raises:
        InputError: A benchmark, a model or a number of shots is not to be had, two cells are the
            same, or a prompt does not fit its model's context while `overflow` is `error`.
    """
    plan = outline_sweep(sweep, shard=shard, progress=progress)
    draw(plan, progress=progress)
    return plan


def draw(plan: Plan, *, done: Collection[str] = (), progress: Progress = no_progress) -> None:
    """Draw the exemplars of what is to be run and measure its prompts; both are kept.

    Args:
        plan: An outline.
        done: The keys of finished cells. A model needs nothing more on a benchmark all of whose
            cells are.
        progress: Shows progress.

    Raises:
        InputError: A pool holds too few examples, or a prompt does not fit its model's context
            while `overflow` is `error`.
    """
    groups = [list(cells) for _, cells in groupby(plan.mine, key=together)]
    open_ = [some for some in groups if any(cell.info.key not in done for cell in some)]
    cells = list(chain.from_iterable(open_))
    for cell in progress(cells, "drawing exemplars", len(cells)):
        plan.sizes(cell)


def outline_sweep(
    sweep: SweepSpec, *, shard: Shard | None = None, progress: Progress = no_progress
) -> Plan:
    """As `plan_sweep`, but draw a cell's exemplars only when its requests are asked for.

    Raises:
        InputError: A benchmark or a model is not to be had, or two cells are the same.
    """
    cells = tuple(grid(sweep, load_benchmarks(sweep, progress), identify_models(sweep, progress)))
    layout = Layout(sweep)
    mine = cells if shard is None else into_shards(cells, shard[1])[shard[0]].cells
    return Plan(sweep, cells, mine, layout.requests, layout.sizes)

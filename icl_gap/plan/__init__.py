"""From a sweep to its cells: what will be asked of which model, before any weights load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from icl_gap.config import SweepSpec
from icl_gap.plan.cells import Cell, grid
from icl_gap.plan.layout import Layout, Request, Sizes
from icl_gap.plan.parts import Subject, studies, subjects
from icl_gap.plan.questions import Load, Requests, loads, question, together
from icl_gap.plan.shards import into_shards
from icl_gap.track import Track, untracked

__all__ = [
    "Cell",
    "Load",
    "Plan",
    "Request",
    "Shard",
    "Sizes",
    "Subject",
    "into_shards",
    "loads",
    "outline_sweep",
    "plan_sweep",
    "question",
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


def plan_sweep(sweep: SweepSpec, *, shard: Shard | None = None, track: Track = untracked) -> Plan:
    """Load the benchmarks, identify the models, draw all exemplars and measure all prompts.

    Args:
        sweep: What is asked.
        shard: Which part of it is to be run, and of how many, counted from 0; by default, all.
        track: Shows progress.

    Raises:
        InputError: A benchmark, a model or a number of shots is not to be had, two cells are the
            same, or a prompt does not fit its model's context while `overflow` is `error`.
    """
    plan = outline_sweep(sweep, shard=shard, track=track)
    for cell in track(plan.mine, "drawing exemplars", len(plan.mine)):
        plan.sizes(cell)
    return plan


def outline_sweep(
    sweep: SweepSpec, *, shard: Shard | None = None, track: Track = untracked
) -> Plan:
    """As `plan_sweep`, but draw a cell's exemplars only when its requests are asked for.

    Raises:
        InputError: A benchmark or a model is not to be had, or two cells are the same.
    """
    cells = tuple(grid(sweep, studies(sweep, track), subjects(sweep, track)))
    layout = Layout(sweep)
    mine = cells if shard is None else into_shards(cells, shard[1])[shard[0]].cells
    return Plan(sweep, cells, mine, layout.requests, layout.sizes)

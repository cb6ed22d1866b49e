"""Plan a sweep: load its benchmarks, identify its models, lay out its cells and their requests.

No weights are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from icl_gap.errors import InputError
from icl_gap.evaluation.config import AnySweep, SweepSpec, read_sweep
from icl_gap.evaluation.grid import Cell, group_into_jobs, make_grid
from icl_gap.evaluation.inputs import SweepModel, read_inputs
from icl_gap.evaluation.requests import PromptSizes, RequestBuilder
from icl_gap.evaluation.shards import into_shards
from icl_gap.evaluation.spelling import check_spelling
from icl_gap.models import Request
from icl_gap.progress import Progress, no_progress
from icl_gap.progress_bars import interactive_progress
from icl_gap.text import brief

if TYPE_CHECKING:
    import pandas as pd

ShardNumber = tuple[int, int]
"""The number of a shard, from 0, and the number of all shards."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The cells of a sweep, model by model, and their requests."""

    sweep: SweepSpec
    cells: tuple[Cell, ...]
    mine: tuple[Cell, ...]
    """The cells to run: all, or those of a shard."""
    requests: Callable[[Cell], list[Request]]
    """Return the requests of a cell, in query order."""
    sizes: Callable[[Cell], PromptSizes]
    """Return the sizes of a cell's prompts. They are measured once, and kept for the requests."""

    @property
    def models(self) -> tuple[SweepModel, ...]:
        """The models of the sweep."""
        return tuple(dict.fromkeys(cell.model for cell in self.cells))

    def only(self, models: Collection[str]) -> Plan:
        """Return the plan of some models alone.

        Args:
            models: Names of models of the sweep, or the last parts of names (`opt-350m`).

        Raises:
            InputError: The sweep has no model of such a name.
        """
        known = {model: model.identity.name for model in self.models}
        for wanted in models:
            if not any(_goes_by(name, wanted) for name in known.values()):
                raise InputError(
                    "the sweep has no such model", value=wanted, allowed=sorted(known.values())
                )
        chosen = {m for m, name in known.items() if any(_goes_by(name, each) for each in models)}
        cells, mine = (
            tuple(cell for cell in some if cell.model in chosen) for some in (self.cells, self.mine)
        )
        return replace(self, cells=cells, mine=mine)

    def without(self, keys: Collection[str]) -> Plan:
        """Return the plan without some cells, such as those that are finished.

        Args:
            keys: Keys of cells.
        """
        cells, mine = (
            tuple(cell for cell in some if cell.info.key not in keys)
            for some in (self.cells, self.mine)
        )
        return replace(self, cells=cells, mine=mine)

    def to_frame(self) -> pd.DataFrame:
        """Return the cells to run as a pandas frame, one row a cell, in the order of the grid.

        Columns of the cell: `model`, `family`, `n_params`, `trained`, `dataset`, `split`,
        `partial`, `query_split`, `condition`, `shots`, `seed`. Of its prompts: `requests`,
        `prompt_tokens` (of all of them), `longest_prompt` (in tokens; both are missing for a model
        without a tokenizer), `fewer_shots` and `left_out` (requests whose prompts do not fit the
        context).
        """
        from icl_gap.evaluation.plan_frame import plan_frame

        return plan_frame(self)

    def _repr_html_(self) -> str:
        from icl_gap.evaluation.plan_frame import plan_html

        return plan_html(self)

    def __repr__(self) -> str:
        return brief("Plan", self.sweep.name, f"{len(self.mine):,} of {len(self.cells):,} cells")


def _goes_by(name: str, wanted: str) -> bool:
    return wanted in {name, name.rpartition("/")[2]}


def plan_sweep(
    sweep: AnySweep,
    *,
    shard: ShardNumber | None = None,
    progress: Progress = interactive_progress,
) -> Plan:
    """Plan a sweep whole: its exemplars are drawn and its prompts measured.

    Args:
        sweep: The sweep, in any form that `read_sweep` takes.
        shard: The shard of it to run; all of it by default.
        progress: Shows progress; by default in a notebook and at a prompt.

    Raises:
        InputError: The sweep is none, a benchmark, a model or a number of shots cannot be had, two
            cells are the same, a model's tokenizer cannot write a benchmark's targets, or a prompt
            does not fit its model's context while `overflow` is `error`.
    """
    plan = outline_sweep(read_sweep(sweep), shard=shard, progress=progress)
    prepare_requests(plan, progress=progress)
    return plan


def outline_sweep(
    sweep: SweepSpec, *, shard: ShardNumber | None = None, progress: Progress = no_progress
) -> Plan:
    """Plan a sweep, but draw the exemplars of a cell only when its requests are needed.

    Args:
        sweep: The sweep.
        shard: The shard of it to run; all of it by default.
        progress: Shows progress.

    Raises:
        InputError: A benchmark or a model cannot be had, two cells are the same, or a model's
            tokenizer cannot write a benchmark's targets.
    """
    benchmarks, models = read_inputs(sweep, progress)
    check_spelling(sweep, benchmarks, models)
    cells = tuple(make_grid(sweep, benchmarks, models))
    builder = RequestBuilder(sweep)
    mine = cells if shard is None else into_shards(cells, shard[1])[shard[0]].cells
    return Plan(sweep, cells, mine, builder.requests, builder.sizes)


def prepare_requests(
    plan: Plan, *, finished: Collection[str] = (), progress: Progress = no_progress
) -> None:
    """Draw the exemplars of the cells to run and measure their prompts; the plan keeps both.

    Args:
        plan: An outline.
        finished: The keys of finished cells. A job all of whose cells are finished is left out.
        progress: Shows progress.

    Raises:
        InputError: A pool holds too few examples, or a prompt does not fit its model's context
            while `overflow` is `error`.
    """
    jobs = group_into_jobs(plan.mine)
    unfinished = [job for job in jobs if any(cell.info.key not in finished for cell in job)]
    cells = list(chain.from_iterable(unfinished))
    for cell in progress(cells, "drawing exemplars", len(cells)):
        plan.sizes(cell)

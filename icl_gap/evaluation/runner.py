"""Run a sweep: the whole pipeline, composed and nothing decided."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, groupby
from pathlib import Path
from typing import assert_never

from icl_gap import models
from icl_gap.errors import InferenceError, ModelError
from icl_gap.evaluation.answering import answer
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.jobs import Unit
from icl_gap.evaluation.planning import Plan, Subject, draw, outline_sweep, together
from icl_gap.evaluation.precision import check_precision
from icl_gap.evaluation.provenance import provenance
from icl_gap.progress import Progress, no_progress
from icl_gap.results import Results, likely_finished, open_results, open_store


def run_sweep(
    sweep: SweepSpec | Plan, folder: str | Path | None = None, *, progress: Progress = no_progress
) -> Results:
    """Run a sweep, or go on with one that was stopped.

    Args:
        sweep: What to run; a plan saves planning it again, and may be an outline.
        folder: Where results go; default `results/` and the sweep's name.
        progress: Shows progress.

    Returns:
        All results of the sweep, earlier ones included; their `frame()` is what `analyze` takes.

    Raises:
        InputError: The sweep cannot be run as it is; nothing was run.
        InferenceError: A model could not be loaded, or failed in some cells. All others are
            finished and stored, and running the sweep again tries just the failed ones.
        StoreError: The folder cannot be written, or another run is writing there.
    """
    plan = sweep if isinstance(sweep, Plan) else outline_sweep(sweep, progress=progress)
    folder = Path(folder or Path("results") / plan.sweep.name)
    draw(plan, done=likely_finished(folder, [cell.info for cell in plan.mine]), progress=progress)
    description = plan.sweep.model_dump(mode="json")
    with open_store(folder, description, [cell.info for cell in plan.cells]) as finished:
        groups = (list(cells) for _, cells in groupby(plan.mine, key=together))
        units = [unit for cells in groups if (unit := Unit(cells, finished, folder)).pending]
        with ExitStack() as files:
            _run(plan, [files.enter_context(unit) for unit in units], progress)
        if failures := list(_failures(units)):
            raise InferenceError(
                "\n".join(
                    ["not all cells are finished; running the sweep again tries these:", *failures]
                )
            )
        results = open_results(folder)
        if plan.sweep.precision_check and plan.mine == plan.cells:
            check_precision(plan, results, progress)
    return results


def _run(plan: Plan, units: Sequence[Unit], progress: Progress) -> None:
    """Answer all that has no answer yet; what fails leaves all else alone."""
    match plan.sweep.executor:
        case "local":
            for _, some in groupby(units, key=lambda unit: unit.subject):
                _run_model(plan, list(some), progress)
                gc.collect()  # one model's weights go before the next one's come
        case "ray" if units:
            from icl_gap.evaluation.executors.ray_cluster import run_units

            with closing(run_units(plan.sweep, units)) as steps:
                for _ in progress(steps, "answering", sum(unit.n_queries for unit in units)):
                    pass
        case "ray":
            return
        case _:
            assert_never(plan.sweep.executor)


def _run_model(plan: Plan, units: Sequence[Unit], progress: Progress) -> None:
    """Load a model here, and run it on each benchmark."""
    subject = units[0].subject
    try:
        model = models.load(subject.spec, subject.identity)
    except ModelError as error:
        for unit in units:
            unit.refuse(error)
        return
    steps = chain.from_iterable(_run_unit(plan, unit, model) for unit in units)
    for _ in progress(steps, model.info.name, sum(unit.n_queries for unit in units)):
        pass


def _run_unit(plan: Plan, unit: Unit, model: models.Model) -> Iterator[None]:
    """Run a model on a benchmark, a step for each request of the cells that are not finished."""
    wanted = unit.begin(model.info, provenance(model.info.device))
    yield from [None] * (unit.n_queries - len(wanted))
    asked = [(cell, request) for cell in unit.cells for request in plan.requests(cell)]
    for cell, record in answer(asked, wanted, model, plan.sweep):
        unit.take(cell, record)
        yield


def _failures(units: Sequence[Unit]) -> Iterator[str]:
    """What failed and why: a line for a cell, or for a model's cells that share a reason."""
    pending = Counter({unit.subject: 0 for unit in units})
    refused: Counter[tuple[Subject, str]] = Counter()
    for unit in units:
        pending[unit.subject] += len(unit.pending)
        for name, reasons in unit.failures.items():
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            yield f"  {name}: {reasons[0]}{more}"
        if unit.refusal is not None:
            refused[unit.subject, unit.refusal] += unit.unanswered()
    for (subject, reason), count in refused.items():
        share = f"all {count}" if count == pending[subject] else f"{count}"
        yield f"  {share} of {subject.identity.name}: {reason}"

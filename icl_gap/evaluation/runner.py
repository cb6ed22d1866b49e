"""Evaluate a sweep: the whole pipeline, composed and nothing decided."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from pathlib import Path
from typing import assert_never

from icl_gap import models
from icl_gap.errors import InferenceError, ModelError
from icl_gap.evaluation.background import in_background
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import group_into_jobs
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.jobs import Job
from icl_gap.evaluation.planning import Plan, outline_sweep, prepare_requests
from icl_gap.evaluation.precision import check_precision
from icl_gap.evaluation.provenance import collect_provenance
from icl_gap.evaluation.repeats import check_repeats
from icl_gap.evaluation.run_requests import RequestOutcome, request_outcomes, score_outcome
from icl_gap.evaluation.spending import Ledger
from icl_gap.progress import Progress, no_progress
from icl_gap.results import Results, find_kept, open_results, open_store

_log = logging.getLogger(__name__)


def evaluate_sweep(
    sweep: SweepSpec | Plan,
    folder: str | Path | None = None,
    *,
    progress: Progress = no_progress,
) -> Results:
    """Evaluate a sweep, or go on with one that was stopped; `icl_gap.run_sweep` draws figures too.

    Args:
        sweep: The sweep, or its plan or outline, which saves planning it again.
        folder: The results folder; default `results/` and the sweep's name.
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
    kept = find_kept(folder, [cell.info for cell in plan.mine])
    if kept.finished or kept.answered:
        _log.info("%s: %s", folder, kept)
    prepare_requests(plan, finished=kept.finished, progress=progress)
    description = plan.sweep.model_dump(mode="json")
    with open_store(folder, description, [cell.info for cell in plan.cells]) as finished:
        jobs = [Job(cells, finished, folder) for cells in group_into_jobs(plan.mine)]
        jobs = [job for job in jobs if job.pending]
        with ExitStack() as files:
            _run(plan, [files.enter_context(job) for job in jobs], Ledger(folder), progress)
        if failures := list(_failures(jobs)):
            raise InferenceError(
                "\n".join(
                    ["not all cells are finished; running the sweep again tries these:", *failures]
                )
            )
        results = open_results(folder)
        if plan.sweep.precision_check and plan.mine == plan.cells:
            check_precision(plan, results, progress)
        if plan.sweep.repeats > 1 and plan.mine == plan.cells:
            check_repeats(plan, results, progress)
    return results


def _run(plan: Plan, jobs: Sequence[Job], ledger: Ledger, progress: Progress) -> None:
    """Run all requests that have no record yet; a failure leaves all others alone."""
    match plan.sweep.executor:
        case "local":
            for number, (_, same_model) in enumerate(groupby(jobs, key=lambda job: job.model)):
                if number:
                    gc.collect()  # one model's weights go before the next one's come
                _run_model(plan, list(same_model), ledger, progress)
        case "ray" if jobs:
            from icl_gap.evaluation.executors.ray_cluster import run_jobs

            with closing(run_jobs(plan.sweep, jobs, ledger)) as steps:
                for _ in progress(steps, "answering", sum(job.n_queries for job in jobs)):
                    pass
        case "ray":
            return
        case _:
            assert_never(plan.sweep.executor)


def _run_model(plan: Plan, jobs: Sequence[Job], ledger: Ledger, progress: Progress) -> None:
    """Load a model here, and run its jobs."""
    loading = ledger.counting(jobs[0].model.spec, jobs[0].model.identity)
    with ExitStack() as stack:
        try:
            counted = stack.enter_context(loading)
        except ModelError as error:
            for job in jobs:
                job.refuse(error)
            return
        name = counted.model.info.name
        with closing(_run_jobs(plan, jobs, counted.model)) as steps:
            for _ in progress(steps, name, sum(job.n_queries for job in jobs)):
                counted.note()


def _run_jobs(plan: Plan, jobs: Sequence[Job], model: models.Model) -> Generator[None, None, None]:
    """Run the jobs of a model, a step for each request of the cells that are not finished.

    A thread scores and stores while the model goes on.
    """

    def store(job: Job, done: RequestOutcome) -> None:
        job.describe(done.info)
        job.store(done.request.id, score_outcome(done, job.cells, plan.sweep))

    with in_background(store) as submit:
        for job in jobs:
            wanted = job.begin(model.info, collect_provenance(model.info.device))
            yield from [None] * (job.n_queries - len(wanted))
            requests = [request for cell in job.cells.values() for request in plan.requests(cell)]
            for done in request_outcomes(requests, wanted, model, plan.sweep):
                submit(job, done)
                yield


def _failures(jobs: Sequence[Job]) -> Iterator[str]:
    """Yield what failed and why: a line for a cell, or for a model's cells that share a reason."""
    pending = Counter({job.model: 0 for job in jobs})
    refused: Counter[tuple[SweepModel, str]] = Counter()
    for job in jobs:
        pending[job.model] += len(job.pending)
        for name, reasons in job.failures.items():
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            yield f"  {name}: {reasons[0]}{more}"
        if job.refusal is not None:
            refused[job.model, job.refusal] += job.incomplete()
    for (model, reason), count in refused.items():
        share = f"all {count}" if count == pending[model] else f"{count}"
        yield f"  {share} of {model.identity.name}: {reason}"

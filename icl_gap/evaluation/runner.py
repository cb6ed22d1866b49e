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
from icl_gap.evaluation.answering import respond
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.jobs import Job
from icl_gap.evaluation.planning import Plan, SweepModel, draw, outline_sweep, together
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
        jobs = [job for cells in groups if (job := Job(cells, finished, folder)).pending]
        with ExitStack() as files:
            _run(plan, [files.enter_context(job) for job in jobs], progress)
        if failures := list(_failures(jobs)):
            raise InferenceError(
                "\n".join(
                    ["not all cells are finished; running the sweep again tries these:", *failures]
                )
            )
        results = open_results(folder)
        if plan.sweep.precision_check and plan.mine == plan.cells:
            check_precision(plan, results, progress)
    return results


def _run(plan: Plan, jobs: Sequence[Job], progress: Progress) -> None:
    """Answer all that has no answer yet; what fails leaves all else alone."""
    match plan.sweep.executor:
        case "local":
            for _, some in groupby(jobs, key=lambda job: job.model):
                _run_model(plan, list(some), progress)
                gc.collect()  # one model's weights go before the next one's come
        case "ray" if jobs:
            from icl_gap.evaluation.executors.ray_cluster import run_jobs

            with closing(run_jobs(plan.sweep, jobs)) as steps:
                for _ in progress(steps, "answering", sum(job.n_queries for job in jobs)):
                    pass
        case "ray":
            return
        case _:
            assert_never(plan.sweep.executor)


def _run_model(plan: Plan, jobs: Sequence[Job], progress: Progress) -> None:
    """Load a model here, and run it on each benchmark."""
    of = jobs[0].model
    try:
        model = models.load_model(of.spec, of.identity)
    except ModelError as error:
        for job in jobs:
            job.refuse(error)
        return
    steps = chain.from_iterable(_run_job(plan, job, model) for job in jobs)
    for _ in progress(steps, model.info.name, sum(job.n_queries for job in jobs)):
        pass


def _run_job(plan: Plan, job: Job, model: models.Model) -> Iterator[None]:
    """Run a model on a benchmark, a step for each request of the cells that are not finished."""
    wanted = job.begin(model.info, provenance(model.info.device))
    yield from [None] * (job.n_queries - len(wanted))
    requests = [request for cell in job.cells for request in plan.requests(cell)]
    for id_, record in respond(requests, wanted, model, job.by_key, plan.sweep):
        job.take(id_, record)
        yield


def _failures(jobs: Sequence[Job]) -> Iterator[str]:
    """What failed and why: a line for a cell, or for a model's cells that share a reason."""
    pending = Counter({job.model: 0 for job in jobs})
    refused: Counter[tuple[SweepModel, str]] = Counter()
    for job in jobs:
        pending[job.model] += len(job.pending)
        for name, reasons in job.failures.items():
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            yield f"  {name}: {reasons[0]}{more}"
        if job.refusal is not None:
            refused[job.model, job.refusal] += job.unanswered()
    for (model, reason), count in refused.items():
        share = f"all {count}" if count == pending[model] else f"{count}"
        yield f"  {share} of {model.identity.name}: {reason}"

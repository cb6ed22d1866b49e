"""Dispatch of jobs to workers, and storage of the records that come back."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, assert_never

import ray
from ray.exceptions import RayError, RayTaskError

from icl_gap.errors import IclGapError, InferenceError, ModelError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.executors.ray_cluster.demand import demand
from icl_gap.evaluation.executors.ray_cluster.worker import Begun, Worker
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.jobs import Job
from icl_gap.evaluation.spending import Ledger
from icl_gap.models import ModelSpec, OpenAISpec

_MOST_DEATHS = 3
"""Deaths of workers of one job in a row, without a record between them."""
_MOST_STARTING = 32
"""Workers that wait for room on the cluster."""
_PATIENCE = 1.0
"""Seconds to wait for a worker before new ones may be started."""
_VARIABLES = ("ICL_GAP_DATA", "ICL_GAP_CACHE")
"""Environment variables that go with a worker. Secrets do not: nodes have their own."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _WorkerHandle:
    """A worker, as this process sees it."""

    handle: Any
    model: SweepModel
    stage: Literal["starts", "begins", "answers"]
    task: Any
    """Its call under way: a reference, or a generator of references."""
    job: Job | None = None
    """The job that it works on; None while it starts."""


class Dispatch:
    """Gives jobs to workers until all are done or refused.

    A worker holds one model and takes job after job of it. Where it dies, its job waits again,
    with the requests that then have no record.

    Args:
        sweep: The sweep that the jobs are of.
        jobs: The jobs.
        ledger: Keeps what models cost.
    """

    def __init__(self, sweep: SweepSpec, jobs: Sequence[Job], ledger: Ledger) -> None:
        self._sweep = sweep
        self._ledger = ledger
        self._waiting = list(jobs)
        self._workers: list[_WorkerHandle] = []
        self._begun: set[Job] = set()
        self._deaths: Counter[Job] = Counter()
        """Deaths of each job's workers since its last record."""
        self._remote: Any = ray.remote(Worker)

    def steps(self) -> Iterator[None]:
        """Run all jobs, a step for each request of cells that are not finished.

        However it ends, no worker is left.
        """
        try:
            while self._waiting or self._workers:
                self._start_workers()
                yield from self._wait()
        finally:
            while self._workers:
                self._stop(self._workers[-1])

    def _start_workers(self) -> None:
        """Have a worker start for each job that waits.

        Ray starts them as there is room, on nodes that join the cluster too.
        """
        short = Counter(job.model for job in self._waiting)
        for model in short:
            if isinstance(model.spec, OpenAISpec):  # its limits are those of one process
                busy = any(worker.model is model and worker.job for worker in self._workers)
                short[model] = 0 if busy else 1
        for worker in [worker for worker in self._workers if worker.job is None]:
            short[worker.model] -= 1
            if short[worker.model] < 0:
                self._stop(worker)
        starting = sum(worker.job is None for worker in self._workers)
        for model in islice(short.elements(), max(0, _MOST_STARTING - starting)):
            self._workers.append(self._started(model))

    def _started(self, model: SweepModel) -> _WorkerHandle:
        need = demand(model, _nodes())
        options = {"num_cpus": 1, "num_gpus": need.gpus, "memory": need.memory, "max_restarts": 0}
        variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        handle = self._remote.options(**options).remote(str(Path.cwd()), variables)
        return _WorkerHandle(handle, model, "starts", handle.ready.remote())

    def _wait(self) -> Iterator[None]:
        """Wait for a worker to finish a call, and go on with it."""
        if not self._workers:
            return
        tasks = [worker.task for worker in self._workers]
        done, _ = ray.wait(tasks, num_returns=1, timeout=_PATIENCE)
        for worker in [worker for worker in self._workers if worker.task in done]:
            self._workers.remove(worker)
            self._workers.append(worker)  # the others are heard before it is heard again
            try:
                yield from self._continue(worker)
            except RayTaskError as error:
                _log.warning("%s", error)
                self._fail(worker, InferenceError(f"its worker raised {error.cause!r}"))
            except RayError as error:
                self._handle_death(worker, error)

    def _continue(self, worker: _WorkerHandle) -> Iterator[None]:
        match worker.stage:
            case "starts":
                ray.get(worker.task)
                self._assign(worker)
            case "begins":
                yield from self._begin(worker, ray.get(worker.task))
            case "answers":
                yield from self._take(worker)
            case _:
                assert_never(worker.stage)

    def _assign(self, worker: _WorkerHandle) -> None:
        """Give a worker the next job of its model, or let it go."""
        worker.job = next((job for job in self._waiting if job.model is worker.model), None)
        if worker.job is None:
            self._stop(worker)
            return
        self._waiting.remove(worker.job)
        keys = [cell.info.key for cell in worker.job.cells.values()]
        try:
            spec = self._ledger.with_spent(worker.model.spec, worker.model.identity)
        except ModelError as error:
            worker.job.refuse(error)
            self._assign(worker)
            return
        worker.stage = "begins"
        worker.task = worker.handle.begin.remote(_sweep_of(self._sweep, worker.job, spec), keys)

    def _begin(self, worker: _WorkerHandle, found: Begun | IclGapError) -> Iterator[None]:
        job = _at_work(worker)
        if isinstance(found, IclGapError):
            job.refuse(found)
            self._assign(worker)
            return
        wanted = job.begin(*found)
        if job not in self._begun:
            self._begun.add(job)
            yield from [None] * (job.n_queries - len(wanted))
        worker.stage = "answers"
        worker.task = worker.handle.respond.options(num_returns="streaming").remote(wanted)

    def _take(self, worker: _WorkerHandle) -> Iterator[None]:
        job = _at_work(worker)
        try:
            rows = ray.get(next(worker.task))
        except StopIteration:
            self._assign(worker)
            return
        self._deaths.pop(job, None)
        paid = (record for _, record in rows)
        self._ledger.pay(worker.model.spec, worker.model.identity, paid)
        for id_, record in rows:
            job.store(id_, record)
            yield

    def _handle_death(self, worker: _WorkerHandle, error: RayError) -> None:
        """Let the job of a dead worker wait again, or refuse it after too many deaths."""
        charged = worker.job or next(
            (job for job in self._waiting if job.model is worker.model), None
        )
        if charged is not None:
            self._deaths[charged] += 1
            if self._deaths[charged] == _MOST_DEATHS:
                reason = " ".join(str(error).split())
                said = f"its worker died {_MOST_DEATHS} times without an answer: {reason}"
                worker.job = charged
                self._waiting = [job for job in self._waiting if job is not charged]
                self._fail(worker, InferenceError(said))
                return
        if worker.job is not None:
            self._waiting.insert(0, worker.job)
        self._stop(worker)

    def _fail(self, worker: _WorkerHandle, error: InferenceError) -> None:
        """Give up a worker and its job."""
        if worker.job is not None:
            worker.job.refuse(error)
        self._stop(worker)

    def _stop(self, worker: _WorkerHandle) -> None:
        self._workers.remove(worker)
        ray.kill(worker.handle)


def _nodes() -> list[dict[str, float]]:
    """Return the resources of each node of the cluster, in use or not."""
    nodes: Any = ray.nodes
    return [node["Resources"] for node in nodes() if node["Alive"]]


def _at_work(worker: _WorkerHandle) -> Job:
    if worker.job is None:
        raise ValueError("this worker has no job")
    return worker.job


def _sweep_of(sweep: SweepSpec, job: Job, spec: ModelSpec) -> SweepSpec:
    """Return the part of a sweep that a job is of, with its model: all that a worker needs."""
    entries = dict.fromkeys(cell.benchmark for cell in job.cells.values())
    update = {
        "datasets": tuple(benchmark.entry for benchmark in entries),
        "models": (spec,),
        "executor": "local",
    }
    return sweep.model_copy(update=update)

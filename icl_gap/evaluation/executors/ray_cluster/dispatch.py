"""Who does what: jobs are given to workers, and what comes back is stored."""

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

from icl_gap.errors import IclGapError, InferenceError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.executors.ray_cluster.demand import demand
from icl_gap.evaluation.executors.ray_cluster.worker import Begun, Worker
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.jobs import Job
from icl_gap.models import OpenAISpec

_MOST_DEATHS = 3
"""Of workers of one job in a row without an answer."""
_MOST_STARTING = 32
"""Workers that wait for room on the cluster."""
_PATIENCE = 1.0
"""Seconds between two looks at what else could be done."""
_VARIABLES = ("ICL_GAP_DATA", "ICL_GAP_CACHE")
"""Of the environment, that go with a worker. Secrets do not: nodes have their own."""
_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Hand:
    """A worker, as seen from here."""

    handle: Any
    model: SweepModel
    stage: Literal["starts", "begins", "answers"]
    task: Any
    """What is heard next of it: a reference, or a generator of references."""
    job: Job | None = None
    """What it is at work on; None while it starts."""


class Dispatch:
    """Gives jobs to workers until all are answered or refused.

    A worker holds one model and takes job after job of it. Where it dies, its job waits again,
    with what is then not yet answered.

    Args:
        sweep: The sweep that the jobs are of.
        jobs: What to answer.
    """

    def __init__(self, sweep: SweepSpec, jobs: Sequence[Job]) -> None:
        self._sweep = sweep
        self._waiting = list(jobs)
        self._hands: list[_Hand] = []
        self._begun: set[Job] = set()
        self._deaths: Counter[Job] = Counter()
        """Of each job's workers since its last answer."""
        self._worker: Any = ray.remote(Worker)

    def steps(self) -> Iterator[None]:
        """Do it all, a step for each request of cells that are not finished.

        However it ends, no worker is left.
        """
        try:
            while self._waiting or self._hands:
                self._hire()
                yield from self._hear()
        finally:
            while self._hands:
                self._let_go(self._hands[-1])

    def _hire(self) -> None:
        """Have a worker start for each job that waits.

        Ray starts them as there is room, on nodes that join the cluster too.
        """
        short = Counter(job.model for job in self._waiting)
        for model in short:
            if isinstance(model.spec, OpenAISpec):  # its limits are those of one process
                busy = any(hand.model is model and hand.job for hand in self._hands)
                short[model] = 0 if busy else 1
        for hand in [hand for hand in self._hands if hand.job is None]:
            short[hand.model] -= 1
            if short[hand.model] < 0:
                self._let_go(hand)
        starting = sum(hand.job is None for hand in self._hands)
        for model in islice(short.elements(), max(0, _MOST_STARTING - starting)):
            self._hands.append(self._started(model))

    def _started(self, model: SweepModel) -> _Hand:
        need = demand(model, _nodes())
        options = {"num_cpus": 1, "num_gpus": need.gpus, "memory": need.memory, "max_restarts": 0}
        variables = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
        handle = self._worker.options(**options).remote(str(Path.cwd()), variables)
        return _Hand(handle, model, "starts", handle.ready.remote())

    def _hear(self) -> Iterator[None]:
        """Wait for one worker to have done something, and see to it."""
        if not self._hands:
            return
        tasks = [hand.task for hand in self._hands]
        done, _ = ray.wait(tasks, num_returns=1, timeout=_PATIENCE)
        for hand in [hand for hand in self._hands if hand.task in done]:
            self._hands.remove(hand)
            self._hands.append(hand)  # the others are heard before it is heard again
            try:
                yield from self._go_on(hand)
            except RayTaskError as error:
                _log.warning("%s", error)
                self._fail(hand, InferenceError(f"its worker raised {error.cause!r}"))
            except RayError as error:
                self._bury(hand, error)

    def _go_on(self, hand: _Hand) -> Iterator[None]:
        match hand.stage:
            case "starts":
                ray.get(hand.task)
                self._assign(hand)
            case "begins":
                yield from self._begin(hand, ray.get(hand.task))
            case "answers":
                yield from self._take(hand)
            case _:
                assert_never(hand.stage)

    def _assign(self, hand: _Hand) -> None:
        """Give a worker the next job of its model, or let it go."""
        hand.job = next((job for job in self._waiting if job.model is hand.model), None)
        if hand.job is None:
            self._let_go(hand)
            return
        self._waiting.remove(hand.job)
        keys = [cell.info.key for cell in hand.job.cells.values()]
        hand.stage = "begins"
        hand.task = hand.handle.begin.remote(_part(self._sweep, hand.job), keys)

    def _begin(self, hand: _Hand, found: Begun | IclGapError) -> Iterator[None]:
        job = _at_work(hand)
        if isinstance(found, IclGapError):
            job.refuse(found)
            self._assign(hand)
            return
        wanted = job.begin(*found)
        if job not in self._begun:
            self._begun.add(job)
            yield from [None] * (job.n_queries - len(wanted))
        hand.stage = "answers"
        hand.task = hand.handle.respond.options(num_returns="streaming").remote(wanted)

    def _take(self, hand: _Hand) -> Iterator[None]:
        job = _at_work(hand)
        try:
            rows = ray.get(next(hand.task))
        except StopIteration:
            self._assign(hand)
            return
        self._deaths.pop(job, None)
        for id_, record in rows:
            job.store(id_, record)
            yield

    def _bury(self, hand: _Hand, error: RayError) -> None:
        """See to what a dead worker leaves."""
        charged = hand.job or next((job for job in self._waiting if job.model is hand.model), None)
        if charged is not None:
            self._deaths[charged] += 1
            if self._deaths[charged] == _MOST_DEATHS:
                reason = " ".join(str(error).split())
                said = f"its worker died {_MOST_DEATHS} times without an answer: {reason}"
                hand.job = charged
                self._waiting = [job for job in self._waiting if job is not charged]
                self._fail(hand, InferenceError(said))
                return
        if hand.job is not None:
            self._waiting.insert(0, hand.job)
        self._let_go(hand)

    def _fail(self, hand: _Hand, error: InferenceError) -> None:
        """Give up a worker, and what it is at work on."""
        if hand.job is not None:
            hand.job.refuse(error)
        self._let_go(hand)

    def _let_go(self, hand: _Hand) -> None:
        self._hands.remove(hand)
        ray.kill(hand.handle)


def _nodes() -> list[dict[str, float]]:
    """The resources of each node of the cluster, in use or not."""
    nodes: Any = ray.nodes
    return [node["Resources"] for node in nodes() if node["Alive"]]


def _at_work(hand: _Hand) -> Job:
    if hand.job is None:
        raise ValueError("this worker has no job")
    return hand.job


def _part(sweep: SweepSpec, job: Job) -> SweepSpec:
    """What of a sweep a job is of: all of it that a worker needs."""
    entries = dict.fromkeys(cell.benchmark for cell in job.cells.values())
    update = {
        "datasets": tuple(benchmark.entry for benchmark in entries),
        "models": (job.model.spec,),
        "executor": "local",
    }
    return sweep.model_copy(update=update)

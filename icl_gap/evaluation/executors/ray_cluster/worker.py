"""Worker: the process on a node that holds a model."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from icl_gap import models
from icl_gap.errors import IclGapError, InferenceError, ModelError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import Cell
from icl_gap.evaluation.planning import Plan, outline_sweep
from icl_gap.evaluation.provenance import collect_provenance
from icl_gap.evaluation.run_requests import run_requests
from icl_gap.models import Request, RequestId
from icl_gap.schema import ModelInfo, Record

T = TypeVar("T")
IdentifiedRecord = tuple[RequestId, Record]
"""A request's id, and its record."""
Begun = tuple[ModelInfo, dict[str, Any]]
"""The description of a loaded model, and the provenance of its records."""
_MOST_RECORDS = 200
"""Records of a chunk, so that it travels with the message and lies in no node's memory."""


class Worker:
    """Runs the requests of one model, job by job.

    Args:
        folder: Where relative paths of the sweep start, if there is such a folder on this node.
        variables: Of the environment, for those that this node does not have.
    """

    def __init__(self, folder: str, variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            os.environ.setdefault(name, value)
        with suppress(OSError):
            os.chdir(folder)
        self._model: models.Model | None = None
        self._plan: Plan | None = None
        self._requests: list[Request] = []
        self._cells: dict[str, Cell] = {}

    def ready(self) -> None:
        """Return as soon as the worker lives."""

    def begin(self, sweep: SweepSpec, keys: Sequence[str]) -> Begun | IclGapError:
        """Plan a job, and load its model if that is not there yet.

        Args:
            sweep: The part of the sweep that the job is of.
            keys: Of the job's cells.

        Returns:
            The description of the model and the provenance; or why the job cannot be run here.
        """
        try:
            self._plan = outline_sweep(sweep)
            cells = {cell.info.key: cell for cell in self._plan.cells}
            self._cells = {key: cells[key] for key in keys}
            self._requests = [
                request for cell in self._cells.values() for request in self._plan.requests(cell)
            ]
        except KeyError:
            return InferenceError(
                f"the model's files, the benchmark's or the package on node {platform.node()} are "
                "not those that the sweep was planned with"
            )
        except IclGapError as error:
            return InferenceError(f"cannot be planned on node {platform.node()}: {error}")
        try:
            if self._model is None:
                model = self._plan.cells[0].model
                self._model = models.load_model(model.spec, model.identity)
        except ModelError as error:
            return error
        return self._model.info, collect_provenance(self._model.info.device)

    def respond(self, wanted: Sequence[RequestId]) -> Iterator[list[IdentifiedRecord]]:
        """Run requests of the job that was begun.

        Args:
            wanted: Their ids.

        Yields:
            The records that are there, whenever there are some.
        """
        if self._model is None or self._plan is None:
            raise ValueError("no job was begun")
        yield from in_chunks(
            run_requests(self._requests, wanted, self._model, self._cells, self._plan.sweep)
        )


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


def in_chunks(items: Iterator[T]) -> Iterator[list[T]]:
    """Yield all items that are there, as soon as there are some.

    A thread goes on making items meanwhile: no item waits for those that take long to make.

    Args:
        items: What is made; an error of it comes after the last item.
    """
    made: SimpleQueue[T | _End] = SimpleQueue()

    def make() -> None:
        try:
            for item in items:
                made.put(item)
        except BaseException as error:  # noqa: BLE001 (raised again below)
            made.put(_End(error))
        else:
            made.put(_End())

    Thread(target=make, daemon=True).start()
    while True:
        batch = [made.get()]
        while not made.empty() and len(batch) < _MOST_RECORDS:
            batch.append(made.get())
        if there := [item for item in batch if not isinstance(item, _End)]:
            yield there
        match batch[-1]:
            case _End(None):
                return
            case _End(BaseException() as error):
                raise error
            case _:
                continue

"""Jobs: the cells of one model on one benchmark, computed together and stored as they come."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from icl_gap.errors import IclGapError, InputError
from icl_gap.evaluation.chat_scores import answer_rule
from icl_gap.evaluation.grid import Cell
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.models import RequestId
from icl_gap.results import CellFile, StoreWriter, cell_name, check_endpoints
from icl_gap.schema import CellInfo, ModelInfo, Record


class Job:
    """One model on one benchmark, and the files that its records go to.

    Args:
        cells: All cells of the two. In low precision a response may depend on the requests that are
            computed beside it, so those of finished cells are given to the model too.
        finished: The keys of cells that lack no record.
        folder: The results folder, open.

    Use it as a context manager, which closes its files.
    """

    def __init__(self, cells: Sequence[Cell], finished: Collection[str], folder: Path) -> None:
        self.cells = {cell.info.key: cell for cell in cells}
        """The cells by their keys."""
        self.pending = [cell for cell in cells if cell.info.key not in finished]
        self.failures: dict[str, list[str]] = {}
        """The reasons for which requests failed, by the name of their cell."""
        self.refusal: str | None = None
        """The reason for which the job as a whole ended early."""
        self._folder = folder
        self._described: ModelInfo | None = None
        self._writer: StoreWriter | None = None
        self._files = ExitStack()

    @property
    def model(self) -> SweepModel:
        """The model."""
        return next(iter(self.cells.values())).model

    @property
    def n_queries(self) -> int:
        """The number of requests of the cells that are not finished."""
        return sum(cell.info.n_queries for cell in self.pending)

    def begin(self, info: ModelInfo, provenance: dict[str, Any]) -> list[RequestId]:
        """Open the files, or go on with them.

        Args:
            info: The description of the loaded model.
            provenance: What the results are made with; see `collect_provenance`.

        Returns:
            The ids of the requests that have no record yet.

        Raises:
            OSError: A file cannot be written.
            StoreError: The cells have responses of another endpoint of the model's server.
        """
        if self._writer is None:
            if info.api is not None:
                check_endpoints(self._folder, (c.info for c in self.cells.values()), info.api)
            files = [
                CellFile(
                    _described(cell, info, provenance),
                    cell.benchmark.query_ids[cell.info.query_split],
                )
                for cell in self.pending
            ]
            self._writer = self._files.enter_context(StoreWriter(self._folder, files))
            self._described = info
        ids = [(cell.info.key, query) for cell in self.pending for query in _queries(cell)]
        return [id_ for id_ in ids if self._writer.wants(*id_)]

    def describe(self, info: ModelInfo) -> None:
        """Describe the model again in the cells that lack records, if its description has changed.

        Args:
            info: Its description now: its server may refuse what it has taken before.

        Raises:
            OSError: A file cannot be written.
        """
        if self._writer is None:
            raise ValueError("the job has not begun")
        if info != self._described:
            self._described = info
            self._writer.describe({c.info.key: _request_form(c, info) for c in self.pending})

    def store(self, id_: RequestId, record: Record) -> None:
        """Store a record, once the job has begun.

        Args:
            id_: The id of its request.
            record: The record.

        Raises:
            OSError: A file cannot be written.
        """
        if self._writer is None:
            raise ValueError("the job has not begun")
        key, _ = id_
        self._writer.append(key, record)
        if record.status == "failed":
            name = cell_name(self.cells[key].info)
            self.failures.setdefault(name, []).append(str(record.reason))

    def refuse(self, error: IclGapError) -> None:
        """Give up the requests that have no record yet.

        Args:
            error: The reason.
        """
        placed = error.within(self.model.place) if isinstance(error, InputError) else error
        self.refusal = str(placed)

    def incomplete(self) -> int:
        """Return the number of cells that lack records."""
        if self._writer is None:
            return len(self.pending)
        wants = self._writer.wants
        return sum(
            any(wants(cell.info.key, query) for query in _queries(cell)) for cell in self.pending
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def _queries(cell: Cell) -> Sequence[str]:
    """Return the ids of a cell's queries, in the order of its requests."""
    return cell.benchmark.query_ids[cell.info.query_split][: cell.info.n_queries]


def _described(cell: Cell, info: ModelInfo, provenance: dict[str, Any]) -> CellInfo:
    """Return the cell's description, with what is known once the weights are loaded."""
    return replace(
        cell.info,
        n_params=info.n_params,
        n_params_non_embedding=info.n_params_non_embedding,
        size_source=info.size_source,
        training_tokens=info.training_tokens,
        provenance={
            **provenance,
            "shares_prefixes": info.shares_prefixes,
            **_request_form(cell, info),
        },
    )


def _request_form(cell: Cell, info: ModelInfo) -> dict[str, Any]:
    """Return in which form a model gets its requests, and how their answers are found."""
    if info.api is None and not info.chat:
        return {}
    found: dict[str, Any] = {"api": info.api or "chat"}
    template = cell.model.identity.chat_template
    if template is not None and not template.takes_system:
        found["system"] = "in the first message of the user"
    if info.left_out:
        found["left_out"] = list(info.left_out)
    if info.prompt_logprobs is not None:
        found["prompt_logprobs"] = info.prompt_logprobs
    if info.chat:
        found["answer"], _ = answer_rule(cell.model.spec)
    return found

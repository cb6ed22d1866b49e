"""Units of work: what is computed together, and stored as it comes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from icl_gap.errors import IclGapError, InputError
from icl_gap.evaluation.planning import Cell, SweepModel
from icl_gap.models import RequestId
from icl_gap.results import CellFile, StoreWriter, cell_name
from icl_gap.schema import CellInfo, ModelInfo, Record


class Job:
    """One model on one benchmark, and the files that its records go to.

    Args:
        cells: All cells of the two. What is asked beside a request may change its answer in low
            precision, so those that are finished are asked for too, and not answered.
        finished: The keys of cells that need nothing more.
        folder: The results folder, open.

    Use it as a context manager, which closes its files.
    """

    def __init__(self, cells: Sequence[Cell], finished: Collection[str], folder: Path) -> None:
        self.cells = cells
        self.by_key = {cell.info.key: cell for cell in cells}
        self.pending = [cell for cell in cells if cell.info.key not in finished]
        self.failures: dict[str, list[str]] = {}
        """Why requests failed, by the name of their cell."""
        self.refusal: str | None = None
        """Why the job as a whole came to an end before its own."""
        self._folder = folder
        self._writer: StoreWriter | None = None
        self._files = ExitStack()

    @property
    def model(self) -> SweepModel:
        """The model."""
        return self.cells[0].model

    @property
    def n_queries(self) -> int:
        """How many requests the cells have that are not finished."""
        return sum(cell.info.n_queries for cell in self.pending)

    def begin(self, info: ModelInfo, made_with: dict[str, Any]) -> list[RequestId]:
        """Open the files, or go on with them.

        Args:
            info: What is known of the model now that its weights are loaded.
            made_with: What the answers are made with; see `provenance`.

        Returns:
            The ids of the requests that have no response yet.

        Raises:
            OSError: A file cannot be written.
        """
        if self._writer is None:
            sheets = [
                CellFile(
                    _described(cell, info, made_with),
                    cell.benchmark.query_ids[cell.info.query_split],
                )
                for cell in self.pending
            ]
            self._writer = self._files.enter_context(StoreWriter(self._folder, sheets))
        ids = [(cell.info.key, query) for cell in self.pending for query in _queries(cell)]
        return [id_ for id_ in ids if self._writer.wants(*id_)]

    def take(self, id_: RequestId, record: Record) -> None:
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
            name = cell_name(self.by_key[key].info)
            self.failures.setdefault(name, []).append(str(record.reason))

    def refuse(self, error: IclGapError) -> None:
        """Give up what has no answer yet.

        Args:
            error: Why.
        """
        told = error.within(self.model.place) if isinstance(error, InputError) else error
        self.refusal = str(told)

    def unanswered(self) -> int:
        """How many cells have requests without an answer."""
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


def _described(cell: Cell, info: ModelInfo, made_with: dict[str, Any]) -> CellInfo:
    """The cell's description, with what is known once the weights are loaded."""
    return replace(
        cell.info,
        n_params=info.n_params,
        n_params_non_embedding=info.n_params_non_embedding,
        size_source=info.size_source,
        training_tokens=info.training_tokens,
        provenance={**made_with, "shares_prefixes": info.shares_prefixes},
    )

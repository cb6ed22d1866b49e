"""Read results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from icl_gap.html_table import html_table
from icl_gap.progress import Progress, no_progress
from icl_gap.results.cell_files import (
    KEY_LENGTH,
    CellState,
    read_cell,
    read_header,
    settled_files,
)
from icl_gap.results.manifest import read_manifest
from icl_gap.schema import CellInfo, CellResult
from icl_gap.text import brief

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Results(Sequence[CellResult]):
    """The settled cells of a results folder, as a sequence.

    A cell is settled when each of its requests is scored, skipped or failed. Its records are read
    each time the cell is accessed, because all of them may not fit in memory.
    """

    folder: Path
    sweep: Mapping[str, Any]
    """The sweep as run."""
    infos: tuple[CellInfo, ...]
    """Descriptions of the settled cells, in the order of the grid."""
    paths: tuple[Path, ...]
    """Their files."""
    unfinished: tuple[str, ...]
    """Names of the cells that are not settled."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the settled cells in which some requests failed."""
        return tuple(
            path.name.removesuffix(CellState.FAILED)
            for n, path in enumerate(self.paths)
            if path.name.endswith(CellState.FAILED)
            and any(record.status == "failed" for record in self[n].records)
        )

    def __len__(self) -> int:
        return len(self.infos)

    @overload
    def __getitem__(self, index: int) -> CellResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CellResult, ...]: ...
    def __getitem__(self, index: int | slice) -> CellResult | tuple[CellResult, ...]:
        if isinstance(index, slice):
            return tuple(self[n] for n in range(*index.indices(len(self))))
        info = self.infos[index]
        return CellResult(info, read_cell(self.paths[index]).records[: info.n_queries])

    def frame(
        self, columns: Collection[str] | None = None, *, progress: Progress = no_progress
    ) -> pd.DataFrame:
        """Read all cells into a frame; `icl_gap.load_results` lists its columns.

        Args:
            columns: Columns of requests to read, beside those of cells; all by default.
            progress: Shows progress.

        Raises:
            StoreError: A file is damaged; the error names it.
        """
        from icl_gap.results.frame import read_frame

        paths = progress(self.paths, "reading results", len(self.paths))
        return read_frame(self.infos, paths, columns)

    def scored_by_model(self, *columns: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield each model's name and its scored requests, in the order of the grid.

        Args:
            columns: Columns of requests to read, beside those of cells.

        Raises:
            StoreError: A file is damaged; the error names it.
        """
        if self.infos:
            frame = self.frame(("status", *columns))
            scored = frame[frame["status"] == "scored"]
            for model, rows in scored.groupby("model", observed=True, sort=False):
                yield str(model), rows

    def __repr__(self) -> str:
        sizes = f"{len(self):,} cells, {len(self.unfinished):,} not finished"
        return brief("Results", sizes, str(self.folder))

    def _repr_html_(self) -> str:
        groups: dict[tuple[str, str], list[CellInfo]] = {}
        for info in self.infos:
            groups.setdefault((info.model, f"{info.dataset}/{info.split}"), []).append(info)
        rows = [
            {"model": model, "benchmark": benchmark, "cells": f"{len(some):,}"}
            | {"requests": f"{sum(info.n_queries for info in some):,}"}
            for (model, benchmark), some in groups.items()
        ]
        sizes = f"{len(self):,} cells, {len(self.unfinished):,} not finished"
        return html_table(f"{self.folder}: {sizes}", rows, left=("model", "benchmark"))


def open_results(folder: str | Path | Results) -> Results:
    """Open a results folder.

    Args:
        folder: A folder that `icl-gap run` wrote. Opened results are returned as they are.

    Raises:
        StoreError: The folder holds no sweep, or a file has a schema version that is not read; the
            error names it. A damaged record is found once its cell is read.
    """
    if isinstance(folder, Results):
        return folder
    folder = Path(folder)
    manifest = read_manifest(folder)
    files = settled_files(folder)
    infos, paths, unfinished = [], [], []
    for cell in manifest.cells:
        path = files.get(cell.key[:KEY_LENGTH])
        if path is not None:
            header = read_header(path)
            info = cell.described(header)
            if header.covers(info.n_queries):
                infos.append(replace(info, n_complete=None))
                paths.append(path)
                continue
        unfinished.append(cell.name)
    return Results(folder, manifest.sweep, tuple(infos), tuple(paths), tuple(unfinished))


def load_results(folder: str | Path) -> pd.DataFrame:
    """Read results into a pandas frame, one row a request.

    Columns of the cell: `cell` (its key), `model`, `family`, `n_params`, `n_params_non_embedding`,
    `size_source`, `training_tokens`, `training_seed`, `revision`, `trained`, `dataset`, `split`,
    `partial`, `query_split`, `condition`, `shots`, `seed`, `selection`. Columns of the request: the
    fields of `icl_gap.schema.Record`; its `shots` are `shots_effective`, its `divergence` is three
    columns (without its `text`), its `usage` four, its `chat` five. Lone surrogates in texts become
    escapes.

    Args:
        folder: A folder that `icl-gap run` wrote.

    Returns:
        The settled cells, in the order of the grid; `analyze` and `plot` take the frame, whole or
        any rows of it.

    Raises:
        StoreError: The folder holds no sweep, a file has a schema version that is not read, or a
            file is damaged; the error names it.
    """
    return open_results(folder).frame()

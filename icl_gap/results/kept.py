"""The part of a sweep that a results folder holds already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from icl_gap.files import check_folder, read_regular
from icl_gap.results.cell_files import (
    KEY_LENGTH,
    CellState,
    cell_files,
    is_failed,
    is_finished,
)
from icl_gap.results.locking import store_errors
from icl_gap.results.manifest import check_version
from icl_gap.schema import CellInfo


@dataclass(frozen=True, slots=True)
class Kept:
    """Counts of what is done of a sweep."""

    cells: int
    """Number of cells of the sweep."""
    finished: frozenset[str]
    """Keys of the cells whose files say that they are finished."""
    requests: int
    """Number of requests of the others."""
    answered: int
    """Number of these that have a record which is no failure."""

    def __str__(self) -> str:
        whole = f"{len(self.finished):,} of {self.cells:,} cells whole"
        return f"{whole}, {self.requests - self.answered:,} requests to ask"


def find_kept(folder: Path, cells: Iterable[CellInfo]) -> Kept:
    """Count what a results folder holds of some cells.

    Nothing is written. Headers and failures are read, and no record is checked: `open_store` finds
    out which files are damaged.

    Args:
        folder: The results folder, which need not exist.
        cells: The cells.

    Raises:
        StoreError: Two files hold one cell, the path is not a folder, or the folder holds results
            of an earlier version of the schema.
    """
    infos = list(cells)
    with store_errors(folder):
        check_folder(folder, follow=True)
    check_version(folder)
    finished = cell_files(folder, CellState.FINISHED)
    whole = frozenset(info.key for info in infos if is_finished(info, finished))
    others = [info for info in infos if info.key not in whole]
    begun = finished | cell_files(folder, CellState.FAILED) | cell_files(folder, CellState.PARTIAL)
    return Kept(
        cells=len(infos),
        finished=whole,
        requests=sum(info.n_queries for info in others),
        answered=sum(_answered(info, begun) for info in others),
    )


def _answered(info: CellInfo, begun: Mapping[str, Path]) -> int:
    """Count the records of a cell that is not whole, as far as the sweep has queries for them."""
    path = begun.get(info.key[:KEY_LENGTH])
    try:
        lines = [] if path is None else read_regular(path).splitlines(keepends=True)[1:]
    except OSError:
        return 0
    good = sum(line.endswith(b"\n") and not is_failed(line) for line in lines)
    return min(good, info.n_queries)

"""Read results."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from icl_gap.errors import StoreError
from icl_gap.records import CellInfo, CellResult
from icl_gap.store.files import (
    KEY_LENGTH,
    MANIFEST,
    Manifest,
    adapter,
    check_version,
    finished_files,
    read_cell,
    read_info,
)
from icl_gap.track import Track, untracked

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Results(Sequence[CellResult]):
    """What a results folder holds of its sweep: a sequence of its finished cells.

    A cell's records are read each time that it is asked for, as all of them may not fit in memory.
    """

    folder: Path
    sweep: Mapping[str, Any]
    """The sweep as run."""
    infos: tuple[CellInfo, ...]
    """What the finished cells are, in the order of the grid."""
    paths: tuple[Path, ...]
    """Their files."""
    unfinished: tuple[str, ...]
    """The names of the cells that are not."""

    def __len__(self) -> int:
        return len(self.infos)

    @overload
    def __getitem__(self, index: int) -> CellResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CellResult, ...]: ...
    def __getitem__(self, index: int | slice) -> CellResult | tuple[CellResult, ...]:
        if isinstance(index, slice):
            return tuple(self[n] for n in range(*index.indices(len(self))))
        return CellResult(self.infos[index], read_cell(self.paths[index]).records)

    def frame(
        self, columns: Collection[str] | None = None, *, track: Track = untracked
    ) -> pd.DataFrame:
        """All cells as a frame; `icl_gap.load_results` tells its columns.

        Args:
            columns: Which of the requests to read, beside those of the cells; all by default.
            track: Shows progress.

        Raises:
            StoreError: A file is damaged; the error names it.
        """
        from icl_gap.store.frame import read_frame

        paths = track(self.paths, "reading results", len(self.paths))
        return read_frame(self.infos, paths, columns)


def open_results(folder: str | Path) -> Results:
    """Open a results folder.

    Args:
        folder: What `icl-gap run` wrote.

    Raises:
        StoreError: The folder holds no sweep, or a file was written in another form; the error
            names it. A damaged line is found once its cell is read.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / MANIFEST)
    files = finished_files(folder)
    infos, paths, unfinished = [], [], []
    for entry in manifest.cells:
        path = files.get(entry.key[:KEY_LENGTH])
        if path is None:
            unfinished.append(entry.name)
        else:
            infos.append(replace(read_info(path), model=entry.model, family=entry.family))
            paths.append(path)
    return Results(folder, manifest.sweep, tuple(infos), tuple(paths), tuple(unfinished))


def load_results(folder: str | Path) -> pd.DataFrame:
    """Read results into a pandas frame, a row for each request.

    Columns that tell the cell: `cell` (its key), `model`, `family`, `n_params`,
    `n_params_non_embedding`, `size_source`, `training_tokens`, `trained`, `dataset`, `split`,
    `partial`, `query_split`, `condition`, `shots`, `seed`, `selection`. Columns of the request: the
    fields of `icl_gap.records.Record`; its `shots` stand in `shots_effective`, and its `divergence`
    in three columns. Lone surrogates in texts are written out as escapes.

    Args:
        folder: What `icl-gap run` wrote.

    Returns:
        The finished cells, in the order of the grid; `analyze` and `plot` take the frame, whole or
        any rows of it.

    Raises:
        StoreError: The folder holds no sweep, a file was written in another form, or a file is
            damaged; the error names it.
    """
    return open_results(folder).frame()


def _read_manifest(path: Path) -> Manifest:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        check_version(path, value)
        manifest: Manifest = adapter(Manifest).validate_python(value)
    except FileNotFoundError:
        raise StoreError(
            f"{path.parent}: no results here ({MANIFEST} is missing); "
            "name a folder that `icl-gap run` wrote"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: damaged; run the sweep again, which writes it anew") from error
    return manifest

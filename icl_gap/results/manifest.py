"""The manifest of a results folder: its sweep, and the names, labels and states of its cells."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from icl_gap.errors import StoreError
from icl_gap.files import write_atomically
from icl_gap.results.cell_files import (
    KEY_LENGTH,
    SchemaVersionError,
    fields_of,
    settled_files,
    validator,
)
from icl_gap.results.checksummed import dump_checksummed, read_checksummed
from icl_gap.schema import SCHEMA_VERSION, CellInfo, SizeSource

MANIFEST = "sweep.json"


@dataclass(frozen=True, slots=True)
class CellLabels:
    """Descriptions of a cell's model on which no result depends; those of the last run count."""

    model: str
    family: str
    n_params: int | None
    """None, as the next two, where only the weights say."""
    n_params_non_embedding: int | None
    training_tokens: int | None
    size_source: SizeSource
    training_seed: int | None = None
    revision: str | None = None

    def applied_to(self, info: CellInfo) -> CellInfo:
        """Return a cell's description with these labels."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.n_params is None:
            del values["size_source"]
        return replace(info, **{name: value for name, value in values.items() if value is not None})


@dataclass(frozen=True, slots=True)
class ManifestCell:
    """A cell in the manifest."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    name: str
    labels: CellLabels
    n_queries: int | None = None
    """Number of its queries that the sweep has. Its file may hold more; in version 4 it never did,
    and this is None."""

    def described(self, info: CellInfo) -> CellInfo:
        """Return the description in the header of the cell's file as it is under the sweep."""
        n_queries = info.n_queries if self.n_queries is None else self.n_queries
        return replace(self.labels.applied_to(info), n_queries=n_queries)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of `sweep.json`."""

    schema_version: int
    sweep: dict[str, Any]
    cells: tuple[ManifestCell, ...]
    settled: tuple[Annotated[str, Field(pattern=rf"^[0-9a-f]{{{KEY_LENGTH}}}$")], ...] = ()
    """Starts of the keys of the cells that were settled when the folder was last closed."""


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a results folder.

    Raises:
        StoreError: It is missing or damaged, or its schema version is not read.
    """
    path = folder / MANIFEST
    try:
        manifest: Manifest = validator(Manifest).validate_python(read_checksummed(path))
    except FileNotFoundError:
        raise StoreError(
            f"{folder}: no results here ({MANIFEST} is missing); "
            "name a folder that `icl-gap run` wrote"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except SchemaVersionError as error:
        raise StoreError(f"{path}: {error}") from error
    except ValueError as error:
        raise StoreError(f"{path}: damaged; run the sweep again, which writes it anew") from error
    return manifest


def check_version(folder: Path) -> None:
    """Refuse to write to a folder whose cells have the keys of an earlier version.

    Raises:
        StoreError: The folder holds results of such a version.
    """
    try:
        version = read_manifest(folder).schema_version
    except StoreError:  # there are no results, or a run sets the manifest aside
        return
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{folder}: these results are of schema version {version}, and their cells have other "
            f"keys than those of version {SCHEMA_VERSION}, so a run cannot go on with them. "
            "Choose another folder with `--out`, or move this one away; `icl-gap analyze`, `plot` "
            "and `report` read it as it is"
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a results folder.

    Raises:
        OSError: It cannot be written.
    """
    write_atomically(folder / MANIFEST, [dump_checksummed(fields_of(manifest))])


def write_settled(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a results folder, with the cells that are settled now.

    Raises:
        OSError: It cannot be written.
        StoreError: Two files hold one cell.
    """
    there = settled_files(folder)
    keys = [entry.key[:KEY_LENGTH] for entry in manifest.cells]
    write_manifest(folder, replace(manifest, settled=tuple(key for key in keys if key in there)))

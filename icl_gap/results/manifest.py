"""The manifest of a results folder: which sweep it holds, and what is said of its cells."""

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
    """What is said of a cell's model and no result depends on: the last run's word counts."""

    model: str
    family: str
    n_params: int | None
    """None, as of those that follow, where only the weights tell."""
    n_params_non_embedding: int | None
    training_tokens: int | None
    size_source: SizeSource

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
    n_queries: int
    """Queries that the sweep has of it; its file may hold more."""
    labels: CellLabels


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `sweep.json` holds."""

    schema_version: int
    sweep: dict[str, Any]
    cells: tuple[ManifestCell, ...]
    settled: tuple[Annotated[str, Field(pattern=rf"^[0-9a-f]{{{KEY_LENGTH}}}$")], ...] = ()
    """The cells that were settled when the folder was last closed, by the start of their keys."""


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a results folder.

    Raises:
        StoreError: It is missing, damaged, or written in another form.
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
    """Write the manifest of a results folder, and which of its cells are settled now.

    Raises:
        OSError: It cannot be written.
        StoreError: Two files hold one cell.
    """
    there = settled_files(folder)
    keys = [entry.key[:KEY_LENGTH] for entry in manifest.cells]
    write_manifest(folder, replace(manifest, settled=tuple(key for key in keys if key in there)))

"""The manifest of a results folder: which sweep it holds, and what is said of its cells."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from icl_gap.errors import StoreError
from icl_gap.records import SCHEMA_VERSION, CellInfo, SizeSource
from icl_gap.store.files import DamageError, OtherFormError, adapter, compact

MANIFEST = "sweep.json"


@dataclass(frozen=True, slots=True)
class Labels:
    """What is said of a cell's model and no result depends on: the last run's word counts."""

    model: str
    family: str
    n_params: int | None
    """None, as of those that follow, where only the weights tell."""
    n_params_non_embedding: int | None
    training_tokens: int | None
    size_source: SizeSource

    def of(self, info: CellInfo) -> CellInfo:
        """A cell's description with these labels."""
        told = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.n_params is None:
            del told["size_source"]
        return replace(info, **{name: value for name, value in told.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell in the manifest."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    name: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `sweep.json` holds."""

    schema_version: int
    sweep: dict[str, Any]
    cells: tuple[Entry, ...]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a results folder.

    Raises:
        StoreError: It is missing, damaged, or written in another form.
    """
    path = folder / MANIFEST
    try:
        manifest = _manifest(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise StoreError(
            f"{folder}: no results here ({MANIFEST} is missing); "
            "name a folder that `icl-gap run` wrote"
        ) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    except OtherFormError as error:
        raise StoreError(f"{path}: {error}") from error
    except (ValueError, AttributeError, RecursionError) as error:
        raise StoreError(f"{path}: damaged; run the sweep again, which writes it anew") from error
    return manifest


def _manifest(value: Any) -> Manifest:
    version = value.get("schema_version")
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise OtherFormError(version)
    if value.pop("crc", None) != _manifest_seal(value):
        raise DamageError("not as it was written")
    manifest: Manifest = adapter(Manifest).validate_python(value)
    return manifest


def manifest_text(manifest: Manifest) -> str:
    """What `sweep.json` says, with a checksum."""
    value = json.loads(compact(manifest))
    return json.dumps({**value, "crc": _manifest_seal(value)}, indent=1) + "\n"


def _manifest_seal(value: Any) -> str:
    return f"{zlib.crc32(compact(value).encode()):08x}"

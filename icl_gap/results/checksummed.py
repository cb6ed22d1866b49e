"""JSON files with a checksum: the manifest, and what else a run keeps beside the cells."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from icl_gap.files import read_regular
from icl_gap.results.cell_files import DamageError, SchemaVersionError, dump_json
from icl_gap.results.migration import READABLE
from icl_gap.schema import SCHEMA_VERSION

PRECISION = "precision.json"
"""Name of the file of requests repeated in float32; see `icl_gap.evaluation.precision`."""
REPEATS = "repeats.json"
"""Name of the file of requests asked several times; see `icl_gap.evaluation.repeats`."""
SPENDING = "spending.json"
"""Name of the file of what models have cost; see `icl_gap.evaluation.spending`."""
CHECKSUMMED = frozenset({PRECISION, REPEATS, SPENDING})
"""Names of the files beside cells and manifest that have a checksum."""


def dump_checksummed(value: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file that holds a JSON object, its schema version and a checksum.

    Args:
        value: The object, of plain values and dataclasses.
    """
    plain = {"schema_version": SCHEMA_VERSION, **json.loads(dump_json(value))}
    crc = f"{zlib.crc32(dump_json(plain).encode()):08x}"
    return (json.dumps({**plain, "crc": crc}, indent=1) + "\n").encode()


def read_checksummed(path: Path) -> dict[str, Any]:
    """Read the object that `dump_checksummed` wrote to a file, without its checksum.

    Raises:
        OSError: The file cannot be read.
        SchemaVersionError: Its schema version is not read.
        DamageError: It is not as it was written, to the byte.
    """
    content = read_regular(path)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamageError("not JSON") from error
    version = value.get("schema_version") if isinstance(value, dict) else None
    if isinstance(version, int) and version not in READABLE:
        raise SchemaVersionError(version)
    if not isinstance(value, dict) or not _is_whole(value, content):
        raise DamageError("not as it was written")
    return value


def _is_whole(value: dict[str, Any], content: bytes) -> bool:
    """Remove the checksum from a value, and return whether the file holds both to the byte."""
    value.pop("crc", None)
    try:
        return dump_checksummed(value) == content
    except (ValueError, RecursionError):  # a value that is never written
        return False

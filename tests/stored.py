"""A results folder with one cell, for tests of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from icl_gap.results import CellFile, StoreWriter, cell_name, open_store
from icl_gap.results.cell_files import with_checksum
from icl_gap.schema import CellInfo, Record

INFO = CellInfo(
    key="ab" * 32,
    model="a/model (x)",
    family="opt",
    n_params=10,
    n_params_non_embedding=5,
    trained=True,
    dataset="scan",
    split="mcd1",
    partial=None,
    query_split="test",
    condition="id",
    shots=3,
    seed=0,
    n_queries=3,
    spec={"a": [1, {"b": None}]},
)
SOME = [
    Record(
        query_id=query_id,
        exemplar_ids=("a", "b", "c"),
        shots=3,
        coverage=1.0,
        prompt_sha256="0" * 64,
        prompt_tokens=None,
        status="skipped",
    )
    for query_id in "qrs"
]


def fresh(place: Path) -> Path:
    """A new results folder in a place, whose one cell was not begun."""
    folder = place / str(len(list(place.iterdir())))
    with open_store(folder, {"name": "x"}, [INFO]) as finished:
        assert not finished
    return folder


def finished_keys(folder: Path) -> frozenset[str]:
    """What a run that opens the folder finds finished."""
    with open_store(folder, {"name": "x"}, [INFO]) as finished:
        return finished


def write(folder: Path, some: Sequence[Record], *, upto: int | None = None) -> int:
    """Write the records that are wanted, as a run does, and say how many these were.

    Args:
        folder: The results folder.
        some: One for each query.
        upto: Stop before this one.
    """
    order = [record.query_id for record in some]
    with (
        open_store(folder, {"name": "x"}, [INFO]) as finished,
        StoreWriter(folder, [] if finished else [CellFile(INFO, order)]) as writer,
    ):
        wanted = [each for each in some[:upto] if writer.wants(INFO.key, each.query_id)]
        for record in wanted:
            writer.append(INFO.key, record)
    return len(wanted)


def path_of(folder: Path, suffix: str = ".jsonl") -> Path:
    """The cell's file."""
    return folder / "cells" / f"{cell_name(INFO)}{suffix}"


def forged(content: bytes, **changes: object) -> bytes:
    """A cell's file whose header says something else, with a checksum that holds."""
    head, *lines = content.splitlines(keepends=True)
    value = json.loads(head)
    del value["crc"]
    sealed = with_checksum(json.dumps({**value, **changes}, separators=(",", ":")), INFO.key)
    return b"".join((f"{sealed}\n".encode(), *lines))

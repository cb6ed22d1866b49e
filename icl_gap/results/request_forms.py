"""Form of the requests to a server, which the cells of one model on one benchmark share.

An entry that leaves its endpoint open (`api: auto`) has one key, whichever endpoint is found. The
provenance of a cell names it, and here two of them are kept apart: their responses differ in more
than the condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from icl_gap.errors import StoreError
from icl_gap.results.cell_files import (
    KEY_LENGTH,
    CellState,
    cell_files,
    is_failed,
    read_header,
)
from icl_gap.results.verifying import CellCheck, check_cell
from icl_gap.schema import CellInfo, ServerApi

_FORM = ("api", "left_out", "prompt_logprobs")
"""Keys of the provenance that describe requests to a server."""


def check_endpoints(folder: Path, cells: Iterable[CellInfo], api: ServerApi) -> None:
    """Check that cells with responses have them from one endpoint of a server.

    Args:
        folder: The results folder.
        cells: The cells of one model on one benchmark.
        api: Endpoint that the server has now.

    Raises:
        StoreError: A cell has responses of another endpoint.
    """
    files = [cell_files(folder, state) for state in CellState]
    paths = [
        found[key] for key in (c.key[:KEY_LENGTH] for c in cells) for found in files if key in found
    ]
    for path in paths:
        try:
            before = _endpoint(read_header(path))
        except StoreError:  # it is damaged, and written again
            continue
        if before != api and _has_response(check_cell(path)):
            raise StoreError(
                f"{path}: its responses are of `api: {before}`, and the server now has "
                f"`api: {api}`; `api: chat` in the model's entry gives the chat cells of its own; "
                "for completions, run the sweep into another folder"
            )


class Endpoints:
    """Endpoints of the models whose cells are merged."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[str, Path]] = {}

    def add(self, path: Path, found: CellCheck) -> None:
        """Check that a file has responses of the endpoint that the model's other files have.

        Args:
            path: The file.
            found: Its content.

        Raises:
            StoreError: Its responses are of another endpoint.
        """
        info = found.info
        if info is None or not _has_response(found):
            return
        here = _endpoint(info)
        label = (info.model, info.dataset, info.split)
        before, first = self._found.setdefault(label, (here, path))
        if before != here:
            raise StoreError(
                f"{path}: its responses are of `api: {here}`, and those of {first} of "
                f"`api: {before}`; run one of the two again with `api: {before}` or `api: {here}`"
            )


def same_form(one: CellInfo, other: CellInfo) -> bool:
    """Return whether the provenance of two cells describes requests in the same way."""
    return all(one.provenance.get(name) == other.provenance.get(name) for name in _FORM)


def continued(now: CellInfo, before: CellInfo) -> CellInfo:
    """Return a cell's description with the parameters that its earlier requests lacked too."""
    lacked: list[str] = before.provenance.get("left_out", [])
    return with_provenance(now, {"left_out": lacked}) if lacked else now


def with_provenance(info: CellInfo, more: Mapping[str, Any]) -> CellInfo:
    """Return a cell's description with more provenance, and with all parameters that were left out.

    Args:
        info: The description.
        more: What replaces or adds to its provenance.
    """
    known: list[str] = info.provenance.get("left_out", [])
    provenance = {**info.provenance, **more}
    if left_out := [*dict.fromkeys([*known, *more.get("left_out", [])])]:
        provenance["left_out"] = left_out
    return replace(info, provenance=provenance)


def _endpoint(info: CellInfo) -> str:
    return str(info.provenance.get("api", "completions"))


def _has_response(found: CellCheck) -> bool:
    return not all(is_failed(line) for line in found.records)

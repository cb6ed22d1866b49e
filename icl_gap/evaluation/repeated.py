"""Requests that are run more than once: their choice, their outcomes, and the file of these."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter, ValidationError

from icl_gap.errors import StoreError
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.planning import Plan
from icl_gap.files import write_atomically
from icl_gap.models import Request, RequestId
from icl_gap.results import (
    DamageError,
    Results,
    dump_checksummed,
    read_checksummed,
    set_aside,
    store_errors,
)
from icl_gap.schema import Condition, Record

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_log = logging.getLogger(__name__)
T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class RepeatedRequest:
    """A request that was run several times: first as in the sweep, then again."""

    cell: str
    """The key of its cell."""
    query_id: str
    condition: Condition
    raw: tuple[bool, ...]
    """Raw match, each time; of a chat, that of the extracted answer."""
    canonical: tuple[bool | None, ...]
    strict: tuple[bool, ...] | None = None
    """Raw match of the whole text of a chat, each time; None for a completion."""

    @property
    def id(self) -> RequestId:
        """The id of the request."""
        return self.cell, self.query_id


def repeated_request(
    request: Request, condition: Condition, records: Sequence[Record]
) -> RepeatedRequest:
    """Return what the records of one request say, in their order.

    Args:
        request: The request.
        condition: The condition of its cell.
        records: Its records, all scored; the first is that of the sweep.
    """
    chats = [record.chat for record in records if record.chat is not None]
    return RepeatedRequest(
        cell=request.cell,
        query_id=request.query_id,
        condition=condition,
        raw=tuple(record.scores.get("raw", False) for record in records),
        canonical=tuple(record.scores.get("canonical") for record in records),
        strict=tuple(chat.strict_raw for chat in chats) if len(chats) == len(records) else None,
    )


def gap_of_repeated(requests: Sequence[RepeatedRequest], which: int) -> float | None:
    """Return the relative gap of some requests as they came out one of the times.

    Args:
        requests: The requests.
        which: The time, from 0 for the sweep.

    Returns:
        The gap; None where A_id is 0 or a condition is missing.
    """
    hits: defaultdict[str, list[bool]] = defaultdict(list)
    for each in requests:
        hits[each.condition].append(each.raw[which])
    if not hits["id"] or not hits["ood"] or not any(hits["id"]):
        return None
    a_id, a_ood = (sum(hits[c]) / len(hits[c]) for c in ("id", "ood"))
    return (a_id - a_ood) / a_id


def gap_text(gap: float | None) -> str:
    """Return a gap in three decimals, or `undefined`."""
    return "undefined" if gap is None else f"{gap:.3f}"


def sample_requests(
    plan: Plan, model: SweepModel, most: int, among: Container[RequestId] | None = None
) -> list[Request]:
    """Choose requests of a model by a hash, the conditions of a query together.

    Args:
        plan: The sweep.
        model: The model.
        most: The most requests.
        among: Ids to choose from; None for all.
    """
    groups: defaultdict[tuple[object, ...], list[Request]] = defaultdict(list)
    for cell in plan.cells:
        if cell.model is model:
            info = cell.info
            for request in plan.requests(cell):
                if request.fits:
                    query = request.query_id
                    at = (info.dataset, info.split, info.query_split, info.shots, info.seed, query)
                    groups[at].append(request)
    order = sorted(groups, key=lambda at: hashlib.blake2b(repr(at).encode()).digest())
    together = [request for at in order for request in groups[at]]
    wanted = [each for each in together if among is None or each.id in among]
    return wanted[:most]


def stored_records(results: Results, chosen: Sequence[Request]) -> dict[RequestId, Record]:
    """Return the sweep's records of some requests; all of them may not fit in memory."""
    ids = {request.id for request in chosen}
    keys = {request.cell for request in chosen}
    return {
        (info.key, record.query_id): record
        for number, info in enumerate(results.infos)
        if info.key in keys
        for record in results[number].records
        if (info.key, record.query_id) in ids
    }


_REMADE = "run the sweep again, which sets the file aside and makes it anew"


def read_kept(path: Path, kind: type[T], remedy: str = _REMADE) -> list[T]:
    """Read what `write_kept` has written; nothing where there is no file.

    Args:
        path: The file, beside the cells.
        kind: The dataclass of its entries.
        remedy: Advice for a damaged file.

    Raises:
        StoreError: The file is damaged, or cannot be read.
    """
    try:
        return _read(path, kind)
    except DamageError as error:
        raise StoreError(f"{path}: damaged: {error}; {remedy}") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error


def kept_or_set_aside(path: Path, kind: type[T]) -> list[T]:
    """Read what is kept and need not be made again, and set a damaged file aside.

    Args:
        path: The file, beside the cells.
        kind: The dataclass of its entries.

    Raises:
        StoreError: The file cannot be read or moved.
    """
    with store_errors(path.parent):
        try:
            return _read(path, kind)
        except DamageError as error:
            set_aside(path)
            _log.warning("%s: damaged: %s; it is set aside, and made anew", path, error)
            return []


def write_kept(path: Path, entries: Sequence[DataclassInstance]) -> None:
    """Write entries to a file beside the cells, with a checksum.

    Raises:
        StoreError: The file cannot be written.
    """
    with store_errors(path.parent):
        content = dump_checksummed({"checks": [asdict(each) for each in entries]})
        write_atomically(path, [content])


def _read(path: Path, kind: type[T]) -> list[T]:
    """Read the entries of a file, as `read_kept`.

    Raises:
        DamageError: The file is not as it was written.
        OSError: It cannot be read.
    """
    try:
        entries = read_checksummed(path).get("checks")
        return TypeAdapter(list[kind]).validate_python(entries)  # type: ignore[valid-type]
    except FileNotFoundError:
        return []
    except ValidationError as error:
        raise DamageError("not as it was written") from error

"""The precision check: some requests run again in float32, one at a time."""

from __future__ import annotations

import gc
import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from icl_gap import models
from icl_gap.errors import InferenceError, ModelError, StoreError
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.planning import Plan
from icl_gap.evaluation.run_requests import run_requests
from icl_gap.files import write_atomically
from icl_gap.models import Request, RequestId
from icl_gap.progress import Progress
from icl_gap.results import (
    PRECISION,
    DamageError,
    Results,
    dump_checksummed,
    read_checksummed,
    set_aside,
    store_errors,
)
from icl_gap.schema import Condition, Record
from icl_gap.text import brief

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RepeatedRequest:
    """A request that was run twice: as in the sweep, and in float32."""

    cell: str
    """The key of its cell."""
    query_id: str
    condition: Condition
    raw: tuple[bool, bool]
    canonical: tuple[bool | None, bool | None]


@dataclass(frozen=True, slots=True)
class PrecisionCheck:
    """The requests of one model that were run twice."""

    model: str
    precision: str
    """The precision of the sweep, e.g. `bfloat16`."""
    compared: tuple[RepeatedRequest, ...]

    @property
    def ids(self) -> tuple[RequestId, ...]:
        """The id of each request."""
        return tuple((each.cell, each.query_id) for each in self.compared)

    def flips(self) -> tuple[int, int]:
        """Count the responses that only float32 gets right, and those that only the sweep does."""
        pairs = [each.raw for each in self.compared]
        return pairs.count((False, True)), pairs.count((True, False))

    def canonical_flips(self) -> int:
        """Count the responses that are an equivalent program in one of the two alone."""
        return sum(as_run != exact for as_run, exact in (each.canonical for each in self.compared))

    def gaps(self) -> tuple[float | None, float | None]:
        """Return the relative gap of these requests, as in the sweep and in float32.

        None where A_id is 0 or a condition is missing; these few requests give no interval.
        """
        as_run, exact = (self._gap(n) for n in (0, 1))
        return as_run, exact

    def _gap(self, which: int) -> float | None:
        hits: defaultdict[str, list[bool]] = defaultdict(list)
        for each in self.compared:
            hits[each.condition].append(each.raw[which])
        if not hits["id"] or not hits["ood"] or not any(hits["id"]):
            return None
        a_id, a_ood = (sum(hits[c]) / len(hits[c]) for c in ("id", "ood"))
        return (a_id - a_ood) / a_id

    def __str__(self) -> str:
        won, lost = self.flips()
        as_run, exact = ("undefined" if gap is None else f"{gap:.3f}" for gap in self.gaps())
        return (
            f"precision: {self.model} in {self.precision}, {len(self.compared)} requests again in "
            f"float32: {won + lost} flips ({won} right in float32 alone, {lost} as run alone), "
            f"{self.canonical_flips()} canonical; gap of these {as_run} as run, {exact} in float32"
        )

    def __repr__(self) -> str:
        return brief(
            "PrecisionCheck", self.model, f"{len(self.compared)} requests, {self.precision}"
        )


def check_precision(plan: Plan, results: Results, progress: Progress) -> list[PrecisionCheck]:
    """Run some requests of each model with weights again in float32, and keep what changes.

    Requests are chosen by a hash, ID and OOD of a query together. Each is run by itself, in
    float32 and without quantization. The outcome is kept beside the results, and a model that is
    there with the same requests is not run again. Where what is kept is damaged, it is set aside,
    with a warning in the log, and made anew.

    Args:
        plan: The sweep.
        results: Its results, whole; nobody else writes to their folder.
        progress: Shows progress.

    A model that cannot be loaded or fails in float32 is left out, with a warning in the log.

    Raises:
        StoreError: The folder cannot be written.
    """
    known = {(check.model, check.ids): check for check in _kept(results.folder)}
    checks = []
    for model in dict.fromkeys(cell.model for cell in plan.cells):
        placement = model.spec.placement
        if placement is None:
            continue
        chosen = _chosen(plan, model)
        name = model.identity.name
        check = known.get((name, tuple(request.id for request in chosen)))
        if check is None:
            steps = _again(model, chosen, plan, _records(results, chosen))
            try:
                compared = tuple(progress(steps, f"{name} in float32", len(chosen)))
            except (ModelError, InferenceError) as error:
                _log.warning("the precision of %s is not checked: %s", name, error)
                continue
            check = PrecisionCheck(name, placement.precision, compared)
            gc.collect()
        checks.append(check)
        _write(results.folder, checks)
    return checks


def read_checks(folder: Path) -> list[PrecisionCheck]:
    """Read the checks kept beside some results; none where there are none.

    Args:
        folder: The results folder.

    Raises:
        StoreError: The file is damaged, or cannot be read.
    """
    try:
        return _read(folder)
    except DamageError as error:
        raise StoreError(
            f"{folder / PRECISION}: damaged: {error}; run the sweep again, which sets the file "
            "aside and makes it anew"
        ) from error
    except OSError as error:
        raise StoreError(f"{folder / PRECISION}: cannot be read: {error.strerror}") from error


def _read(folder: Path) -> list[PrecisionCheck]:
    """Read the checks kept beside some results, as `read_checks`.

    Raises:
        DamageError: The file is not as it was written.
        OSError: It cannot be read.
    """
    try:
        checks = read_checksummed(folder / PRECISION).get("checks")
        return TypeAdapter(list[PrecisionCheck]).validate_python(checks)
    except FileNotFoundError:
        return []
    except ValidationError as error:
        raise DamageError("not as it was written") from error


def _kept(folder: Path) -> list[PrecisionCheck]:
    """Read the checks that need not be made again, and set a damaged file aside."""
    with store_errors(folder):
        try:
            return _read(folder)
        except DamageError as error:
            set_aside(folder / PRECISION)
            _log.warning(
                "%s: damaged: %s; it is set aside, and made anew", folder / PRECISION, error
            )
            return []


def _write(folder: Path, checks: Sequence[PrecisionCheck]) -> None:
    with store_errors(folder):
        content = dump_checksummed({"checks": [asdict(check) for check in checks]})
        write_atomically(folder / PRECISION, [content])


def _chosen(plan: Plan, model: SweepModel) -> list[Request]:
    """Choose the requests to run again, the conditions of a query together."""
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
    return together[: plan.sweep.precision_check]


def _records(results: Results, chosen: Sequence[Request]) -> dict[RequestId, Record]:
    """Return the sweep's records of these requests; all of them may not fit in memory."""
    ids = {request.id for request in chosen}
    keys = {request.cell for request in chosen}
    return {
        (info.key, record.query_id): record
        for number, info in enumerate(results.infos)
        if info.key in keys
        for record in results[number].records
        if (info.key, record.query_id) in ids
    }


def _again(
    model: SweepModel,
    chosen: Sequence[Request],
    plan: Plan,
    records: Mapping[RequestId, Record],
) -> Iterator[RepeatedRequest]:
    in_float32 = models.load_model(model.spec.in_float32(), model.identity)
    cells = {cell.info.key: cell for cell in plan.cells}
    for request in chosen:
        for id_, again in run_requests([request], [request.id], in_float32, cells, plan.sweep):
            if again.status == "failed":
                raise InferenceError(again.reason)
            before = records[id_]
            yield RepeatedRequest(
                cell=request.cell,
                query_id=before.query_id,
                condition=cells[request.cell].info.condition,
                raw=(before.scores.get("raw", False), again.scores.get("raw", False)),
                canonical=(before.scores.get("canonical"), again.scores.get("canonical")),
            )

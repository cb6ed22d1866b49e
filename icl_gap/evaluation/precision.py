"""The precision check: some requests run again in float32, one at a time."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from icl_gap import models
from icl_gap.errors import InferenceError, ModelError
from icl_gap.evaluation.grid import group_into_jobs
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.planning import Plan
from icl_gap.evaluation.repeated import (
    RepeatedRequest,
    gap_of_repeated,
    gap_text,
    kept_or_set_aside,
    read_kept,
    repeated_request,
    sample_requests,
    stored_records,
    write_kept,
)
from icl_gap.evaluation.run_requests import run_requests
from icl_gap.models import Request, RequestId
from icl_gap.models.hf.calibration import calibrating_ids
from icl_gap.progress import Progress
from icl_gap.results import PRECISION, Results
from icl_gap.schema import Record
from icl_gap.text import brief

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PrecisionCheck:
    """The requests of one model that were run twice."""

    model: str
    precision: str
    """The precision of the sweep, e.g. `bfloat16`."""
    compared: tuple[RepeatedRequest, ...]
    """The requests, each with two outcomes: as in the sweep, and in float32."""
    adjudicated: bool = False
    """True if they are a sample of the verdicts that an adjudicated model has accepted in half
    precision, without those that calibrate its bound."""

    @property
    def ids(self) -> tuple[RequestId, ...]:
        """The id of each request."""
        return tuple(each.id for each in self.compared)

    def flips(self) -> tuple[int, int]:
        """Count the responses that only float32 gets right, and those that only the sweep does."""
        pairs = [each.raw for each in self.compared]
        return pairs.count((False, True)), pairs.count((True, False))

    def canonical_flips(self) -> int:
        """Count the responses that are an equivalent program in one of the two alone."""
        return sum(as_run != exact for as_run, exact in (each.canonical for each in self.compared))

    def differing(self) -> int:
        """Count the requests whose verdicts differ, as strings or as programs."""
        return sum(
            each.raw[0] != each.raw[1] or each.canonical[0] != each.canonical[1]
            for each in self.compared
        )

    def at_most(self) -> float:
        """Return the upper 95 % bound of the share of verdicts that differ.

        One-sided: Clopper & Pearson 1934, Biometrika 26(4), 404-413. It is 1 without requests.
        """
        from scipy.stats import binomtest

        if not self.compared:
            return 1.0
        test = binomtest(self.differing(), len(self.compared), alternative="less")
        return float(test.proportion_ci(0.95, "exact").high)

    def gaps(self) -> tuple[float | None, float | None]:
        """Return the relative gap of these requests, as in the sweep and in float32.

        None where A_id is 0 or a condition is missing; these few requests give no interval.
        """
        return gap_of_repeated(self.compared, 0), gap_of_repeated(self.compared, 1)

    def __str__(self) -> str:
        if self.adjudicated:
            return (
                f"precision: {self.model} in {self.precision}, a sample of accepted verdicts again "
                f"in float32: {self.differing()} of {len(self.compared)} differ: at most "
                f"{self.at_most():.2%} (95 %)"
            )
        won, lost = self.flips()
        as_run, exact = map(gap_text, self.gaps())
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

    Requests are chosen by a hash, ID and OOD of a query together; of an adjudicated model, among
    those whose verdict it has accepted in half precision and that do not calibrate its bound. Each
    is run by itself, in float32 and without quantization. The outcome is kept beside the results,
    and a model that is there with the same requests is not run again. Where what is kept is
    damaged, it is set aside, with a warning in the log, and made anew.

    Args:
        plan: The sweep.
        results: Its results, whole; nobody else writes to their folder.
        progress: Shows progress.

    A model that cannot be loaded or fails in float32 is left out, with a warning in the log.

    Raises:
        StoreError: The folder cannot be written.
    """
    path = results.folder / PRECISION
    known = {(check.model, check.ids): check for check in kept_or_set_aside(path, PrecisionCheck)}
    checks = []
    for model in dict.fromkeys(cell.model for cell in plan.cells):
        placement = model.spec.placement
        if placement is None:
            continue
        among = _accepted(plan, results, model) if placement.adjudicated else None
        chosen = sample_requests(plan, model, plan.sweep.precision_check, among)
        if not chosen:
            continue
        name = model.identity.name
        check = known.get((name, tuple(request.id for request in chosen)))
        if check is None:
            steps = _again(model, chosen, plan, stored_records(results, chosen))
            try:
                compared = tuple(progress(steps, f"{name} in float32", len(chosen)))
            except (ModelError, InferenceError) as error:
                _log.warning("the precision of %s is not checked: %s", name, error)
                continue
            check = PrecisionCheck(name, placement.precision, compared, placement.adjudicated)
            gc.collect()
        checks.append(check)
        write_kept(path, checks)
    return checks


def read_checks(folder: Path) -> list[PrecisionCheck]:
    """Read the checks kept beside some results; none where there are none.

    Args:
        folder: The results folder.

    Raises:
        StoreError: The file is damaged, or cannot be read.
    """
    return read_kept(folder / PRECISION, PrecisionCheck)


def _accepted(plan: Plan, results: Results, model: SweepModel) -> set[RequestId]:
    """Return the ids of verdicts that were accepted in half precision and calibrate no bound."""
    cells = [cell for cell in plan.cells if cell.model is model]
    calibrating = {
        id_
        for job in group_into_jobs(cells)
        for id_ in calibrating_ids(
            request.id for cell in job for request in plan.requests(cell) if request.fits
        )
    }
    keys = {cell.info.key for cell in cells}
    accepted = {
        (info.key, record.query_id)
        for number, info in enumerate(results.infos)
        if info.key in keys
        for record in results[number].records
        if record.rounding_bound is not None
    }
    return accepted - calibrating


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
            condition = cells[request.cell].info.condition
            yield repeated_request(request, condition, [records[id_], again])

"""Repeats: a sample of requests is asked several times, to see which responses are not stable."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from icl_gap import models
from icl_gap.errors import ModelError
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
from icl_gap.evaluation.spending import Ledger
from icl_gap.models import Request, RequestId
from icl_gap.progress import Progress
from icl_gap.results import REPEATS, Results
from icl_gap.schema import Record
from icl_gap.text import brief

SAMPLE = 100
"""Number of requests of each model that are asked again."""
_SECONDS = 1.0
"""Time between two writes of what is kept."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RepeatCheck:
    """The requests of one model that were asked several times."""

    model: str
    times: int
    """Number of times that the sweep asks each, its own time included."""
    requests: tuple[RepeatedRequest, ...]
    """The requests with all their outcomes, which are fewer after a failure."""

    @property
    def whole(self) -> tuple[RepeatedRequest, ...]:
        """The requests that have that many outcomes, and no more of them."""
        n = self.times
        return tuple(
            replace(
                each,
                raw=each.raw[:n],
                canonical=each.canonical[:n],
                strict=None if each.strict is None else each.strict[:n],
            )
            for each in self.requests
            if len(each.raw) >= n
        )

    def flips(self) -> int:
        """Count the requests whose raw match is not the same each time."""
        return sum(len(set(each.raw)) > 1 for each in self.whole)

    def canonical_flips(self) -> int:
        """Count the requests whose canonical match is not the same each time."""
        return sum(len(set(each.canonical)) > 1 for each in self.whole)

    def strict_flips(self) -> int | None:
        """Count the requests whose whole texts flip; None if there is no chat among them."""
        found = [each.strict for each in self.whole if each.strict is not None]
        return sum(len(set(each)) > 1 for each in found) if found else None

    def gaps(self) -> tuple[float | None, ...]:
        """Return the relative gap of these requests, each time; the first is that of the sweep.

        None where A_id is 0 or a condition is missing; these few requests give no interval.
        """
        return tuple(gap_of_repeated(self.whole, n) for n in range(self.times))

    def __str__(self) -> str:
        strict = self.strict_flips()
        whole = "" if strict is None else f", {strict} as whole responses"
        first, *others = map(gap_text, self.gaps())
        missing = len(self.requests) - len(self.whole)
        lacking = f"; {missing} more requests lack a response" if missing else ""
        return (
            f"repeats: {self.model}, {len(self.whole)} requests asked {self.times} times: "
            f"{self.flips()} flips between right and wrong, {self.canonical_flips()} canonical"
            f"{whole}; gap of these {first} as run, {', '.join(others)} again{lacking}"
        )

    def __repr__(self) -> str:
        return brief("RepeatCheck", self.model, f"{len(self.requests)} requests, {self.times} each")


def check_repeats(plan: Plan, results: Results, progress: Progress) -> list[RepeatCheck]:
    """Ask some requests of each model again, and keep what changes.

    Requests are chosen by a hash, ID and OOD of a query together. Outcomes are kept beside the
    results as they come, and those that are there are not asked for again. Where what is kept is
    damaged, it is set aside, with a warning in the log, and made anew. A model that cannot be
    loaded is left out, and so is a request that fails, each with a warning.

    Args:
        plan: The sweep, whose `repeats` count its own time.
        results: Its results, whole; nobody else writes to their folder.
        progress: Shows progress.

    Raises:
        StoreError: The folder cannot be written.
    """
    path = results.folder / REPEATS
    kept = kept_or_set_aside(path, RepeatCheck)
    checks = {check.model: check for check in kept}
    for model in plan.models:
        name = model.identity.name
        before = checks[name].requests if name in checks else ()
        rounds = _Rounds(plan, model, results, {each.id: each for each in before})
        try:
            for _ in progress(_written(rounds, checks, path), f"{name} again", rounds.n_missing):
                pass
        except ModelError as error:
            _log.warning("%s is not asked again: %s", name, error)
        gc.collect()
    names = [model.identity.name for model in plan.models]
    return [checks[name] for name in names if checks[name].whole]


def _written(rounds: _Rounds, checks: dict[str, RepeatCheck], path: Path) -> Iterator[None]:
    """Run the rounds, and write what is known at least every other second, and at the end."""
    name, written = rounds.check.model, time.monotonic()
    try:
        for _ in rounds.run():
            yield
            if time.monotonic() - written > _SECONDS:
                checks[name] = rounds.check
                write_kept(path, list(checks.values()))
                written = time.monotonic()
    finally:
        checks[name] = rounds.check
        write_kept(path, list(checks.values()))


def read_repeats(folder: Path) -> list[RepeatCheck]:
    """Read the repeats kept beside some results that have any; none where there are none.

    Args:
        folder: The results folder.

    Raises:
        StoreError: The file is damaged, or cannot be read.
    """
    return [check for check in read_kept(folder / REPEATS, RepeatCheck) if check.whole]


class _Rounds:
    """The requests of one model that are asked again, round by round.

    Args:
        plan: The sweep.
        model: The model.
        results: The results of the sweep.
        kept: The outcomes that earlier runs have kept, by request.
    """

    def __init__(
        self,
        plan: Plan,
        model: SweepModel,
        results: Results,
        kept: Mapping[RequestId, RepeatedRequest],
    ) -> None:
        self._plan, self._model, self._folder = plan, model, results.folder
        self._cells = {cell.info.key: cell for cell in plan.cells if cell.model is model}
        self._chosen = sample_requests(plan, model, SAMPLE)
        records = stored_records(results, self._chosen)
        self._found = {
            request.id: _kept_outcomes(
                self._outcome(request, records[request.id]), kept.get(request.id)
            )
            for request in self._chosen
        }

    @property
    def check(self) -> RepeatCheck:
        """The requests with the outcomes that are there so far."""
        name = self._model.identity.name
        return RepeatCheck(name, self._plan.sweep.repeats, tuple(self._found.values()))

    @property
    def n_missing(self) -> int:
        """Number of responses that are still to come."""
        times = self._plan.sweep.repeats
        return sum(max(0, times - len(each.raw)) for each in self._found.values())

    def run(self) -> Iterator[None]:
        """Ask for what is missing, a step for each response.

        Raises:
            ModelError: The model cannot be loaded, or its `max_cost` is reached.
        """
        if not self.n_missing:
            return
        with Ledger(self._folder).counting(self._model.spec, self._model.identity) as counted:
            for time_ in range(1, self._plan.sweep.repeats):
                for _, requests in groupby(self._chosen, key=self._benchmark):
                    for _ in self._ask(counted.model, list(requests), time_):
                        counted.note()
                        yield

    def _benchmark(self, request: Request) -> str:
        return self._cells[request.cell].info.dataset

    def _ask(self, model: models.Model, requests: Sequence[Request], time_: int) -> Iterator[None]:
        """Ask for the responses of one time that are missing."""
        chosen = {request.id: request for request in requests}
        wanted = [id_ for id_ in chosen if len(self._found[id_].raw) == time_]
        reasons = []
        sweep = self._plan.sweep
        for id_, record in run_requests(requests, wanted, model, self._cells, sweep):
            if record.status == "failed":
                reasons.append(str(record.reason))
            else:
                again = self._outcome(chosen[id_], record)
                self._found[id_] = _extended(self._found[id_], again)
            yield
        if reasons:
            _log.warning(
                "%d requests fail as they are asked again; running the sweep again tries them: %s",
                len(reasons),
                reasons[0],
            )

    def _outcome(self, request: Request, record: Record) -> RepeatedRequest:
        return repeated_request(request, self._cells[request.cell].info.condition, [record])


def _extended(known: RepeatedRequest, again: RepeatedRequest) -> RepeatedRequest:
    """Return a request with the outcomes of another in addition."""
    both = known.strict is not None and again.strict is not None
    return replace(
        known,
        raw=known.raw + again.raw,
        canonical=known.canonical + again.canonical,
        strict=(known.strict or ()) + (again.strict or ()) if both else None,
    )


def _kept_outcomes(first: RepeatedRequest, kept: RepeatedRequest | None) -> RepeatedRequest:
    """Return the outcomes of the sweep as it is now, with those that were kept of later times."""
    if kept is None:
        return first
    strict = None if kept.strict is None else kept.strict[1:]
    return _extended(
        first, replace(kept, raw=kept.raw[1:], canonical=kept.canonical[1:], strict=strict)
    )

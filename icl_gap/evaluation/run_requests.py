"""Run requests on a model, and score the responses."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from icl_gap import models
from icl_gap.errors import IclGapError
from icl_gap.evaluation.chat_scores import score_chat, score_completion
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.grid import Cell
from icl_gap.models import Request, RequestId
from icl_gap.schema import Metric, ModelInfo, Record, Response


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """A request that is done, before its score."""

    request: Request
    outcome: Response | IclGapError | None
    """The model's response, or the error in its stead; None where the prompt does not fit."""
    info: ModelInfo
    """The description of the model when it was done."""
    seconds: float | None
    """Time since the one before was done; None where the prompt does not fit."""


def run_requests(
    requests: Sequence[Request],
    wanted: Collection[RequestId],
    model: models.Model,
    cells: Mapping[str, Cell],
    sweep: SweepSpec,
) -> Iterator[tuple[RequestId, Record]]:
    """Run requests on a model, and score the responses.

    Args:
        requests: All requests of a job, those of earlier runs included: what the model computes
            together, and with it every bit of a result, depends on these alone.
        wanted: The ids of the requests to run.
        model: The model, loaded.
        cells: The cells of the requests, by their keys.
        sweep: Says how far to follow responses.

    Yields:
        The id of each wanted request with its record, as they come.
    """
    for done in request_outcomes(requests, wanted, model, sweep):
        yield done.request.id, score_outcome(done, cells, sweep)


def request_outcomes(
    requests: Sequence[Request],
    wanted: Collection[RequestId],
    model: models.Model,
    sweep: SweepSpec,
) -> Iterator[RequestOutcome]:
    """Run requests on a model, and score nothing; see `run_requests` for the arguments.

    Yields:
        The outcome of each wanted request, as they come.
    """
    before = time.perf_counter()
    wanted = frozenset(wanted)
    for request in requests:
        if request.id in wanted and not request.fits:
            yield RequestOutcome(request, None, model.info, None)
    fitting = {request.id: request for request in requests if request.fits}
    outcomes = model.respond(
        tuple(fitting.values()), predictions=sweep.predictions, wanted=wanted & fitting.keys()
    )
    for id_, outcome in outcomes:
        now = time.perf_counter()
        yield RequestOutcome(fitting[id_], outcome, model.info, now - before)
        before = now


def score_outcome(done: RequestOutcome, cells: Mapping[str, Cell], sweep: SweepSpec) -> Record:
    """Return the record of a request that is done.

    Args:
        done: The request and its outcome.
        cells: The cells of the requests, by their keys.
        sweep: Says how far responses were followed.
    """
    request, outcome, info = done.request, done.outcome, done.info
    if outcome is None:
        return _without_response(request, info)
    if isinstance(outcome, IclGapError):
        unscored = _without_response(request, info)
        record = replace(unscored, status="failed", reason=str(outcome))
    else:
        record = _answered(request, outcome, info)
        cell = cells[request.cell]
        if info.chat:
            record = score_chat(record, request, outcome, cell)
        else:
            record = _scored(record, request, outcome, cell, sweep)
    measured = None if isinstance(outcome, IclGapError) else outcome.seconds
    seconds = done.seconds if measured is None else measured
    return record if seconds is None else replace(record, seconds=round(seconds, 6))


def _answered(request: Request, response: Response, info: ModelInfo) -> Record:
    """Return the record of a request that has a response, without its scores."""
    logprob = response.gold_logprob if request.likelihood else None
    return replace(
        _without_response(request, info),
        status="scored",
        divergence=response.divergence,
        gold_logprob=None if logprob is None else round(logprob, 4),
        gold_tokens=response.gold_tokens,
        kv_cache_tokens=response.kv_cache_tokens,
        rounding_bound=response.rounding_bound,
        usage=response.usage,
        served_model=response.served_model,
    )


def _scored(
    record: Record, request: Request, response: Response, cell: Cell, sweep: SweepSpec
) -> Record:
    """Return the record of a response that continues a text, with its scores."""
    completion = response.completion
    if completion is None:  # wrong for good; as a program too, unless that was not followed
        scores: dict[Metric, bool] = {"raw": False}
        if sweep.canonical:
            scores["canonical"] = False
            if cell.benchmark.language.execution == "normal_form":
                scores["execution"] = False
        return replace(record, scores=scores, reason="diverged")
    score = score_completion(completion.text, request, cell)
    return replace(
        record,
        prediction=completion.text,
        finish_reason=completion.finish_reason,
        scores=score.outcomes,
        reason=score.reason,
    )


def _without_response(request: Request, info: ModelInfo) -> Record:
    """Return the record of a request that was skipped."""
    prompt = request.prompt
    targets = tuple(example.target_id or example.id for example in prompt.exemplars)
    ids = tuple(example.id for example in prompt.exemplars)
    return Record(
        query_id=request.query_id,
        exemplar_ids=ids,
        exemplar_target_ids=None if targets == ids else targets,
        shots=prompt.shots,
        coverage=request.coverage,
        matched=request.matched,
        prompt_sha256=prompt.messages_sha256 if info.chat else prompt.sha256,
        prompt_tokens=None if info.api == "chat" else request.tokens,
        status="skipped",
    )

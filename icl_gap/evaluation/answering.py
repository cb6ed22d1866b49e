"""Ask a model, and score what it answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from icl_gap import models, scoring
from icl_gap.errors import IclGapError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.planning import Cell, Request, question
from icl_gap.schema import Answer, Record

Asked = tuple[Cell, Request]


def answer(
    asked: Sequence[Asked], wanted: Sequence[int], model: models.Model, sweep: SweepSpec
) -> Iterator[tuple[Cell, Record]]:
    """Ask a model some requests, and score what it answers.

    Args:
        asked: All requests of a run, those of earlier runs included: what the model computes
            together, and with it every bit of a result, depends on these alone.
        wanted: The places of those to answer.
        model: The model, loaded.
        sweep: How far to follow its answers.

    Yields:
        Each request's cell with its record, as they come.
    """
    before = time.perf_counter()
    for n in wanted:
        cell, request = asked[n]
        if not request.fits:
            yield cell, _unanswered(request)
    fitting = [n for n, (_, request) in enumerate(asked) if request.fits]
    place = {n: at for at, n in enumerate(fitting)}
    ranks = {cell.info.key: rank for rank, (cell, _) in enumerate(asked)}
    outcomes = model.answers(
        [question(*asked[n], ranks[asked[n][0].info.key], sweep) for n in fitting],
        predictions=sweep.predictions,
        wanted={place[n] for n in wanted if n in place},
    )
    for at, outcome in outcomes:
        cell, request = asked[fitting[at]]
        now = time.perf_counter()
        record = _unanswered(request)
        if isinstance(outcome, IclGapError):
            record = replace(record, status="failed", reason=str(outcome))
        else:
            record = _answered(record, outcome, request, cell, sweep)
        yield cell, replace(record, seconds=round(now - before, 6))
        before = now


def _answered(
    record: Record, answer: Answer, request: Request, cell: Cell, sweep: SweepSpec
) -> Record:
    query, study = request.exemplars.query, cell.study
    record = replace(
        record,
        status="scored",
        divergence=answer.divergence,
        gold_logprob=None if answer.gold_logprob is None else round(answer.gold_logprob, 4),
        gold_tokens=answer.gold_tokens,
        batch_tokens=answer.batch_tokens,
        usage=answer.usage,
        served_model=answer.served_model,
    )
    completion = answer.completion
    if completion is None:  # wrong for good; as a program too, unless that was not asked
        canonical = False if sweep.canonical else None
        execution = canonical if study.execution == "canonical" else None
        return replace(
            record, raw=False, canonical=canonical, execution=execution, reason="diverged"
        )
    score = scoring.score(
        completion.text, query.target, study.form, alike=study.alike, example_id=query.id
    )
    return replace(
        record,
        prediction=completion.text,
        finish_reason=completion.finish_reason,
        raw=score.raw,
        canonical=score.canonical,
        execution=score.execution,
        reason=score.reason,
    )


def _unanswered(request: Request) -> Record:
    exemplars, prompt = request.exemplars, request.prompt
    return Record(
        query_id=prompt.query_id,
        exemplar_ids=tuple(example.id for example in exemplars.examples),
        shots=prompt.shots,
        coverage=exemplars.coverage[-1],
        prompt_sha256=prompt.sha256,
        prompt_tokens=request.tokens,
        status="skipped",
    )

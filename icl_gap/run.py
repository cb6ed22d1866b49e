"""Run a sweep: the whole pipeline, composed and nothing decided."""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path

from icl_gap import models, prompts, scoring
from icl_gap.config import SweepSpec
from icl_gap.errors import IclGapError, InferenceError, ModelError
from icl_gap.plan import Cell, Plan, Request, Subject, plan_sweep
from icl_gap.provenance import provenance
from icl_gap.records import Answer, CellInfo, ModelInfo, Record
from icl_gap.store import Results, Sheet, StoreWriter, cell_name, load_results, open_store
from icl_gap.track import Track, untracked

Asked = tuple[Cell, Request]


def run_sweep(
    sweep: SweepSpec | Plan, folder: str | Path | None = None, *, track: Track = untracked
) -> Results:
    """Run a sweep, or go on with one that was stopped.

    Args:
        sweep: What to run; a plan saves planning it again.
        folder: Where results go; default `results/` and the sweep's name.
        track: Shows progress.

    Returns:
        All results of the sweep, earlier ones included.

    Raises:
        InputError: The sweep cannot be run as it is; nothing was run.
        InferenceError: A model could not be loaded, or failed in some cells. All others are
            finished and stored, and running the sweep again tries just the failed ones.
        StoreError: The folder cannot be written, or another run is writing there.
    """
    plan = sweep if isinstance(sweep, Plan) else plan_sweep(sweep, track=track)
    folder = Path(folder or Path("results") / plan.sweep.name)
    description = plan.sweep.model_dump(mode="json")
    failures: dict[str, list[IclGapError]] = {}
    with open_store(folder, description, [cell.info for cell in plan.cells]) as finished:
        run = _Run(plan, folder, finished, failures)
        for subject, cells in groupby(plan.cells, key=lambda cell: cell.subject):
            _run_model(run, subject, list(cells), track)
            gc.collect()  # one model's weights go before the next one's come
    if failures:
        told = (_told(name, errors) for name, errors in failures.items())
        raise InferenceError("\n".join(["not all cells are finished:", *told]))
    return load_results(folder, track=track)


@dataclass(frozen=True, slots=True)
class _Run:
    plan: Plan
    folder: Path
    finished: Collection[str]
    """Keys of cells that need nothing more."""
    failures: dict[str, list[IclGapError]]
    """What failed, by the name of its cell or cells; grows."""


def _run_model(run: _Run, subject: Subject, cells: Sequence[Cell], track: Track) -> None:
    """Load a model and run its cells; what fails leaves all else alone."""
    pending = [cell for cell in cells if cell.info.key not in run.finished]
    if not pending:
        return
    try:
        model = models.load(subject.spec, subject.identity)
    except ModelError as error:
        name = f"all {len(pending)} of {subject.identity.name}"
        run.failures[name] = [error.within(subject.place)]
        return
    # Prompts of one benchmark have much in common, those of two have nothing.
    by_benchmark = groupby(cells, key=lambda cell: cell.study.benchmark.name)
    steps = chain.from_iterable(_run_cells(run, list(group), model) for _, group in by_benchmark)
    for _ in track(steps, model.info.name, sum(cell.info.n_queries for cell in pending)):
        pass


def _run_cells(run: _Run, cells: Sequence[Cell], model: models.Model) -> Iterator[None]:
    """Run one model's cells on one benchmark, a step for each request of those not finished."""
    asked = [(cell, request) for cell in cells for request in run.plan.requests(cell)]
    queries: dict[str, list[str]] = {}
    for cell, request in asked:
        queries.setdefault(cell.info.key, []).append(request.prompt.query_id)
    pending = [cell for cell in cells if cell.info.key not in run.finished]
    sheets = [Sheet(_described(cell, model.info), queries[cell.info.key]) for cell in pending]
    with StoreWriter(run.folder, sheets) as writer:
        wanted = [
            n
            for n, (cell, request) in enumerate(asked)
            if writer.wants(cell.info.key, request.prompt.query_id)
        ]
        yield from [None] * (sum(cell.info.n_queries for cell in pending) - len(wanted))
        for cell, record in answer(asked, wanted, model, run.plan.sweep):
            if isinstance(record, Record):
                writer.append(cell.info.key, record)
            else:
                run.failures.setdefault(cell_name(cell.info), []).append(record)
            yield


def answer(
    asked: Sequence[Asked], wanted: Sequence[int], model: models.Model, sweep: SweepSpec
) -> Iterator[tuple[Cell, Record | IclGapError]]:
    """Ask a model some requests, and score what it answers.

    Args:
        asked: All requests of a run, those of earlier runs included: what the model computes
            together, and with it every bit of a result, depends on these alone.
        wanted: The places of those to answer.
        model: The model, loaded.
        sweep: How far to follow its answers.

    Yields:
        Each request's cell with its record, or with the reason why there is none, as they come.
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
        [_question(*asked[n], ranks[asked[n][0].info.key], sweep) for n in fitting],
        predictions=sweep.predictions,
        wanted={place[n] for n in wanted if n in place},
    )
    for at, outcome in outcomes:
        cell, request = asked[fitting[at]]
        if isinstance(outcome, IclGapError):
            yield cell, outcome
            continue
        now = time.perf_counter()
        record = _answered(_unanswered(request), outcome, request, cell, sweep)
        yield cell, replace(record, seconds=round(now - before, 6))
        before = now


def _question(cell: Cell, request: Request, rank: int, sweep: SweepSpec) -> models.Question:
    target = request.exemplars.query.target
    hope = partial(scoring.can_match, target=target, form=cell.study.form)
    return models.Question(
        prompt=request.prompt,
        gold=prompts.gold(target),
        stop=cell.study.template.stop,
        max_new_bytes=cell.max_new_bytes,
        hope=hope if sweep.canonical else None,
        rank=rank,
    )


def _answered(
    record: Record, answer: Answer, request: Request, cell: Cell, sweep: SweepSpec
) -> Record:
    target = request.exemplars.query.target
    record = replace(
        record,
        status="scored",
        divergence=answer.divergence,
        gold_logprob=None if answer.gold_logprob is None else round(answer.gold_logprob, 4),
        gold_tokens=answer.gold_tokens,
        batch_tokens=answer.batch_tokens,
    )
    completion = answer.completion
    if completion is None:  # wrong for good; as a program too, unless that was not asked
        canonical = False if sweep.canonical else None
        return replace(record, raw=False, canonical=canonical, reason="diverged")
    score = scoring.score(completion.text, target, cell.study.form)
    return replace(
        record,
        prediction=completion.text,
        finish_reason=completion.finish_reason,
        raw=score.raw,
        canonical=score.canonical,
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


def _told(name: str, errors: Sequence[IclGapError]) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"  {name}: {errors[0]}{more}"


def _described(cell: Cell, info: ModelInfo) -> CellInfo:
    """The cell's description, with what is known once the weights are loaded."""
    return replace(
        cell.info,
        n_params=info.n_params,
        n_params_non_embedding=info.n_params_non_embedding,
        provenance={**provenance(info.device), "shares_prefixes": info.shares_prefixes},
    )

"""Run a sweep: the whole pipeline, composed and nothing decided."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from icl_gap import models, scoring
from icl_gap.config import SweepSpec
from icl_gap.errors import IclGapError, InferenceError
from icl_gap.plan import Cell, Plan, Request, Track, plan_sweep, untracked
from icl_gap.provenance import provenance
from icl_gap.records import CellInfo, ModelInfo, Record
from icl_gap.store import (
    CellWriter,
    Results,
    cell_name,
    is_finished,
    load_results,
    write_manifest,
)


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
        InferenceError: A model failed in some cells. All others are finished and stored, and
            running the sweep again tries just the failed ones.
    """
    plan = sweep if isinstance(sweep, Plan) else plan_sweep(sweep, track=track)
    folder = Path(folder or Path("results") / plan.sweep.name)
    write_manifest(folder, plan.sweep.model_dump(mode="json"), [c.info for c in plan.cells])
    pending = [cell for cell in plan.cells if not is_finished(folder, cell.info)]
    failures: list[str] = []
    for subject, group in groupby(pending, key=lambda cell: cell.subject):
        cells = list(group)
        model = models.load(subject.spec, subject.identity)
        requests = sum(cell.info.n_queries for cell in cells)
        records = _run_cells(cells, plan, model, folder, failures)
        for _ in track(records, model.info.name, requests):
            pass
    if failures:
        raise InferenceError("\n".join([f"{len(failures)} cells failed:", *failures]))
    return load_results(folder)


def _run_cells(
    cells: Sequence[Cell],
    plan: Plan,
    model: models.Model,
    folder: Path,
    failures: list[str],
) -> Iterator[None]:
    """Run one model's cells, one step per request; a cell that fails leaves the others alone."""
    for cell in cells:
        requests = plan.requests(cell)
        with CellWriter(folder, _described(cell, model.info)) as writer:
            yield from [None] * writer.written
            try:
                for record in run_cell(cell, requests[writer.written :], model):
                    writer.append([record])
                    yield
            except IclGapError as error:
                failures.append(f"  {cell_name(cell.info)}: {error}")
            else:
                writer.finish()


def run_cell(cell: Cell, requests: Sequence[Request], model: models.Model) -> Iterator[Record]:
    """Ask a model the requests of a cell, and score what it answers.

    Args:
        cell: The cell.
        requests: All of its requests, or those that are left.
        model: The cell's model, loaded.

    Yields:
        One record per request, in order.

    Raises:
        InferenceError: The model failed.
    """
    asked = (request.prompt for request in requests if request.fits)
    stop = cell.study.template.stop
    completions = model.complete(asked, stop=stop, max_new_bytes=cell.max_new_bytes)
    before = time.perf_counter()
    for request in requests:
        record = _unanswered(request)
        if request.fits:
            completion = next(completions)
            target = request.exemplars.query.target
            score = scoring.score(completion.text, target, cell.study.form)
            now = time.perf_counter()
            record = replace(
                record,
                status="scored",
                prediction=completion.text,
                finish_reason=completion.finish_reason,
                raw=score.raw,
                canonical=score.canonical,
                reason=score.reason,
                seconds=round(now - before, 6),
            )
            before = now
        yield record


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


def _described(cell: Cell, info: ModelInfo) -> CellInfo:
    """The cell's description, with what is known once the weights are loaded."""
    return replace(
        cell.info,
        n_params=info.n_params,
        n_params_non_embedding=info.n_params_non_embedding,
        provenance=provenance(info.device),
    )

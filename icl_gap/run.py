"""Run a sweep: the whole pipeline, composed and nothing decided."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

from icl_gap import models, scoring
from icl_gap.config import SweepSpec
from icl_gap.errors import IclGapError, InferenceError, ModelError
from icl_gap.plan import Cell, Plan, Request, Subject, plan_sweep
from icl_gap.provenance import provenance
from icl_gap.records import CellInfo, Completion, ModelInfo, Record
from icl_gap.store import CellWriter, Results, cell_name, load_results, open_store
from icl_gap.track import Track, untracked


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
    failures: list[str] = []
    with open_store(folder, description, [cell.info for cell in plan.cells]) as finished:
        pending = [cell for cell in plan.cells if cell.info.key not in finished]
        for subject, cells in groupby(pending, key=lambda cell: cell.subject):
            failures += _run_model(subject, list(cells), plan, folder, track)
            gc.collect()  # one model's weights go before the next one's come
    if failures:
        raise InferenceError("\n".join(["not all cells are finished:", *failures]))
    return load_results(folder, track=track)


def _run_model(
    subject: Subject, cells: Sequence[Cell], plan: Plan, folder: Path, track: Track
) -> list[str]:
    """Load a model and run its cells; what fails leaves all else alone.

    Returns:
        What failed, and why.
    """
    try:
        model = models.load(subject.spec, subject.identity)
    except ModelError as error:
        return [f"  all {len(cells)} of {subject.identity.name}: {error.within(subject.place)}"]
    failures: list[str] = []
    requests = sum(cell.info.n_queries for cell in cells)
    steps = _run_cells(cells, plan, model, folder, failures)
    for _ in track(steps, model.info.name, requests):
        pass
    return failures


def _run_cells(
    cells: Sequence[Cell], plan: Plan, model: models.Model, folder: Path, failures: list[str]
) -> Iterator[None]:
    """Run one model's cells, a step for each request."""
    for cell in cells:
        requests = plan.requests(cell)
        with CellWriter(folder, _described(cell, model.info)) as writer:
            yield from [None] * writer.written
            try:
                for record in run_cell(cell, requests, model, written=writer.written):
                    writer.append([record])
                    yield
            except IclGapError as error:
                failures.append(f"  {cell_name(cell.info)}: {error}")
            else:
                writer.finish()


def run_cell(
    cell: Cell, requests: Sequence[Request], model: models.Model, *, written: int = 0
) -> Iterator[Record]:
    """Ask a model the requests of a cell, and score what it answers.

    A batch of which a part is written is asked again as a whole: in low precision an answer depends
    on what else is in its batch.

    Args:
        cell: The cell.
        requests: All of its requests.
        model: The cell's model, loaded.
        written: How many records there are already.

    Yields:
        One record per request after those, in order.

    Raises:
        InferenceError: The model failed.
    """
    fitting = [request.prompt for request in requests if request.fits]
    known = sum(request.fits for request in requests[:written])
    batch_start = known - known % model.batch_size
    completions = model.complete(
        fitting[batch_start:], stop=cell.study.template.stop, max_new_bytes=cell.max_new_bytes
    )
    completions = islice(completions, known - batch_start, None)
    before = time.perf_counter()
    for request in requests[written:]:
        record = _unanswered(request)
        if request.fits:
            record = _answered(record, next(completions), request, cell)
            now = time.perf_counter()
            record, before = replace(record, seconds=round(now - before, 6)), now
        yield record


def _answered(record: Record, completion: Completion, request: Request, cell: Cell) -> Record:
    score = scoring.score(completion.text, request.exemplars.query.target, cell.study.form)
    return replace(
        record,
        status="scored",
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


def _described(cell: Cell, info: ModelInfo) -> CellInfo:
    """The cell's description, with what is known once the weights are loaded."""
    return replace(
        cell.info,
        n_params=info.n_params,
        n_params_non_embedding=info.n_params_non_embedding,
        provenance=provenance(info.device),
    )

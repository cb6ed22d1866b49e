"""Run a sweep: the whole pipeline, composed and nothing decided."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path

from icl_gap import models
from icl_gap.asking import answer
from icl_gap.config import SweepSpec
from icl_gap.errors import InferenceError, ModelError
from icl_gap.plan import Cell, Plan, Subject, plan_sweep, together
from icl_gap.precision import check_precision
from icl_gap.provenance import provenance
from icl_gap.records import CellInfo, ModelInfo
from icl_gap.store import Results, Sheet, StoreWriter, cell_name, open_results, open_store
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
        All results of the sweep, earlier ones included; their `frame()` is what `analyze` takes.

    Raises:
        InputError: The sweep cannot be run as it is; nothing was run.
        InferenceError: A model could not be loaded, or failed in some cells. All others are
            finished and stored, and running the sweep again tries just the failed ones.
        StoreError: The folder cannot be written, or another run is writing there.
    """
    plan = sweep if isinstance(sweep, Plan) else plan_sweep(sweep, track=track)
    folder = Path(folder or Path("results") / plan.sweep.name)
    description = plan.sweep.model_dump(mode="json")
    failures: dict[str, list[str]] = {}
    with open_store(folder, description, [cell.info for cell in plan.cells]) as finished:
        run = _Run(plan, folder, finished, failures)
        for subject, cells in groupby(plan.mine, key=lambda cell: cell.subject):
            _run_model(run, subject, list(cells), track)
            gc.collect()  # one model's weights go before the next one's come
    if failures:
        told = (_told(name, errors) for name, errors in failures.items())
        raise InferenceError(
            "\n".join(["not all cells are finished; running the sweep again tries these:", *told])
        )
    results = open_results(folder)
    if plan.sweep.precision_check and plan.mine == plan.cells:
        check_precision(plan, results, track)
    return results


@dataclass(frozen=True, slots=True)
class _Run:
    plan: Plan
    folder: Path
    finished: Collection[str]
    """Keys of cells that need nothing more."""
    failures: dict[str, list[str]]
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
        run.failures[name] = [str(error.within(subject.place))]
        return
    groups = groupby(cells, key=together)
    steps = chain.from_iterable(_run_cells(run, list(group), model) for _, group in groups)
    for _ in track(steps, model.info.name, sum(cell.info.n_queries for cell in pending)):
        pass


def _run_cells(run: _Run, cells: Sequence[Cell], model: models.Model) -> Iterator[None]:
    """Run one model's cells on one benchmark, a step for each request of those not finished."""
    pending = [cell for cell in cells if cell.info.key not in run.finished]
    if not pending:
        return
    asked = [(cell, request) for cell in cells for request in run.plan.requests(cell)]
    queries: dict[str, list[str]] = {}
    for cell, request in asked:
        queries.setdefault(cell.info.key, []).append(request.query_id)
    sheets = [Sheet(_described(cell, model.info), queries[cell.info.key]) for cell in pending]
    with StoreWriter(run.folder, sheets) as writer:
        wanted = [
            n
            for n, (cell, request) in enumerate(asked)
            if writer.wants(cell.info.key, request.query_id)
        ]
        yield from [None] * (sum(cell.info.n_queries for cell in pending) - len(wanted))
        for cell, record in answer(asked, wanted, model, run.plan.sweep):
            writer.append(cell.info.key, record)
            if record.status == "failed":
                run.failures.setdefault(cell_name(cell.info), []).append(str(record.reason))
            yield


def _told(name: str, errors: Sequence[str]) -> str:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"  {name}: {errors[0]}{more}"


def _described(cell: Cell, info: ModelInfo) -> CellInfo:
    """The cell's description, with what is known once the weights are loaded."""
    return replace(
        cell.info,
        n_params=info.n_params,
        n_params_non_embedding=info.n_params_non_embedding,
        size_source=info.size_source,
        training_tokens=info.training_tokens,
        provenance={**provenance(info.device), "shares_prefixes": info.shares_prefixes},
    )

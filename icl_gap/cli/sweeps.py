"""`icl-gap run`, `plan` and `prompts`: commands on a sweep file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from icl_gap.cli.console import say, show_progress, show_table, warn
from icl_gap.cli.exits import INTERRUPTED
from icl_gap.cli.shard_options import MOST_SHARDS, read_shard, show_shards
from icl_gap.errors import AnalysisError, InputError, ModelError, Place
from icl_gap.text import shots_text

if TYPE_CHECKING:
    from icl_gap.evaluation.config import SweepSpec
    from icl_gap.evaluation.planning import Cell, Plan, SweepModel
    from icl_gap.models import Footprint
    from icl_gap.plots import FigureRecipe
    from icl_gap.schema import CellInfo

SweepFile = Annotated[Path, typer.Argument(metavar="SWEEP.yaml", help="The sweep file.")]
OutFolder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the results.", show_default="results/NAME"),
]
ShardOf = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Run part I of N, as `plan --shards N` cuts it."),
]
Where = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        help="Run here, or on a Ray cluster: a running one, else one of this machine's own.",
        show_default="the sweep's",
    ),
]


def run(
    sweep: SweepFile, out: OutFolder = None, shard: ShardOf = None, executor: Where = None
) -> None:
    """Run a sweep, or go on with a stopped one.

    Then show its gaps and draw its figures.
    """
    from icl_gap.cli.results import analysis_of, draw, show
    from icl_gap.evaluation.config import read_sweep
    from icl_gap.evaluation.planning import outline_sweep
    from icl_gap.evaluation.runner import run_sweep

    spec = read_sweep(sweep)
    if executor is not None:
        spec = spec.model_copy(update={"executor": executor})
    folder = out or Path("results") / spec.name
    with faults_in(sweep):
        recipes = _recipes(spec)
    try:
        with faults_in(sweep):
            plan = outline_sweep(spec, shard=read_shard(shard), progress=show_progress)
            found = run_sweep(plan, folder, progress=show_progress)
    except KeyboardInterrupt:
        said = {"--out": out, "--shard": shard, "--executor": executor}
        warn(f"stopped; what was answered is kept in {folder}")
        chosen = "".join(f" {name} {value}" for name, value in said.items() if value)
        warn(f"to go on: icl-gap run {sweep}{chosen}")
        raise typer.Exit(INTERRUPTED) from None
    analysis = analysis_of(found)
    show(found, analysis)
    for recipe in recipes:
        try:
            draw(analysis, recipe, folder / "figures")
        except AnalysisError as error:  # a sweep of one side has no pooled gap to draw
            say(f"note: {recipe.name} is not drawn: {error}")
    say(f"records: {folder / 'cells'}")


def plan(
    sweep: SweepFile,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_SHARDS, help="Only show how the sweep is cut into so many parts."
        ),
    ] = None,
) -> None:
    """Show a sweep's grid, prompts and fit; run nothing."""
    from icl_gap.cli.servers import server_rows
    from icl_gap.evaluation.config import read_sweep
    from icl_gap.evaluation.planning import plan_sweep

    if shards is not None:
        with faults_in(sweep):
            show_shards(sweep, shards)
        return
    with faults_in(sweep):
        planned = plan_sweep(read_sweep(sweep), progress=show_progress)
    groups = groupby(planned.cells, key=lambda cell: (cell.model, cell.benchmark))
    rows = [row for _, cells in groups for row in _plan_rows(planned, list(cells))]
    show_table(rows, left=("model", "benchmark"))
    requests = sum(cell.info.n_queries for cell in planned.cells)
    say(f"{len(planned.cells):,} cells, {requests:,} requests")
    with faults_in(sweep):
        costs = _cost_rows(planned)
    if costs:
        title = "computing each shared token once, as far as the gold answers go"
        show_table(costs, title=title, left=("model", "benchmark"))
    needs = _memory_rows(planned)
    if needs:
        show_table(needs, title="memory, before anything is loaded", left=("model", "fits here"))
    servers = server_rows(planned)
    if servers:
        show_table(servers, title="servers", left=tuple(servers[0]))
    for note in _damage(planned):
        say(f"note: {note}")


def prompts(
    sweep: SweepFile,
    cell: Annotated[int, typer.Option(help="Number of the cell in the grid, from 0.")] = 0,
    n: Annotated[int, typer.Option("--n", min=1, help="How many prompts.")] = 1,
) -> None:
    """Print what a model would see."""
    from icl_gap.evaluation.config import read_sweep
    from icl_gap.evaluation.planning import outline_sweep

    with faults_in(sweep):
        planned = outline_sweep(read_sweep(sweep), progress=show_progress)
    if not 0 <= cell < len(planned.cells):
        raise InputError(
            "no such cell", value=cell, allowed=f"--cell 0 to {len(planned.cells) - 1}"
        )
    chosen = planned.cells[cell]
    info = chosen.info
    say(
        f"cell {cell} of {len(planned.cells)}: {_label(info)}, {info.dataset}/{info.split}, "
        f"{info.query_split} queries, {info.condition}, {shots_text(info.shots)}, seed {info.seed}"
    )
    with faults_in(sweep):
        requests = planned.requests(chosen)
    for request in requests[:n]:
        tokens = "" if request.tokens is None else f", {request.tokens} tokens"
        covered = f"coverage {request.coverage:.2f}"
        fate = "" if request.fits else ", skipped: does not fit"
        say(f"\n--- {request.query_id}{tokens}, {covered}{fate}")
        say(request.prompt.text)
        say(f"--- gold: {request.target}")


@contextmanager
def faults_in(sweep: Path) -> Iterator[None]:
    """Add the sweep's file and line to an error that knows only the key."""
    from icl_gap.specs import line_of

    try:
        yield
    except InputError as error:
        if error.place.file is None:
            error.at(file=sweep, line=line_of(sweep, error.place.key))
        raise


def _recipes(sweep: SweepSpec) -> list[FigureRecipe]:
    """The recipes of a sweep's figures, read before anything runs."""
    from icl_gap.plots import read_recipe

    recipes = []
    for index, name in enumerate(sweep.figures):
        try:
            recipes.append(read_recipe(name))
        except InputError as error:
            if error.place.file is None or not error.place.file.exists():
                raise InputError(
                    error.problem,
                    value=name,
                    allowed=error.allowed,
                    place=Place(key=f"figures[{index}]"),
                ) from None
            raise
    return recipes


def _cost_rows(planned: Plan) -> list[dict[str, str]]:
    """One row for each model with weights on each benchmark: tokens, operations, time."""
    from icl_gap.evaluation.planning import loads
    from icl_gap.models import measure_footprint

    rates: dict[SweepModel, float | None] = {}
    rows = []
    for load in loads(planned.sweep, planned.cells, planned.requests, show_progress):
        model, sizes = load.model, load.sizes
        found = measure_footprint(model.spec, model.identity)
        if found is None:
            continue
        if model not in rates:
            rates[model] = _rate_here(found)
        operations, rate = found.operations(sizes), rates[model]
        rows.append(
            {
                "model": model.identity.name,
                "benchmark": load.benchmark,
                "requests": f"{sizes.requests:,}",
                "tokens written": f"{sizes.written:,}",
                "after sharing": f"{sizes.computed:,}",
                "TFLOP": f"{operations / 1e12:,.1f}",
                "GFLOP/s here": "-" if rate is None else f"{rate / 1e9:,.0f}",
                "time at that rate": "-" if rate is None else _time(operations / rate),
            }
        )
    return rows


def _memory_rows(planned: Plan) -> list[dict[str, str]]:
    """One row for each model with weights: what it needs, and what this machine has."""
    from icl_gap.models import measure_footprint
    from icl_gap.models.hf.memory import format_bytes, memory_fit

    rows = []
    for model in dict.fromkeys(cell.model for cell in planned.cells):
        try:
            footprint = measure_footprint(model.spec, model.identity)
            found = None if footprint is None else memory_fit(footprint)
        except ModelError:  # its device is in another machine
            continue
        if found is not None:
            rows.append(
                {
                    "model": model.identity.name,
                    "weights": format_bytes(found.weights),
                    "keys and values": format_bytes(found.keys_and_values),
                    "free here": format_bytes(found.memory),
                    "fits here": found.verdict,
                }
            )
    return rows


def _damage(planned: Plan) -> Iterator[str]:
    """What is wrong with weights at hand, of which `run` would make failures of their models."""
    from icl_gap.models.hf.folder import check_weights, weight_files

    for model in dict.fromkeys(cell.model for cell in planned.cells):
        folder = model.identity.folder
        if folder is None or "files" not in model.identity.key:
            continue
        try:
            check_weights(weight_files(folder))
        except ModelError as error:
            yield str(error.within(model.place))


def _rate_here(footprint: Footprint) -> float | None:
    """The rate of the model's device; None where it is in another machine."""
    from icl_gap.models.hf.cost import matmul_rate

    try:
        return matmul_rate(footprint)
    except ModelError:
        return None


def _time(seconds: float) -> str:
    return str(timedelta(seconds=math.ceil(seconds)))


def _label(info: CellInfo) -> str:
    return info.model if info.trained else f"{info.model} (untrained)"


def _plan_rows(planned: Plan, cells: list[Cell]) -> list[dict[str, str]]:
    """One row for each number of shots of a model on a benchmark."""
    return [
        _plan_row(planned, [cell for cell in cells if cell.info.shots == shots])
        for shots in dict.fromkeys(cell.info.shots for cell in cells)
    ]


def _plan_row(planned: Plan, cells: list[Cell]) -> dict[str, str]:
    info, context = cells[0].info, cells[0].model.identity.context_length
    sizes = [planned.sizes(cell) for cell in cells]
    tokens = [count for each in sizes for count in each.prompt_tokens]
    requests = sum(cell.info.n_queries for cell in cells)
    skipped = sum(each.skipped for each in sizes)
    shortened = sum(each.shortened for each in sizes)
    return {
        "model": _label(info),
        "benchmark": f"{info.dataset}/{info.split}" + (" (partial)" if info.partial else ""),
        "shots": str(info.shots),
        "cells": f"{len(cells):,}",
        "requests": f"{requests:,}",
        "prompt tokens": f"{sum(tokens):,}" if tokens else "-",
        "longest": f"{max(tokens):,}" if tokens else "-",
        "context": "no limit" if context is None else f"{context:,}",
        "fit": f"{requests - skipped - shortened:,}",
        "fewer shots": f"{shortened:,}",
        "left out": f"{skipped:,}",
    }

"""`icl-gap run`, `icl-gap plan` and `icl-gap prompts`: commands on a sweep file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from icl_gap.cli.console import say, say_note, say_prose, show_progress, show_table, warn
from icl_gap.cli.exits import INTERRUPTED
from icl_gap.cli.results import VerboseOption
from icl_gap.cli.shard_options import MOST_SHARDS, read_shard, show_shards
from icl_gap.errors import AnalysisError, InputError
from icl_gap.text import shots_text

if TYPE_CHECKING:
    from icl_gap.evaluation.estimates import ComputeCost, PromptCounts
    from icl_gap.evaluation.planning import Plan
    from icl_gap.models.hf.memory import MemoryFit
    from icl_gap.plots import FigureRecipe
    from icl_gap.schema import CellInfo


def _sweep_file(name_or_path: str) -> Path:
    from icl_gap.evaluation.config import find_sweep

    return find_sweep(name_or_path)


SweepFile = Annotated[
    Path,
    typer.Argument(
        metavar="SWEEP",
        parser=_sweep_file,
        help="Sweep file, or name of a sweep that ships, as `quickstart`.",
    ),
]
OutFolder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the results.", show_default="results/NAME"),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Run part I of N; see `plan --shards N`."),
]
ExecutorOption = Annotated[
    Literal["local", "ray"] | None,
    typer.Option(
        help="Run here, or on a Ray cluster; starts a local one if none runs.",
        show_default="the sweep's",
    ),
]

_ROOM = ("fit", "fewer shots", "left out")
"""Columns that tell how many prompts fit the context."""
_MULTIPLY = ("shots", "seeds", "query_splits", "conditions", "limit")
"""Keys of a sweep that multiply its requests, and have defaults."""


def run(
    sweep: SweepFile,
    out: OutFolder = None,
    shard: ShardOption = None,
    executor: ExecutorOption = None,
    *,
    models: Annotated[
        list[str] | None,
        typer.Option("--models", metavar="NAME", help="Try just this model; repeatable."),
    ] = None,
    shots: Annotated[
        list[int] | None, typer.Option("--shots", min=0, help="Try just these shots; repeatable.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Try just so many queries of a side.")
    ] = None,
    verbose: VerboseOption = False,
) -> None:
    """Run or resume a sweep, then show its answer and figures.

    `--models`, `--shots` and `--limit` try a part of it, into a folder of its own.
    """
    from icl_gap.cli.answer import show_answer, spent_line
    from icl_gap.cli.results import analysis_of
    from icl_gap.evaluation.config import read_sweep
    from icl_gap.evaluation.planning import outline_sweep
    from icl_gap.evaluation.runner import evaluate_sweep
    from icl_gap.pipeline import FIGURES, draw_figures, read_recipes

    whole = read_sweep(sweep)
    changed = {"executor": executor, "shots": shots and tuple(shots), "limit": limit}
    spec = whole.model_copy(update={name: v for name, v in changed.items() if v is not None})
    folder = out or _results_folder(spec.name, is_trial=bool(models or shots or limit))
    with faults_in(sweep):
        recipes = read_recipes(spec)
    try:
        with faults_in(sweep):
            plan = outline_sweep(spec, shard=read_shard(shard), progress=show_progress)
            plan = plan.only(models) if models else plan
            found = evaluate_sweep(plan, folder, progress=show_progress)
    except KeyboardInterrupt:
        warn(f"stopped; what was answered is kept in {folder}")
        given: dict[str, Sequence[object]] = {
            "--out": [out],
            "--shard": [shard],
            "--executor": [executor],
            "--models": models or (),
            "--shots": shots or (),
            "--limit": [limit],
        }
        warn(f"to go on: icl-gap run {sweep}{_written(given)}")
        raise typer.Exit(INTERRUPTED) from None
    analysis = analysis_of(found)
    files = list(_figure_lines(draw_figures(analysis, recipes, folder / FIGURES)))
    files.append(f"records: {folder / 'cells'}; as a page: icl-gap report {folder}")
    files += [line for line in [spent_line(folder)] if line]
    show_answer(found, analysis, verbose=verbose, files=files)


def _written(options: Mapping[str, Sequence[object]]) -> str:
    """Return options as a command line has them, those that were not given left out."""
    return "".join(
        f" {name} {value}"
        for name, values in options.items()
        for value in values
        if value is not None
    )


def _figure_lines(
    drawn: Iterable[tuple[FigureRecipe, list[Path] | AnalysisError]],
) -> Iterator[str]:
    """Yield why some figures are not drawn, and then where the others are."""
    from icl_gap.cli.results import figure_line

    figures = []
    for recipe, found in drawn:
        if isinstance(found, AnalysisError):
            yield f"note: {recipe.name} is not drawn: {found}"
        else:
            figures.append(found)
    if figures:
        yield figure_line(*figures)


def plan(
    sweep: SweepFile,
    shards: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_SHARDS, help="Only show how the sweep is divided into N parts."
        ),
    ] = None,
    out: OutFolder = None,
) -> None:
    """Show a sweep's grid, prompt sizes and cost; run nothing.

    Time and price are those of the cells that the results folder does not hold yet.
    """
    from icl_gap.cli.detection import show_power
    from icl_gap.cli.prices import PRICE_TITLE, price_notes, price_row
    from icl_gap.cli.servers import SERVER_COLUMNS, server_row
    from icl_gap.evaluation.config import read_sweep
    from icl_gap.evaluation.estimates import (
        compute_costs,
        count_prompts,
        damaged_weights,
        memory_needs,
        note_on_copies,
        server_uses,
        shots_without_gap,
    )
    from icl_gap.evaluation.planning import plan_sweep
    from icl_gap.evaluation.price_estimates import cost_warnings, estimate_prices
    from icl_gap.results import find_kept

    if shards is not None:
        with faults_in(sweep):
            show_shards(sweep, shards)
        return
    with faults_in(sweep):
        planned = plan_sweep(read_sweep(sweep), progress=show_progress)
    show_table(_prompt_rows(list(count_prompts(planned))), left=("model", "benchmark"))
    for line in grid_lines(planned):
        say_prose(line)
    kept = find_kept(out or _results_folder(planned.sweep.name), [c.info for c in planned.cells])
    if kept.finished or kept.answered:
        say_prose(f"kept: {kept}; time and price below are those of cells that are not whole")
    to_do = planned.without(kept.finished)
    with faults_in(sweep):
        costs = list(map(_cost_row, compute_costs(to_do, show_progress)))
        prices = list(estimate_prices(to_do))
    tables = (
        ("computing each shared token once, as far as the gold answers go", costs),
        ("memory, before anything is loaded", list(starmap(_memory_row, memory_needs(planned)))),
        ("servers", list(map(server_row, server_uses(planned)))),
        (PRICE_TITLE, list(map(price_row, prices))),
    )
    for title, rows in tables:
        if rows:
            texts = ("model", "benchmark", "fits here", *SERVER_COLUMNS)
            show_table(rows, title=title, left=texts)
    show_power(planned)
    notes = (
        *price_notes(prices),
        *cost_warnings(prices, to_do),
        *filter(None, [shots_without_gap(planned), note_on_copies(planned)]),
        *damaged_weights(planned),
    )
    for note in notes:
        say_note(str(note))


def grid_lines(plan: Plan) -> Iterator[str]:
    """Yield the size of a sweep: what it multiplies, and which of that the file leaves open."""
    cells = [cell.info for cell in plan.cells]
    counts = {
        ("models", "model"): len(plan.models),
        ("benchmarks", "benchmark"): len({(each.dataset, each.split) for each in cells}),
        ("numbers of shots", "number of shots"): len({each.shots for each in cells}),
        ("sides", "side"): len({each.query_split for each in cells}),
        ("conditions", "condition"): len({each.condition for each in cells}),
        ("seeds", "seed"): len({each.seed for each in cells}),
    }
    grid = ", ".join(f"{n} {name if n > 1 else one}" for (name, one), n in counts.items())
    most = max(each.n_queries for each in cells)
    requests = sum(each.n_queries for each in cells)
    yield f"{grid}, up to {most:,} queries a side: {len(cells):,} cells, {requests:,} requests"
    defaults = {name: getattr(plan.sweep, name) for name in _MULTIPLY}
    left = [f"{k}: {_yaml(v)}" for k, v in defaults.items() if k not in plan.sweep.model_fields_set]
    if left:
        yield f"by default {', '.join(left)}"


def _yaml(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _results_folder(name: str, *, is_trial: bool = False) -> Path:
    """Return the folder of a sweep's results; those of a trial never mix with the sweep's."""
    return Path("results") / (f"{name}-trial" if is_trial else name)


def prompts(
    sweep: SweepFile,
    cell: Annotated[int, typer.Option(help="Index of the cell in the grid, from 0.")] = 0,
    n: Annotated[int, typer.Option("--n", min=1, help="Number of prompts.")] = 1,
) -> None:
    """Print the prompts of one cell."""
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
    chat = getattr(chosen.model.spec, "api", None) == "chat"  # a chat template has written a text
    with faults_in(sweep):
        requests = planned.requests(chosen)
    for request in requests[:n]:
        tokens = "" if request.tokens is None else f", {request.tokens} tokens"
        covered = f"coverage {request.coverage:.2f}"
        fate = "" if request.fits else ", skipped: does not fit"
        say(f"\n--- {request.query_id}{tokens}, {covered}{fate}")
        for message in request.prompt.messages if chat else ():
            say(f"[{message.role}]\n{message.content}")
        if not chat:
            say(request.prompt.text)
        say(f"--- gold: {request.target}")


@contextmanager
def faults_in(sweep: Path) -> Iterator[None]:
    """Add the sweep's file and line to errors that have only the key."""
    from icl_gap.specs import line_of

    try:
        yield
    except InputError as error:
        for fault in (error, *error.others):
            if fault.place.file is None:
                fault.at(file=sweep, line=line_of(sweep, fault.place.key))
        raise


def _prompt_rows(found: Sequence[PromptCounts]) -> list[dict[str, str]]:
    """Return the rows of the table of prompts; where all fit, nothing is said of that."""
    rows = list(map(_prompt_row, found))
    if all(each.fit == each.requests for each in found):
        return [{k: v for k, v in row.items() if k not in _ROOM} for row in rows]
    return rows


def _prompt_row(counts: PromptCounts) -> dict[str, str]:
    info, context = counts.info, counts.context_length
    return {
        "model": _label(info),
        "benchmark": f"{info.dataset}/{info.split}" + (" (partial)" if info.partial else ""),
        "shots": str(info.shots),
        "cells": f"{counts.n_cells:,}",
        "requests": f"{counts.requests:,}",
        "prompt tokens": "-" if counts.tokens is None else f"{counts.tokens:,}",
        "longest": "-" if counts.longest is None else f"{counts.longest:,}",
        "context": "no limit" if context is None else f"{context:,}",
        "fit": f"{counts.fit:,}",
        "fewer shots": f"{counts.shortened:,}",
        "left out": f"{counts.skipped:,}",
    }


def _cost_row(cost: ComputeCost) -> dict[str, str]:
    return {
        "model": cost.model,
        "benchmark": cost.benchmark,
        "requests": f"{cost.sizes.requests:,}",
        "tokens written": f"{cost.sizes.written:,}",
        "after sharing": f"{cost.sizes.computed:,}",
        "TFLOP": f"{cost.operations / 1e12:,.1f}",
        "GFLOP/s here": "-" if cost.rate is None else f"{cost.rate / 1e9:,.0f}",
        "estimated time": "-" if cost.seconds is None else _time(cost.seconds),
    }


def _memory_row(model: str, needs: MemoryFit) -> dict[str, str]:
    from icl_gap.models.hf.memory import format_bytes

    return {
        "model": model,
        "weights": format_bytes(needs.weights),
        "keys and values": format_bytes(needs.keys_and_values),
        "free here": format_bytes(needs.memory),
        "fits here": needs.verdict,
    }


def _time(seconds: float) -> str:
    return str(timedelta(seconds=math.ceil(seconds)))


def _label(info: CellInfo) -> str:
    return info.model if info.trained else f"{info.model} (untrained)"

"""`icl-gap analyze` and `plot`: commands on a results folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.cli.console import say, show_progress, show_table, waiting
from icl_gap.errors import AnalysisError
from icl_gap.schema import Metric, ScaleKey

if TYPE_CHECKING:
    from icl_gap.analysis import Analysis
    from icl_gap.plots import FigureRecipe
    from icl_gap.results import Results

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="What `icl-gap run` wrote.")]
Match = Annotated[
    Metric,
    typer.Option(help="Match of the strings, of their normal forms, or of what programs do."),
]
Against = Annotated[
    ScaleKey,
    typer.Option(help="What gaps are fitted against."),
]
EstimatedSizes = Annotated[
    bool, typer.Option("--estimated-sizes", help="Fit models whose size is only estimated, too.")
]


def analyze(
    results: Folder,
    *,
    metric: Match = "raw",
    against: Against = "n_params",
    estimated_sizes: EstimatedSizes = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show gaps with their intervals, and their fit against scale."""
    from icl_gap.results import open_results

    found = open_results(results)
    analysis = analysis_of(found, metric, against, estimated_sizes=estimated_sizes)
    if as_json:
        say(json.dumps(analysis.to_json(), indent=1))
    else:
        show(found, analysis, evidence=True)


def analysis_of(
    results: Results,
    metric: Metric = "raw",
    against: ScaleKey = "n_params",
    *,
    estimated_sizes: bool = False,
) -> Analysis:
    """Read of the results what statistics need, and analyze it."""
    from icl_gap.analysis import analyze as measured
    from icl_gap.results import OUTCOMES

    frame = results.frame(OUTCOMES, progress=show_progress)
    with waiting("resampling"):
        return measured(frame, metric=metric, against=against, estimated_sizes=estimated_sizes)


def plot(
    results: Folder,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="A figure recipe: a file, or the name of a shipped one.",
            show_default="all that ship and have something to show",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures.", show_default="RESULTS/figures")
    ] = None,
    *,
    metric: Match = "raw",
    against: Against = "n_params",
    estimated_sizes: EstimatedSizes = False,
) -> None:
    """Draw figures as PNG, PDF and SVG, their points as CSV."""
    from icl_gap.plots import read_recipe
    from icl_gap.results import open_results

    chosen = None if recipe is None else read_recipe(recipe)
    found = open_results(results)
    analysis = analysis_of(found, metric, against, estimated_sizes=estimated_sizes)
    folder = out or results / "figures"
    if chosen is None:
        _draw_all(analysis, folder)
    else:
        _draw(analysis, chosen, folder)


def _draw_all(analysis: Analysis, folder: Path) -> None:
    """Draw what ships, and say why where a figure would show nothing."""
    from icl_gap.plots import nothing_to_draw, shipped_recipes

    recipes = shipped_recipes()
    reasons = {recipe.name: nothing_to_draw(analysis, recipe) for recipe in recipes}
    if all(reasons.values()):
        told = dict.fromkeys(reason for reason in reasons.values() if reason)
        raise AnalysisError("no figure has anything to show:\n" + "\n".join(told))
    for recipe in recipes:
        if reason := reasons[recipe.name]:
            say(f"note: {recipe.name} is not drawn: {reason}")
        else:
            _draw(analysis, recipe, folder)


def show(results: Results, analysis: Analysis, *, evidence: bool = False) -> None:
    """Print a table of gaps, one of fits, and what must be said beside them.

    Args:
        results: Finished cells.
        analysis: Of these cells.
        evidence: Print a table of tests and other intervals too.
    """
    from icl_gap.analysis import (
        SCALES,
        common_table,
        evidence_table,
        fit_table,
        reasoning_table,
        table,
    )
    from icl_gap.evaluation.precision import read_checks
    from icl_gap.metrics import METRICS

    tables = {
        f"{METRICS[analysis.metric].name}, {analysis.confidence:.0%} intervals": table(analysis),
        "beside the gaps; one test for each seed": evidence_table(analysis) if evidence else [],
        f"fit of the gap against scale: {SCALES[analysis.against].label}": fit_table(analysis),
        "one slope for all families": common_table(analysis),
        "reasoning gap of composed questions": reasoning_table(analysis),
    }
    words = ("benchmark", "model", "queries", "family", "families", "exemplars")
    for title, rows in tables.items():
        if rows:
            show_table(rows, title=title, left=words)
    if unresolved := [point for point in analysis.points if point.gap is None]:
        first = unresolved[0]
        say(
            f"note: {len(unresolved)} gaps are unresolved; {first.place}, {first.query_split} "
            f"queries: {first.unresolved_because}"
        )
    for note in analysis.notes:
        say(f"note: {note}")
    for check in read_checks(results.folder):
        say(str(check))
    if results.unfinished:
        say(f"note: {len(results.unfinished)} cells of the sweep are not finished")
    if results.failed:
        say(
            f"note: requests failed in {len(results.failed)} cells; "
            "running the sweep again asks them anew"
        )


def _draw(analysis: Analysis, recipe: FigureRecipe, folder: Path) -> None:
    """Draw one figure and say where it is."""
    from icl_gap.plots import plot as write

    show_figure(write(analysis, recipe, folder))


def show_figure(files: Sequence[Path]) -> None:
    """Say where a figure is.

    Args:
        files: Its files, the first of which is named whole.
    """
    names = ", ".join(file.suffix.removeprefix(".") for file in files[1:])
    say(f"figure: {files[0]} (also {names})")

"""`icl-gap analyze` and `icl-gap plot`: gaps and figures of a results folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
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

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="Results folder.")]
MetricOption = Annotated[
    Metric,
    typer.Option(help="Match to count: of strings, of normal forms, of execution results."),
]
AgainstOption = Annotated[ScaleKey, typer.Option(help="Scale to fit the gap against.")]
EstimatedSizes = Annotated[
    bool, typer.Option("--estimated-sizes", help="Also fit models whose size is an estimate.")
]

_TEXT_COLUMNS = ("benchmark", "model", "queries", "family", "families", "exemplars")


def analyze(
    results: Folder,
    *,
    metric: MetricOption = "raw",
    against: AgainstOption = "n_params",
    estimated_sizes: EstimatedSizes = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show gaps with intervals, and their fit against scale."""
    from icl_gap.results import open_results

    found = open_results(results)
    analysis = analysis_of(found, metric, against, estimated_sizes=estimated_sizes)
    if as_json:
        say(json.dumps(analysis.to_json(), indent=1))
    else:
        show_analysis(found, analysis, evidence=True)


def analysis_of(
    results: Results,
    metric: Metric = "raw",
    against: ScaleKey = "n_params",
    *,
    estimated_sizes: bool = False,
) -> Analysis:
    """Analyze results; only the columns that the analysis needs are read."""
    from icl_gap.analysis import analyze as analyze_frame
    from icl_gap.results import OUTCOMES

    frame = results.frame(OUTCOMES, progress=show_progress)
    with waiting("resampling"):
        return analyze_frame(frame, metric=metric, against=against, estimated_sizes=estimated_sizes)


def plot(
    results: Folder,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Figure recipe: a file, or a name of the package's.",
            show_default="all of the package that apply",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures.", show_default="RESULTS/figures")
    ] = None,
    *,
    metric: MetricOption = "raw",
    against: AgainstOption = "n_params",
    estimated_sizes: EstimatedSizes = False,
) -> None:
    """Draw figures as PNG, PDF and SVG, with points as CSV."""
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
    """Draw the figures of the package; say why one is left out."""
    from icl_gap.plots import nothing_to_draw, shipped_recipes

    recipes = shipped_recipes()
    reasons = {recipe.name: nothing_to_draw(analysis, recipe) for recipe in recipes}
    if all(reasons.values()):
        distinct = dict.fromkeys(reason for reason in reasons.values() if reason)
        raise AnalysisError("no figure has anything to show:\n" + "\n".join(distinct))
    for recipe in recipes:
        if reason := reasons[recipe.name]:
            say(f"note: {recipe.name} is not drawn: {reason}")
        else:
            _draw(analysis, recipe, folder)


def show_analysis(results: Results, analysis: Analysis, *, evidence: bool = False) -> None:
    """Print the tables of an analysis, and its notes.

    Args:
        results: The finished cells.
        analysis: Analysis of these cells.
        evidence: Print the table of tests and further intervals too.
    """
    from icl_gap import analysis as tables
    from icl_gap.metrics import METRICS

    match = METRICS[analysis.metric].name
    scale = tables.SCALES[analysis.against].label
    rows_of = {
        f"{match}, {analysis.confidence:.0%} intervals": tables.gap_table(analysis),
        "further intervals and tests; one McNemar test per seed": tables.evidence_table(analysis)
        if evidence
        else [],
        f"fit of the gap against scale: {scale}": tables.fit_table(analysis),
        "one slope for all families": tables.common_table(analysis),
        "reasoning gap of composed questions": tables.reasoning_table(analysis),
    }
    for title, rows in rows_of.items():
        if rows:
            show_table(rows, title=title, left=_TEXT_COLUMNS)
    for note in _notes(results, analysis):
        say(note)


def _notes(results: Results, analysis: Analysis) -> Iterator[str]:
    """Yield the remarks below the tables: unresolved gaps, notes, precision checks, failures."""
    from icl_gap.evaluation.precision import read_checks

    if unresolved := [point for point in analysis.points if point.gap is None]:
        first = unresolved[0]
        yield (
            f"note: {len(unresolved)} gaps are unresolved; {first.label}, {first.query_split} "
            f"queries: {first.unresolved_because}"
        )
    yield from (f"note: {note}" for note in analysis.notes)
    yield from map(str, read_checks(results.folder))
    if results.unfinished:
        yield f"note: {len(results.unfinished)} cells of the sweep are not finished"
    if results.failed:
        yield (
            f"note: requests failed in {len(results.failed)} cells; "
            "run the sweep again to retry them"
        )


def _draw(analysis: Analysis, recipe: FigureRecipe, folder: Path) -> None:
    """Draw one figure and print the paths of its files."""
    from icl_gap.plots import plot as plot_analysis

    show_figure(plot_analysis(analysis, recipe, folder))


def show_figure(files: Sequence[Path]) -> None:
    """Print the paths of a figure.

    Args:
        files: Its files; the first path is printed in full, the others by their suffix.
    """
    names = ", ".join(file.suffix.removeprefix(".") for file in files[1:])
    say(f"figure: {files[0]} (also {names})")

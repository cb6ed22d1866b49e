"""`icl-gap analyze` and `icl-gap plot`: gaps and figures of a results folder."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.analysis import MARGIN
from icl_gap.cli.console import say, say_note, show_progress, show_table, waiting
from icl_gap.errors import AnalysisError, InputError
from icl_gap.schema import FigureForm, Metric, ScaleKey

if TYPE_CHECKING:
    from icl_gap.analysis import Analysis
    from icl_gap.analysis.bayes.hierarchical_fit import HierarchicalCheck
    from icl_gap.plots import FigureRecipe
    from icl_gap.results import Results

Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="Results folder.")]
MetricOption = Annotated[
    Metric,
    typer.Option(help="Match to count: of strings, of normal forms, of execution results."),
]
AgainstOption = Annotated[ScaleKey, typer.Option(help="Scale to fit the gap against.")]
MarginOption = Annotated[
    float, typer.Option(help="Largest gap, or change of the gap, that counts as none.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print all tables and notes, not just the answer.")
]
EstimatedSizes = Annotated[
    bool, typer.Option("--estimated-sizes", help="Also fit models whose size is an estimate.")
]

ClusterOption = Annotated[
    str | None,
    typer.Option(
        help="Field by which queries are resampled together: `template`, `target`, `source` of "
        "the query, or a column of frames of results.",
        show_default="each query alone",
    ),
]
CompareOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        metavar="A B",
        help="Subtract the gaps of two models, or of `shots=5 shots=10`, or of "
        "`selection=random selection=bm25`, all else equal.",
        show_default=False,
    ),
]
BesideOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="RESULTS",
        help="Further results folder to analyze in one with the first, such as one with another "
        "selection.",
        show_default=False,
    ),
]


def analyze(
    results: Folder,
    *,
    metric: MetricOption = "raw",
    against: AgainstOption = "n_params",
    estimated_sizes: EstimatedSizes = False,
    margin: MarginOption = MARGIN,
    at: Annotated[
        list[str] | None,
        typer.Option(help="Predict the gap of a new model of this scale, e.g. 70b; repeatable."),
    ] = None,
    cluster: ClusterOption = None,
    compare: CompareOption = None,
    beside: BesideOption = None,
    verbose: VerboseOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    latex: Annotated[
        bool, typer.Option("--latex", help="Print the gaps as LaTeX tables (booktabs).")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(help="Folder to write everything to, as CSV files.")
    ] = None,
    bayes: Annotated[
        bool,
        typer.Option("--bayes", help="Add a Bayesian mixed model; needs icl-gap[bayes]."),
    ] = False,
) -> None:
    """Say whether scale closes the gap, with all numbers."""
    from icl_gap.analysis import latex_tables
    from icl_gap.cli.answer import checks_json, show_answer, write_csv
    from icl_gap.results import open_results

    found = open_results(results)
    check = check_of(found, metric, against, estimated_sizes=estimated_sizes) if bayes else None
    scales = tuple(map(read_count, at or ()))
    analysis = analysis_of(
        found,
        metric,
        against,
        estimated_sizes=estimated_sizes,
        margin=margin,
        at=scales,
        cluster=cluster,
        compare=compare,
        beside=[open_results(folder) for folder in beside or ()],
    )
    if csv is not None:
        write_csv(analysis, csv, tokens=checks_json(found).get("tokens", ()))
    if as_json:
        more = check.to_json() if check else {}
        say(json.dumps(analysis.to_json() | more | checks_json(found), indent=1))
    elif latex:
        say(latex_tables(analysis))
    else:
        if check:
            show_check(check)
        show_answer(found, analysis, verbose=verbose)


def read_count(text: str) -> float:
    """Return a number such as `70b`, `350M` or `1e21`.

    Raises:
        InputError: It is no positive number.
    """
    factors = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
    digits, factor = text.strip(), 1.0
    if digits[-1:].lower() in factors:
        digits, factor = digits[:-1], factors[digits[-1].lower()]
    try:
        count = float(digits) * factor
    except ValueError:
        count = 0.0
    if not 0 < count < math.inf:
        raise InputError(
            "not a size to predict the gap at", value=text, allowed="e.g. 70b, 350M or 1e21"
        )
    return count


def analysis_of(
    results: Results,
    metric: Metric = "raw",
    against: ScaleKey = "n_params",
    *,
    estimated_sizes: bool = False,
    margin: float = MARGIN,
    at: Sequence[float] = (),
    cluster: str | None = None,
    compare: tuple[str, str] | None = None,
    beside: Sequence[Results] = (),
) -> Analysis:
    """Analyze results; only the columns that the analysis needs are read."""
    from icl_gap.analysis import analyze as analyze_frame
    from icl_gap.analysis.clusters import read_outcome_frame

    frame = read_outcome_frame([results, *beside], cluster, progress=show_progress)
    with waiting("resampling"):
        return analyze_frame(
            frame,
            metric=metric,
            against=against,
            estimated_sizes=estimated_sizes,
            margin=margin,
            at=at,
            cluster=cluster,
            compare=compare,
        )


def check_of(
    results: Results, metric: Metric, against: ScaleKey, *, estimated_sizes: bool
) -> HierarchicalCheck:
    """Fit the mixed model to each group of results that has enough sizes."""
    from icl_gap.analysis.bayes.hierarchical import check_hierarchically
    from icl_gap.analysis.bayes.mixed_model import require_bayes
    from icl_gap.results import OUTCOMES

    require_bayes()
    frame = results.frame(OUTCOMES, progress=show_progress)
    return check_hierarchically(
        frame,
        metric=metric,
        against=against,
        estimated_sizes=estimated_sizes,
        progress=show_progress,
    )


def show_check(check: HierarchicalCheck) -> None:
    """Print the table of a hierarchical check, and why some fits are not to be trusted."""
    from icl_gap.analysis.bayes.hierarchical_fit import hierarchical_table

    if check.fits:
        title = f"hierarchical check (mixed model), {check.confidence:.0%} intervals"
        show_table(hierarchical_table(check), title=title, left=("family", "benchmark", "queries"))
    for fit in check.fits:
        for doubt in fit.doubts:
            say_note(f"hierarchical check not trusted: {doubt}: {fit.label}")
    for note in check.notes:
        say_note(str(note))


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
    form: Annotated[
        FigureForm,
        typer.Option(
            "--for",
            help="`web` for screens; `print` for a page: as wide as its column, the caption apart.",
        ),
    ] = "web",
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
        _draw_all(analysis, folder, form)
    else:
        _draw(analysis, chosen, folder, form)


def _draw_all(analysis: Analysis, folder: Path, form: FigureForm) -> None:
    """Draw the figures of the package; say why one is left out."""
    from icl_gap.plots import nothing_to_draw, shipped_recipes

    recipes = shipped_recipes()
    reasons = {recipe.name: nothing_to_draw(analysis, recipe) for recipe in recipes}
    if all(reasons.values()):
        distinct = dict.fromkeys(reason for reason in reasons.values() if reason)
        raise AnalysisError("no figure has anything to show:\n" + "\n".join(distinct))
    for recipe in recipes:
        if reason := reasons[recipe.name]:
            say_note(f"{recipe.name} is not drawn: {reason}")
        else:
            _draw(analysis, recipe, folder, form)


def _draw(analysis: Analysis, recipe: FigureRecipe, folder: Path, form: FigureForm) -> None:
    """Draw one figure and print the paths of its files."""
    from icl_gap.plots import plot as plot_analysis

    say(figure_line(plot_analysis(analysis, recipe, folder, form=form)))


def figure_line(*figures: Sequence[Path]) -> str:
    """Return a line with the paths of figures' first files, and the suffixes of the others."""
    first, *others = (files[0] for files in figures)
    names = ", ".join([str(first), *(path.name for path in others)])
    suffixes = ", ".join(file.suffix.removeprefix(".") for file in figures[0][1:])
    return f"figure{'s' if others else ''}: {names} (also {suffixes})"

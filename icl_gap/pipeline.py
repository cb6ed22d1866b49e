"""The whole pipeline of a sweep: run it, analyze its results, draw its figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from icl_gap.analysis import Analysis, analyze
from icl_gap.errors import AnalysisError, InputError, Place
from icl_gap.evaluation.config import AnySweep, SweepSpec, read_sweep
from icl_gap.evaluation.planning import Plan
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.plots import FigureRecipe, plot, read_recipe
from icl_gap.progress import Progress
from icl_gap.progress_bars import interactive_progress
from icl_gap.results import OUTCOMES, Results

FIGURES = "figures"
"""The folder of figures, within that of the results."""
_log = logging.getLogger(__name__)


def run_sweep(
    sweep: AnySweep | Plan,
    folder: str | Path | None = None,
    *,
    progress: Progress = interactive_progress,
) -> Results:
    """Run a sweep, or go on with one that was stopped, and draw its figures.

    A figure that has nothing to show is left out, with a warning in the log.

    Args:
        sweep: The sweep, in any form that `read_sweep` takes; or its plan or outline, which saves
            planning it again.
        folder: The results folder; default `results/` and the sweep's name. Figures go to its
            folder `figures`.
        progress: Shows progress; by default in a notebook and at a prompt.

    Returns:
        All results of the sweep, earlier ones included; their `frame()` is what `analyze` takes.

    Raises:
        InputError: The sweep cannot be run as it is; nothing was run.
        InferenceError: A model could not be loaded, or failed in some cells. All others are
            finished and stored, and running the sweep again tries just the failed ones.
        StoreError: The folder cannot be written, or another run is writing there.
    """
    planned = sweep if isinstance(sweep, Plan) else read_sweep(sweep)
    recipes = read_recipes(planned.sweep if isinstance(planned, Plan) else planned)
    results = evaluate_sweep(planned, folder, progress=progress)
    if recipes:
        try:
            analysis = analyze(results.frame(OUTCOMES, progress=progress))
        except AnalysisError as error:
            _log.warning("no figure is drawn: %s", error)
            return results
        for recipe, drawn in draw_figures(analysis, recipes, results.folder / FIGURES):
            if isinstance(drawn, AnalysisError):
                _log.warning("%s is not drawn: %s", recipe.name, drawn)
    return results


def read_recipes(sweep: SweepSpec) -> list[FigureRecipe]:
    """Read the recipes of a sweep's figures.

    Raises:
        InputError: One cannot be read.
    """
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


def draw_figures(
    analysis: Analysis, recipes: Sequence[FigureRecipe], folder: Path
) -> Iterator[tuple[FigureRecipe, list[Path] | AnalysisError]]:
    """Draw figures.

    Args:
        analysis: The analysis to draw.
        recipes: The recipes of the figures.
        folder: The folder of the figures; made if missing.

    Yields:
        Each recipe with the files that were written, or with why it has nothing to show.
    """
    for recipe in recipes:
        try:
            yield recipe, plot(analysis, recipe, folder)
        except AnalysisError as error:  # a sweep of one side has no pooled gap to draw
            yield recipe, error

"""`icl-gap store`: verify, repair and merge the files of results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.cli.console import say, show_progress

if TYPE_CHECKING:
    from icl_gap.results import DamagedFile, Results

app = typer.Typer(help="Verify, repair and merge the files of results.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="The results folder.")]


@app.command()
def verify(results: Folder) -> None:
    """Check every line of every file of a results folder.

    The exit code is 1 if a file is damaged or missing. Cells that the sweep has not run yet are
    listed; they are no fault.
    """
    from icl_gap.results import missing_cells, open_results, verify_store

    damaged = verify_store(results, progress=show_progress)
    _list(damaged)
    if damaged:
        say(f"to repair them: icl-gap store repair {results}")
        raise typer.Exit(1)
    found = open_results(results)
    if absent := missing_cells(results):
        of = len(found) + len(found.unfinished)
        say(f"{len(absent)} of {of} cells are not there yet: {', '.join(absent)}")
    _check_comparable(found)
    say("every file is as it was written")


@app.command()
def repair(results: Folder) -> None:
    """Set damaged files aside, and keep their intact records.

    The next run of the sweep computes the other records again.
    """
    from icl_gap.results import repair_store

    damaged = repair_store(results, progress=show_progress)
    _list(damaged)
    if damaged:
        say(f"set aside in {results / 'damaged'}; run the sweep again to go on")
    else:
        say("every file is as it was written")


@app.command()
def merge(
    parts: Annotated[
        list[Path], typer.Argument(metavar="PART...", help="Results folders of one sweep.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for all of its results.")],
) -> None:
    """Merge the parts of a sweep that ran on several machines."""
    from icl_gap.results import merge_stores, open_results

    merge_stores(parts, out, progress=show_progress)
    results = open_results(out)
    say(f"{len(results)} cells in {out}, {len(results.unfinished)} not finished")


def _check_comparable(results: Results) -> None:
    """Check that the finished cells can be compared, as every analysis needs.

    Raises:
        AnalysisError: They cannot be compared.
    """
    from icl_gap.analysis.pairing import pair
    from icl_gap.results import OUTCOMES

    if results:
        pair(results.frame(OUTCOMES, progress=show_progress), "raw")


def _list(damaged: Sequence[DamagedFile]) -> None:
    for each in damaged:
        say(str(each))

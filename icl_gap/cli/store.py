"""`icl-gap store`: check the files of results, and mend what is damaged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icl_gap.cli.console import say, show_progress

if TYPE_CHECKING:
    from icl_gap.results import DamagedFile, Results

app = typer.Typer(
    help="Check the files of results, and mend what is damaged.", no_args_is_help=True
)
Folder = Annotated[Path, typer.Argument(metavar="RESULTS", help="The results folder.")]


@app.command()
def verify(results: Folder) -> None:
    """Check every line of every file; exit with 1 if one is damaged or missing.

    Cells that the sweep has not come to are named too; they are no fault.
    """
    from icl_gap.results import missing_cells, open_results, verify_store

    faults = verify_store(results, progress=show_progress)
    _tell(faults)
    if faults:
        say(f"to mend: icl-gap store repair {results}")
        raise typer.Exit(1)
    found = open_results(results)
    if absent := missing_cells(results):
        of = len(found) + len(found.unfinished)
        say(f"{len(absent)} of {of} cells are not there yet: {', '.join(absent)}")
    _check_comparable(found)
    say("every file is as it was written")


@app.command()
def repair(results: Folder) -> None:
    """Set damaged files aside and keep their good records; a run asks for the others."""
    from icl_gap.results import repair_store

    faults = repair_store(results, progress=show_progress)
    _tell(faults)
    if faults:
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
    """Bring the parts of a sweep together that machines have run apart."""
    from icl_gap.results import merge_stores, open_results

    merge_stores(parts, out, progress=show_progress)
    results = open_results(out)
    say(f"{len(results)} cells in {out}, {len(results.unfinished)} not finished")


def _check_comparable(results: Results) -> None:
    """Check what every analysis needs of the cells that are there.

    Raises:
        AnalysisError: They cannot be compared.
    """
    from icl_gap.analysis.pairing import pair
    from icl_gap.results import OUTCOMES

    if results:
        pair(results.frame(OUTCOMES, progress=show_progress), "raw")


def _tell(faults: Sequence[DamagedFile]) -> None:
    for fault in faults:
        say(str(fault))

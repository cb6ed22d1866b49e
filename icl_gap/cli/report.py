"""`icl-gap report`: a results folder as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icl_gap.cli.console import say, show_progress
from icl_gap.cli.results import Against, EstimatedSizes, Folder, Match, analysis_of


def report(
    results: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file.", show_default="RESULTS/report.html"),
    ] = None,
    *,
    metric: Match = "raw",
    against: Against = "n_params",
    estimated_sizes: EstimatedSizes = False,
) -> None:
    """Write the study as one page: the answer, figures, tables, every request.

    The page is a single file and needs no network. The texts of prompts come from the benchmarks
    at hand; without them the page names examples by their ids.
    """
    from icl_gap.report import write_report
    from icl_gap.results import open_results

    found = open_results(results)
    path = out or results / "report.html"
    analysis = analysis_of(found, metric, against, estimated_sizes=estimated_sizes)
    write_report(found, analysis, path, progress=show_progress)
    say(f"report: {path} ({path.stat().st_size / 1e6:,.1f} MB)")

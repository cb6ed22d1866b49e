"""`icl-gap report`: a results folder as one HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icl_gap.cli.console import say, show_progress
from icl_gap.cli.results import AgainstOption, EstimatedSizes, Folder, MetricOption, analysis_of


def report(
    results: Folder,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The HTML file.", show_default="RESULTS/report.html"),
    ] = None,
    *,
    metric: MetricOption = "raw",
    against: AgainstOption = "n_params",
    estimated_sizes: EstimatedSizes = False,
) -> None:
    """Write results as one HTML page, with every request.

    The page holds the answer in words, figures, tables and all requests. It is a single file and
    needs no network. Prompts are rebuilt from the benchmarks of the run; if these are not
    available, the page names examples by their ids.
    """
    from icl_gap.report import write_report
    from icl_gap.results import open_results

    found = open_results(results)
    path = out or results / "report.html"
    analysis = analysis_of(found, metric, against, estimated_sizes=estimated_sizes)
    write_report(found, analysis, path, progress=show_progress)
    say(f"report: {path} ({path.stat().st_size / 1e6:,.1f} MB)")

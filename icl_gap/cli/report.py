"""`icl-gap report`: a results folder as one HTML page, or two compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icl_gap.cli.console import say, show_progress
from icl_gap.cli.results import AgainstOption, EstimatedSizes, Folder, MetricOption, analysis_of


def report(
    results: Folder,
    other: Annotated[
        Path | None,
        typer.Argument(
            metavar="OTHER",
            help="A second results folder, to compare with the first on the same queries.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="The HTML file.",
            show_default="RESULTS/report.html, or OTHER/comparison.html",
        ),
    ] = None,
    *,
    metric: MetricOption = "raw",
    against: AgainstOption = "n_params",
    estimated_sizes: EstimatedSizes = False,
) -> None:
    """Write results as one HTML page, or compare two.

    The page holds the answer in words, figures, tables and all requests. It is a single file and
    needs no network. Prompts are rebuilt from the benchmarks of the run; if these are not
    available, the page names examples by their ids. With two folders, the page holds the gaps of
    both and the requests whose outcome differs.
    """
    from icl_gap.report import write_comparison, write_report
    from icl_gap.results import open_results

    found = [open_results(folder) for folder in (results, other) if folder is not None]
    analyses = [
        analysis_of(each, metric, against, estimated_sizes=estimated_sizes) for each in found
    ]
    if other is None:
        path = out or results / "report.html"
        write_report(found[0], analyses[0], path, progress=show_progress)
    else:
        path = out or other / "comparison.html"
        first, second = zip(found, analyses, strict=True)
        write_comparison(first, second, path, progress=show_progress)
    say(f"report: {path} ({path.stat().st_size / 1e6:,.1f} MB)")

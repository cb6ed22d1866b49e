"""`icl-gap score`: exact match of a file of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icl_gap.cli.console import say, show_table, waiting


def score(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS.jsonl",
            help='Lines of {"prediction": …, "target": …}, with an optional "id".',
        ),
    ],
    benchmark: Annotated[
        str, typer.Option(help="Benchmark of the predictions: a card's name or path.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="File for the outcomes of each prediction, a JSON object a line.",
        ),
    ] = None,
) -> None:
    """Score a file of predictions by exact match."""
    from icl_gap.metrics import METRICS
    from icl_gap.scoring import score_predictions

    with waiting("scoring"):
        summary, why = score_predictions(predictions, dataset=benchmark, out=out)
    say(f"{summary.n:,} predictions; 95% intervals are Wilson's, for independent predictions")
    for metric, accuracy in summary.accuracies.items():
        interval = summary.interval(metric)
        if accuracy is None or interval is None:
            shown = f"not measured: {why}"
        else:
            shown = f"{accuracy:.4f}  [{interval[0]:.4f}, {interval[1]:.4f}]"
        say(f"{METRICS[metric].name:<21}  {shown}")
    if summary.reasons:
        rows = [{"reason": r, "predictions": f"{n:,}"} for r, n in summary.reasons.items()]
        show_table(rows, left=("reason",))
    if out is not None:
        say(f"scores: {out}")

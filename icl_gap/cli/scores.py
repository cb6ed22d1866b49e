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
    dataset: Annotated[
        str, typer.Option(help="Benchmark of the predictions: a card's name or path.")
    ],
) -> None:
    """Score a file of predictions by exact match."""
    from icl_gap.metrics import METRICS
    from icl_gap.scoring import score_predictions

    with waiting("scoring"):
        summary, why = score_predictions(predictions, dataset=dataset)
    say(f"{summary.n:,} predictions")
    for metric, accuracy in summary.accuracies.items():
        shown = f"not measured: {why}" if accuracy is None else f"{accuracy:.4f}"
        say(f"{METRICS[metric].name:<21}  {shown}")
    if summary.reasons:
        rows = [{"reason": r, "predictions": f"{n:,}"} for r, n in summary.reasons.items()]
        show_table(rows, left=("reason",))

"""`icl-gap score`: exact match of anyone's predictions."""

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
            help='Lines of {"prediction": …, "target": …}, and an "id" if you like.',
        ),
    ],
    dataset: Annotated[
        str, typer.Option(help="Benchmark of the predictions: a card's name or path.")
    ],
) -> None:
    """Score anyone's predictions by exact match."""
    from icl_gap.scoring import score_predictions

    with waiting("scoring"):
        summary, why = score_predictions(predictions, dataset=dataset)
    say(f"{summary.n:,} predictions")
    say(f"raw exact match        {summary.raw:.4f}")
    say(f"canonical exact match  {summary.canonical:.4f}")
    if summary.execution is None:
        say(f"execution match        not measured: {why}")
    else:
        say(f"execution match        {summary.execution:.4f}")
    if summary.reasons:
        rows = [{"reason": r, "predictions": f"{n:,}"} for r, n in summary.reasons.items()]
        show_table(rows, left=("reason",))

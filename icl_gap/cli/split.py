"""`icl-gap split`: new splits of a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from icl_gap.cli.benchmarks import Name, Root
from icl_gap.cli.console import say, waiting


def split(
    name: Name,
    *,
    method: Annotated[
        Literal["mcd", "length", "template", "random"],
        typer.Option(help="What separates the sides; `mcd` maximizes compound divergence."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the card and its files.")],
    of: Annotated[
        str | None,
        typer.Option(help="Split whose examples are divided.", show_default="the card's default"),
    ] = None,
    share: Annotated[float, typer.Option(help="Share of test examples.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    root: Root = None,
) -> None:
    """Divide a benchmark anew, and write a card of the new split."""
    from icl_gap.data.resplitting import resplit

    with waiting("dividing"):
        divided = resplit(name, method, out, of=of, share=share, seed=seed, root=root)
    say(f"train {len(divided.train):,}, test {len(divided.test):,}")
    say(
        f"divergence of atoms {divided.atom_divergence:.4f}, "
        f"of compounds {divided.compound_divergence:.4f}"
    )
    say(f"card: {divided.card}")

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
        typer.Option(help="Maximum compound divergence, or what each side does not have."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the card and its files.")],
    of: Annotated[
        str | None, typer.Option(help="The split whose examples are taken; default: the card's.")
    ] = None,
    share: Annotated[float, typer.Option(help="Of the examples that are tested.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of what is left to chance.")] = 0,
    root: Root = None,
) -> None:
    """Divide a benchmark anew, as a card of your own, and show the divergences reached."""
    from icl_gap.data import load_card, load_split
    from icl_gap.data.resplitting import divide, save_split
    from icl_gap.programs.registry import LANGUAGES

    card = load_card(name)
    benchmark = load_split(card, of, root)
    with waiting("dividing"):
        divided = divide(benchmark, LANGUAGES[card.language], method, share=share, seed=seed)
    path = save_split(divided, card, f"{card.name}-{method}", out)
    say(f"train {len(divided.train):,}, test {len(divided.test):,}")
    say(
        f"divergence of atoms {divided.atom_divergence:.4f}, "
        f"of compounds {divided.compound_divergence:.4f}"
    )
    say(f"card: {path}")

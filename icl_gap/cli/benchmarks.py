"""`icl-gap data`: list, describe, download and check benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icl_gap.cli.console import say, show_progress, show_table, transfer

if TYPE_CHECKING:
    from icl_gap.data import BenchmarkInfo, Verification

app = typer.Typer(
    help="List, describe, download and check benchmarks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="Name of a benchmark, or path of a card.")]
Root = Annotated[
    Path | None,
    typer.Option(help="Folder of benchmark files.", envvar="ICL_GAP_DATA", show_default=False),
]


@app.command("list")
def list_(root: Root = None) -> None:
    """List the benchmarks of the package, and where their data is."""
    from icl_gap.data import list_cards
    from icl_gap.data.locations import find_sources

    rows = [
        {
            "name": card.name,
            "title": card.title,
            "splits": ", ".join(card.splits),
            "data": ", ".join(f.source.kind for f in find_sources(card, root)) or "not here",
        }
        for card in list_cards()
    ]
    show_table(rows, left=tuple(rows[0]))


@app.command()
def info(
    name: Name,
    split: Annotated[
        str | None, typer.Option(help="The split.", show_default="the card's default")
    ] = None,
    root: Root = None,
) -> None:
    """Describe a benchmark: sizes, vocabularies, train-test overlap."""
    from icl_gap.data import describe, load_card, load_split

    card = load_card(name)
    found = describe(load_split(card, split, root))
    say(card.title)
    say(f"licence: {card.licence}\ncitation: {card.citation}\nsplit: {found.split}")
    if found.partial:
        say(f"PARTIAL: {found.partial}; not to be compared with published numbers")
    show_table(_sides(found), left=("",))
    rows = found.test.rows
    say(f"test rows that recur in train: {found.test_rows_in_train:,} of {rows:,}")
    say(f"test rows whose target occurs in train: {found.test_targets_in_train:,} of {rows:,}")
    say(f"fingerprint: {found.fingerprint}")


@app.command()
def fetch(name: Name) -> None:
    """Download a benchmark's files.

    Each file is checked against its sha256 before it is read.
    """
    from icl_gap.data import fetch_benchmark, load_card

    with transfer() as progress:
        done = fetch_benchmark(load_card(name), progress=progress)
    for reason in done.failed:
        say(f"passed over: {reason}")
    if done.folder is None:
        say(f"{done.name} is generated: there is nothing to fetch")
    elif done.already_here:
        say(f"{done.name} is already here: {done.folder}")
    else:
        say(f"fetched {len(done.files):,} files to {done.folder}")


@app.command()
def verify(name: Name, root: Root = None) -> None:
    """Check every file of a benchmark and load every split.

    The exit code is 1 if a checksum differs or a split does not load.
    """
    from icl_gap.data import load_card, verify_benchmark

    found = verify_benchmark(load_card(name), root, progress=show_progress)
    for file in found.files:
        say(f"{_mark(file.ok)}  {file.path}" + ("" if file.ok else f" (found {file.found})"))
    show_table(_splits(found), left=("split", "part", "problem"))
    if not found.ok:
        raise typer.Exit(1)


def _mark(ok: bool) -> str:
    return "ok " if ok else "BAD"


def _sides(found: BenchmarkInfo) -> list[dict[str, str]]:
    rows: list[dict[str, Any]] = [
        {
            "": name,
            "rows": side.rows,
            "distinct rows": side.distinct_rows,
            "distinct targets": side.distinct_targets,
            "source words": side.source_vocabulary,
            "target tokens": side.target_vocabulary,
            "mean (max) source": f"{side.mean_source_length:.1f} ({side.max_source_length})",
            "mean (max) target": f"{side.mean_target_length:.1f} ({side.max_target_length})",
        }
        for name, side in (("train", found.train), ("test", found.test))
    ]
    return [{k: f"{v:,}" if isinstance(v, int) else v for k, v in row.items()} for row in rows]


def _splits(found: Verification) -> list[dict[str, str]]:
    return [
        {
            "split": check.split,
            "train": f"{check.train:,}",
            "test": f"{check.test:,}",
            "part": "-" if check.problem else check.partial or "whole",
            "problem": check.problem or "",
        }
        for check in found.splits
    ]

"""The command line: parse arguments, call the package, print the result.

Every command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from icl_gap.cli import (
    benchmarks,
    cite,
    diagnose,
    report,
    results,
    scores,
    split,
    starter,
    store,
    sweeps,
    zoo,
)
from icl_gap.cli.console import say, show_log
from icl_gap.cli.exits import Commands, exit_code

app = typer.Typer(
    name="icl-gap",
    cls=Commands,
    help="Measure how well language models generalize compositionally in context.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"icl-gap {version('icl-gap')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


app.command()(starter.init)
app.command()(sweeps.run)
app.command()(sweeps.plan)
app.command()(sweeps.prompts)
app.command()(results.analyze)
app.command()(results.plot)
app.command()(diagnose.diagnose)
app.command()(report.report)
app.command()(cite.cite)
app.command()(scores.score)
app.command()(split.split)
app.command()(zoo.models)
app.command()(starter.schema)
app.add_typer(benchmarks.app, name="data")
app.add_typer(store.app, name="store")


def main() -> None:
    """Run the command line; see `icl_gap.cli.exits` for exit codes."""
    show_log()
    sys.exit(exit_code(app))

"""The command line: it parses, calls and prints, and decides nothing.

Every command imports what it needs when it runs, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys

import typer

from icl_gap.cli import audit, benchmarks, report, results, scores, split, store, sweeps, zoo
from icl_gap.cli.console import show_log, warn
from icl_gap.errors import IclGapError

app = typer.Typer(
    name="icl-gap",
    help="Measure how well language models generalize compositionally in context.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(sweeps.run)
app.command()(sweeps.plan)
app.command()(sweeps.prompts)
app.command()(results.analyze)
app.command()(results.plot)
app.command()(audit.audit)
app.command()(report.report)
app.command()(scores.score)
app.command()(split.split)
app.command()(zoo.models)
app.add_typer(benchmarks.app, name="data")
app.add_typer(store.app, name="store")


def main() -> None:
    """Run the command line; faults the user can mend end on one screen with exit code 2."""
    show_log()
    try:
        app()
    except IclGapError as error:
        warn(f"icl-gap: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:  # a path that no system takes, a disk that is gone
        warn(f"icl-gap: {error.filename or 'files'}: {error.strerror or error}")
        sys.exit(1)

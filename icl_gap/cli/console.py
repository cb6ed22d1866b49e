"""Output of the commands: tables, downloads, and text without control characters."""

from __future__ import annotations

import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from icl_gap.cli.tables import lay_out
from icl_gap.progress_bars import show_progress as show_progress  # noqa: PLC0414 (commands import it here)
from icl_gap.progress_columns import Times
from icl_gap.text import printable

_WIDTH_OF_FILES = 160
"""Width in columns if standard output is a file or a pipe, and COLUMNS is not set."""


class _Console(Console):
    """A console that leaves broken pipes to `icl_gap.cli.exits`."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def out() -> Console:
    """Return a console on the current standard output, which may have been redirected."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_FILES
    return _Console(highlight=False, emoji=False, soft_wrap=True, width=width)


def say(text: str) -> None:
    """Print plain text; control characters are escaped, markup is not interpreted."""
    print(printable(text))  # noqa: T201 (rich would turn `:on:` into a picture)


def say_prose(text: str) -> None:
    """Print plain text, wrapped to the terminal's width."""
    say(textwrap.fill(text, out().width, break_long_words=False, break_on_hyphens=False))


def say_note(text: str) -> None:
    """Print a remark, wrapped to the terminal's width."""
    say_prose(f"note: {text}")


def warn(text: str) -> None:
    """Print a line of plain text to standard error."""
    print(printable(text), file=sys.stderr)  # noqa: T201 (errors must reach the user even without rich)


class _Terminal(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(f"{record.levelname.lower()}: {record.getMessage()}")


def show_log() -> None:
    """Print the log of the package to standard error."""
    log = logging.getLogger("icl_gap")
    log.handlers = [_Terminal()]
    log.setLevel(logging.INFO)


def show_table(
    rows: Sequence[dict[str, str]], *, title: str | None = None, left: Sequence[str] = ()
) -> None:
    """Print rows of text under their keys.

    Args:
        rows: Rows with the same keys.
        title: Title above the table.
        left: Keys of left-aligned columns, which hold text; the others are right-aligned.
    """
    console = out()
    if title is not None:
        console.print(Text(f"\n{title}", style="bold"), soft_wrap=False)
    for number, table in enumerate(lay_out(rows, console.width, left=left)):
        if number:
            say("")
        console.print(table, soft_wrap=False)


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """Show a spinner for work of unknown length, if standard error is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(description):
        yield


@contextmanager
def transfer() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Show downloads with size, speed and time left, if standard error is a terminal.

    Yields:
        A function of a file's name, the number of bytes received, and the total or None; None if
        standard error is no terminal.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        Times(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as progress:

        def show(name: str, here: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(printable(name), total=total)
            progress.update(tasks[name], completed=here, total=total)

        yield show

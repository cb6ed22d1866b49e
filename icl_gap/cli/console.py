"""What the commands show: tables, progress, and text that cannot take the terminal over."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from icl_gap.text import printable

T = TypeVar("T")


_WIDTH_OF_FILES = 160
"""Columns where standard output is a file or a pipe, which have no width of their own."""


class _Console(Console):
    """A console that leaves the end of the program to `exits`."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def out() -> Console:
    """Where results go. Made anew, as standard output may be redirected at any time."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_FILES
    return _Console(highlight=False, emoji=False, soft_wrap=True, width=width)


def say(text: str) -> None:
    """Print plain text, letter by letter."""
    print(printable(text))  # noqa: T201 (rich would turn `:on:` into a picture)


def warn(text: str) -> None:
    """Print a line of plain text to standard error."""
    print(printable(text), file=sys.stderr)  # noqa: T201 (errors must reach the user even without rich)


class _Terminal(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        warn(f"{record.levelname.lower()}: {record.getMessage()}")


def show_log() -> None:
    """Print what the package logs, as other lines to standard error."""
    logging.getLogger("icl_gap").handlers = [_Terminal()]


def show_table(
    rows: Sequence[dict[str, str]], *, title: str | None = None, left: Sequence[str] = ()
) -> None:
    """Print rows of text under their keys; columns of numbers stand to the right.

    Args:
        rows: Each with the same keys.
        title: Above the table.
        left: The keys of columns of words.
    """
    table = Table(title=title, title_justify="left", header_style="bold")
    for key in rows[0]:
        words = key in left
        table.add_column(key, justify="left" if words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(value)) for value in row.values()))
    out().print(table, soft_wrap=False)


class _Rate(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s", style="progress.data.speed")


def show_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Show a progress bar with rate and time left; nothing where no terminal looks on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield from items
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(items, total=total, description=printable(description))


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """Show that something goes on whose end cannot be told; nothing where no terminal looks on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(description):
        yield


@contextmanager
def transfer() -> Iterator[Callable[[str, int, int | None], None] | None]:
    """Show downloads with size, speed and time left; nothing where no terminal looks on.

    Yields:
        A function that takes a file's name, the bytes here and the bytes in all.
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
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as progress:

        def show(name: str, here: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(printable(name), total=total)
            progress.update(tasks[name], completed=here, total=total)

        yield show

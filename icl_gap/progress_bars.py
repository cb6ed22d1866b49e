"""Progress bars, in a terminal and in a notebook.

Library code prints nothing unasked. So the default of Python functions, `interactive_progress`,
shows a bar in a notebook and at the prompt of an interpreter, where a person has just called the
function and waits for it, and nothing in a script or inside another program. `show_progress` asks
for a bar there too, `no_progress` for none anywhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from html import escape
from typing import TYPE_CHECKING, Any, TypeVar

from icl_gap.progress import no_progress
from icl_gap.text import printable

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
NOTEBOOK_PATIENCE = 0.5
"""Seconds that work takes before a notebook shows a bar, as bars in a notebook stay."""
_AT_ONCE = 0.1
"""Seconds in which items are finished together."""
_REFRESH = 0.2
"""Seconds between two updates of a bar in a notebook."""


def interactive_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Show a progress bar in a notebook and at an interpreter's prompt, and nothing elsewhere."""
    watched = in_notebook() or hasattr(sys, "ps1") or bool(sys.flags.interactive)
    return (show_progress if watched else no_progress)(items, description, total)


def show_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Show a progress bar with rate, time and time left, in a notebook or on standard error.

    Nothing is shown where standard error is no terminal.
    """
    if in_notebook():
        return _in_notebook(items, description, total)
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        return _in_terminal(items, description, total, console)
    return items


def in_notebook() -> bool:
    """Return whether the program runs in the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class Pace:
    """Where the rate of some work is counted from, so that it tells the time that is left.

    Work that was stopped before first passes over what is done already, which takes no time; and
    the first items that take some also wait for all that is prepared. Neither counts.
    """

    def __init__(self) -> None:
        self.start = (0.0, 0)
        """A time in seconds since the work began, and the number of items finished then."""
        self._began, self._done, self._moves = time.monotonic(), 0, 1

    def note(self, now: float) -> None:
        """Count an item that is finished.

        Args:
            now: The time, as `time.monotonic` tells it.
        """
        self._done += 1
        seconds = now - self._began
        if self._moves < 0:
            return
        if seconds <= self.start[0] + _AT_ONCE:
            self.start = self.start[0], self._done
        else:
            self._moves -= 1
            if self._moves == 0:
                self.start = seconds, self._done


def _in_terminal(items: Iterable[T], description: str, total: int, console: Console) -> Iterator[T]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from icl_gap.progress_columns import Rate, Times

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        Times(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task, pace = progress.add_task(printable(description), total=total), Pace()
        for item in items:
            yield item
            pace.note(time.monotonic())
            progress.update(task, advance=1, start=pace.start)


def _in_notebook(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield the items, and show them as an HTML element, which needs no widgets."""
    start = shown = time.monotonic()
    handle: Any = None
    done, pace = 0, Pace()
    try:
        for item in items:
            yield item
            done += 1
            now = time.monotonic()
            pace.note(now)
            if now - shown >= (NOTEBOOK_PATIENCE if handle is None else _REFRESH):
                shown = now
                handle = _display(
                    handle, bar_html(description, done, total, now - start, pace.start)
                )
    finally:  # also where the work is stopped
        if handle is not None:
            seconds = time.monotonic() - start
            _display(handle, bar_html(description, done, total, seconds, pace.start))


def _display(handle: Any, html: str) -> Any:
    """Show HTML in the output of a notebook's cell, in the place of what the handle showed."""
    if handle is None:
        display = sys.modules["IPython"].display.display
        return display({"text/html": html}, raw=True, display_id=True)
    handle.update({"text/html": html}, raw=True)
    return handle


def bar_html(
    description: str, done: int, total: int, seconds: float, start: tuple[float, int] = (0.0, 0)
) -> str:
    """Return a progress bar as an HTML element.

    Args:
        description: The work that is done.
        done: Number of items that are finished.
        total: Number of all items.
        seconds: Time since the start.
        start: Where the rate is counted from; see `Pace`.
    """
    from icl_gap.progress_columns import times_text

    rate = done / seconds if seconds > 0 else 0.0
    text = f"{done:,} of {total:,}, {rate:,.1f}/s, {times_text(done, total, seconds, start)}"
    return (
        f'<div>{escape(printable(description))} <progress value="{done}" max="{max(total, 1)}" '
        f'style="vertical-align: middle"></progress> {text}</div>'
    )

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
        yield from progress.track(items, total=total, description=printable(description))


def _in_notebook(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield the items, and show them as an HTML element, which needs no widgets."""
    start = shown = time.monotonic()
    handle: Any = None
    done = 0
    try:
        for item in items:
            yield item
            done += 1
            now = time.monotonic()
            if now - shown >= (NOTEBOOK_PATIENCE if handle is None else _REFRESH):
                shown = now
                handle = _display(handle, bar_html(description, done, total, now - start))
    finally:  # also where the work is stopped
        if handle is not None:
            _display(handle, bar_html(description, done, total, time.monotonic() - start))


def _display(handle: Any, html: str) -> Any:
    """Show HTML in the output of a notebook's cell, in the place of what the handle showed."""
    if handle is None:
        display = sys.modules["IPython"].display.display
        return display({"text/html": html}, raw=True, display_id=True)
    handle.update({"text/html": html}, raw=True)
    return handle


def bar_html(description: str, done: int, total: int, seconds: float) -> str:
    """Return a progress bar as an HTML element.

    Args:
        description: The work that is done.
        done: Number of items that are finished.
        total: Number of all items.
        seconds: Time since the start.
    """
    from icl_gap.progress_columns import times_text

    rate = done / seconds if seconds > 0 else 0.0
    text = f"{done:,} of {total:,}, {rate:,.1f}/s, {times_text(done, total, seconds)}"
    return (
        f'<div>{escape(printable(description))} <progress value="{done}" max="{max(total, 1)}" '
        f'style="vertical-align: middle"></progress> {text}</div>'
    )

"""Work in a thread beside the work that feeds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from queue import Queue
from threading import Event, Thread
from typing import Generic, ParamSpec

P = ParamSpec("P")
_MOST_WAITING = 256
"""Items that wait at most; one pass of a GPU completes about as many requests."""


@contextmanager
def in_background(work: Callable[P, None]) -> Iterator[Callable[P, None]]:
    """Process items in a thread of its own, one after the other, in the order of their submission.

    However the block ends, every item that was submitted is processed by then, unless one before it
    has failed; no item after that one is. Ctrl-C waits for the few items that are left.

    Args:
        work: Function that processes one item, given as its arguments.

    Yields:
        A function that submits an item, and returns before it is processed; it waits only while
        256 others do. It raises what an earlier item has raised, and so does the end of the block.
    """
    worker = _Worker(work)
    worker.start()
    try:
        yield worker.submit
    finally:
        worker.finish()
    worker.check()


class _Worker(Generic[P]):
    """The thread, and the queue that it takes items from; None ends it."""

    def __init__(self, work: Callable[P, None]) -> None:
        self._work = work
        self._items: Queue[Callable[[], None] | None] = Queue(_MOST_WAITING)
        self._error: BaseException | None = None
        self._ended = Event()  # a `join` that Ctrl-C interrupts takes the thread for dead
        self._thread = Thread(target=self._run, name="icl-gap-background", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        self.check()
        self._items.put(partial(self._work, *args, **kwargs))

    def check(self) -> None:
        """Raise what an item has raised."""
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait until all is processed. A first Ctrl-C waits too, a second one does not."""
        try:
            self._items.put(None)
            self._ended.wait()
        except KeyboardInterrupt:
            self._items.put(None)  # the first may not have got there; a second is never read
            self._ended.wait()
            raise
        self._thread.join()

    def _run(self) -> None:
        while (work := self._items.get()) is not None:
            if self._error is None:  # later items are taken, so that nobody waits for room
                try:
                    work()
                except BaseException as error:  # noqa: BLE001 (raised again by `check`)
                    self._error = error
        self._ended.set()

"""Concurrent requests behind an ordinary iterator.

They run on an event loop in a thread of its own, so that this also works where a loop is already
running (a notebook), and so that requests go on while a result is scored. Cancelling a task closes
its connection at once; a thread that waits for a server could not be stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Session = TypeVar("Session")
Result = TypeVar("Result")


def in_parallel(
    session: AbstractAsyncContextManager[Session],
    items: Iterable[Item],
    work: Callable[[Session, Item], Awaitable[Result]],
    *,
    limit: int,
) -> Iterator[Result]:
    """Process items concurrently, and yield the results as they are done.

    An item is begun only while fewer than twice `limit` are in progress or wait to be taken. When
    the iterator is closed or interrupted, all that is in progress is cancelled, and nothing runs
    any more once it returns.

    Args:
        session: Context that all items share, opened and closed on their loop.
        items: The items.
        work: Function that processes one item. An exception of it ends the iteration.
        limit: Most items in progress at a time.
    """
    done: SimpleQueue[Result | _End] = SimpleQueue()
    loop = asyncio.new_event_loop()
    room = asyncio.Semaphore(2 * limit)
    left = iter(items)

    async def worker(shared: Session) -> None:
        while True:
            await room.acquire()
            for item in left:
                done.put(await work(shared, item))
                break
            else:
                room.release()
                return

    async def main() -> None:
        async with session as shared, asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(worker(shared))

    task = loop.create_task(main())
    thread = Thread(target=_run, args=(loop, task, done), name="icl-gap-server", daemon=True)
    thread.start()
    try:
        while not isinstance(result := done.get(), _End):
            loop.call_soon_threadsafe(room.release)
            yield result
        if result.error is not None:
            raise result.error
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


class _End:
    """The end of a queue of results.

    Args:
        error: Exception that ended the work; None where all items are done.
    """

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _run(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], done: SimpleQueue[Result | _End]
) -> None:
    """Run a loop until its task is done, as the target of a thread."""
    asyncio.set_event_loop(loop)
    failure: BaseException | None = None
    try:
        loop.run_until_complete(task)
    except BaseException as error:  # noqa: BLE001 (raised again by the iterator)
        failure = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        done.put(_End(failure))

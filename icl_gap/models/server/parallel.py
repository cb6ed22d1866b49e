"""Several requests under way at a time, seen from code that waits for one after the other.

They run on an event loop in a thread of its own, so that this also works where a loop is already
running (a notebook), and so that requests go on while a result is being scored. Cancelling a task
closes its connection at once; a thread that waits for a server could not be stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

Job = TypeVar("Job")
Session = TypeVar("Session")
Result = TypeVar("Result")


def in_parallel(
    session: AbstractAsyncContextManager[Session],
    jobs: Iterable[Job],
    work: Callable[[Session, Job], Awaitable[Result]],
    *,
    limit: int,
) -> Iterator[Result]:
    """Do jobs, and give their results as they are done.

    A job is begun only while fewer than twice `limit` are under way or wait to be taken. When the
    iterator is closed, or the wait for it is interrupted, what is under way is cancelled, and
    nothing runs any more when it returns.

    Args:
        session: What all jobs share; opened and closed on their loop.
        jobs: The jobs.
        work: Does one. An exception of it ends the whole.
        limit: How many are done at a time.
    """
    done: SimpleQueue[Result | _End] = SimpleQueue()
    loop = asyncio.new_event_loop()
    room = asyncio.Semaphore(2 * limit)
    left = iter(jobs)

    async def worker(shared: Session) -> None:
        while True:
            await room.acquire()
            for job in left:
                done.put(await work(shared, job))
                break
            else:
                room.release()
                return

    async def main() -> None:
        async with session as shared, asyncio.TaskGroup() as group:
            for _ in range(limit):
                group.create_task(worker(shared))

    task = loop.create_task(main())
    thread = Thread(target=_run, args=(loop, task, done), name="icl-gap-api", daemon=True)
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
    """The last thing in a queue of results.

    Args:
        error: Why there are no more, where that is not that all are there.
    """

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _run(
    loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], done: SimpleQueue[Result | _End]
) -> None:
    """Run a loop until its task is done; the body of a thread."""
    asyncio.set_event_loop(loop)
    failure: BaseException | None = None
    try:
        loop.run_until_complete(task)
    except BaseException as error:  # noqa: BLE001 (raised again where results are taken)
        failure = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        done.put(_End(failure))

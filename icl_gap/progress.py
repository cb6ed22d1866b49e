"""The protocol by which long work reports its progress."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from logging import Logger
from typing import Protocol, TypeVar

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds after which work that shows no progress says what it does."""


class Progress(Protocol):
    """A function that passes an iterable on and shows how far it has come."""

    def __call__(self, items: Iterable[T], description: str, total: int) -> Iterable[T]:
        """Yield the items.

        Args:
            items: The items of the work.
            description: A word or two on what is done.
            total: The number of items.
        """
        ...


def no_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Pass an iterable on and show nothing."""
    del description, total
    return items


@contextmanager
def said_if_slow(log: Logger, message: str) -> Iterator[None]:
    """Log at level INFO what the work of a `with` block does, if it takes longer than `PATIENCE`.

    Args:
        log: The logger.
        message: What is done, as `loading gpt2 from /models/gpt2`.
    """
    timer = threading.Timer(PATIENCE, log.info, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()

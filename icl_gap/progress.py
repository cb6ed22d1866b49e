"""The protocol by which long work reports its progress."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


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

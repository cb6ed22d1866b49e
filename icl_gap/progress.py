"""Progress, told to whoever wants to show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Track(Protocol):
    """Passes an iterable on, and shows how far it is."""

    def __call__(self, items: Iterable[T], description: str, total: int) -> Iterable[T]:
        """Yield the items.

        Args:
            items: What is worked through.
            description: What it is, in a word or two.
            total: How many there are.
        """
        ...


def untracked(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Show nothing."""
    del description, total
    return items

"""Which examples hold what: items by number, and where each occurs."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import count


class Index:
    """The items of a pool's examples.

    Args:
        examples: The distinct items of each, in an order of their own.
    """

    def __init__(self, examples: Iterable[Iterable[Hashable]]) -> None:
        numbers: defaultdict[Hashable, int] = defaultdict(count().__next__)
        self.items: Sequence[Sequence[int]] = [
            tuple(map(numbers.__getitem__, items)) for items in examples
        ]
        """Those of each example, as numbers."""
        self.numbers: Mapping[Hashable, int] = dict(numbers)
        """In order of appearance."""
        postings = [array("I") for _ in numbers]
        for position, held in enumerate(self.items):
            for number in held:
                postings[number].append(position)
        self.postings: Sequence[Sequence[int]] = postings
        """For each number, the positions of the examples that hold the item, ascending."""

    def held(self, items: Iterable[Hashable]) -> list[int]:
        """The numbers of those items that some example holds, the rarest first.

        Ties go to the one that comes first.
        """
        found = [number for each in items if (number := self.numbers.get(each)) is not None]
        return sorted(found, key=lambda number: len(self.postings[number]))

"""An inverted index from items, such as words, to the examples that hold them."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import count


class InvertedIndex:
    """An inverted index of the items of a pool's examples.

    Args:
        examples: The distinct items of each example, in a fixed order.
    """

    def __init__(self, examples: Iterable[Iterable[Hashable]]) -> None:
        numbers: defaultdict[Hashable, int] = defaultdict(count().__next__)
        self.items: Sequence[Sequence[int]] = [
            tuple(map(numbers.__getitem__, items)) for items in examples
        ]
        """The items of each example, as numbers."""
        self.numbers: Mapping[Hashable, int] = dict(numbers)
        """The number of each item, in order of appearance."""
        postings = [array("I") for _ in numbers]
        for position, held in enumerate(self.items):
            for number in held:
                postings[number].append(position)
        self.postings: Sequence[Sequence[int]] = postings
        """For each number, the positions of the examples that hold the item, in ascending order."""

    def held(self, items: Iterable[Hashable]) -> list[int]:
        """Return the numbers of the items that some example holds, the rarest first.

        Equally rare items keep their order.
        """
        found = [number for each in items if (number := self.numbers.get(each)) is not None]
        return sorted(found, key=lambda number: len(self.postings[number]))

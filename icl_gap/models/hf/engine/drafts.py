"""Guesses at what a model says next, made from what it has read and said."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

LONGEST = 4
"""Tokens at the end of what was said that are looked up, at most."""
_ITEM = array("i").itemsize


class Lookup:
    """What stands before an answer, and the answer so far, searched for repetitions.

    Prompt look-up decoding (Saxena 2023), with the gold answer searched before the rest.

    Args:
        gold: The tokens of the gold answer.
        prompt: The tokens of the prompt.
    """

    def __init__(self, gold: Iterable[int], prompt: Iterable[int]) -> None:
        self._gold = array("i", gold)
        self._prompt = array("i", prompt)

    def guess(self, said: Sequence[int], most: int) -> list[int]:
        """What may follow, by what followed the same tokens before.

        Args:
            said: The answer so far.
            most: How many tokens to guess at most.
        """
        spoken = array("i", said)
        sources = (self._gold, self._prompt + spoken)
        for length in range(min(LONGEST, len(spoken)), 0, -1):
            for source in sources:
                end = _after_last(source, spoken[-length:])
                if end is not None:
                    return source[end : end + most].tolist()
        return []


def _after_last(source: array[int], wanted: array[int]) -> int | None:
    """Where the last occurrence of some tokens ends that has a token after it."""
    text, pattern = source.tobytes(), wanted.tobytes()
    limit = len(text) - _ITEM
    while (place := text.rfind(pattern, 0, limit)) >= 0:
        if place % _ITEM == 0:
            return place // _ITEM + len(wanted)
        limit = place + len(pattern) - 1
    return None

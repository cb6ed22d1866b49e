"""Speculative drafts by prompt lookup: what followed the last tokens where they occurred before."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

MAX_NGRAM = 4
"""The longest n-gram at the end of a response that is looked up, in tokens."""
_ITEM_BYTES = array("i").itemsize


class PromptLookup:
    """Propose draft tokens by looking up the response's last n-gram.

    Prompt lookup decoding (Saxena 2023), with the gold target searched before prompt and response.

    Args:
        gold: The tokens of the gold target.
        prompt: The tokens of the prompt.
    """

    def __init__(self, gold: Iterable[int], prompt: Iterable[int]) -> None:
        self._gold = array("i", gold)
        self._prompt = array("i", prompt)

    def propose(self, response: Sequence[int], max_tokens: int) -> list[int]:
        """Return the tokens that followed the longest n-gram found; none if none is found.

        Args:
            response: The tokens of the response so far.
            max_tokens: The most tokens to propose.
        """
        decoded = array("i", response)
        sources = (self._gold, self._prompt + decoded)
        for length in range(min(MAX_NGRAM, len(decoded)), 0, -1):
            for source in sources:
                end = _end_of_last_match(source, decoded[-length:])
                if end is not None:
                    return source[end : end + max_tokens].tolist()
        return []


def _end_of_last_match(source: array[int], ngram: array[int]) -> int | None:
    """Return the end of the last occurrence that is followed by a token; None if there is none."""
    text, pattern = source.tobytes(), ngram.tobytes()
    limit = len(text) - _ITEM_BYTES
    while (offset := text.rfind(pattern, 0, limit)) >= 0:
        if offset % _ITEM_BYTES == 0:
            return offset // _ITEM_BYTES + len(ngram)
        limit = offset + len(pattern) - 1
    return None

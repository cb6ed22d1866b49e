"""Stop conditions of a response, checked on its decoded text."""

from __future__ import annotations

from collections.abc import Sequence

from icl_gap.schema import Completion
from icl_gap.text import REPLACEMENT_CHARACTER

FRAME_TOKENS = 64
"""Tokens of a chat response that are allowed for what stands around an answer: a label, a code
block."""


def check_stop(text: str, *, stop: str, max_new_bytes: int) -> Completion | None:
    """Return the completion if a response ends within its text so far, else None.

    Args:
        text: The decoded continuation so far, in any tokenization.
        stop: The stop string; the response ends at its first occurrence.
        max_new_bytes: The most UTF-8 bytes of a response. U+FFFD at the end of the text and the
            beginning of a stop string at its end do not count: more bytes may change them.
    """
    before, found, _ = text.partition(stop)
    if found:
        return Completion(before, "stop")
    complete = text.rstrip(REPLACEMENT_CHARACTER)
    partial_stop = max(n for n in range(len(stop)) if complete.endswith(stop[:n]))
    length = len(complete.encode(errors="replace")) - len(stop[:partial_stop].encode())
    return Completion(text, "length") if length > max_new_bytes else None


def candidate_texts(text: str, stop: str) -> list[str]:
    """Return the texts that a response may turn out to have if it ends soon.

    The first is the text so far. Each other one leaves out an end that is the beginning of the
    stop string.

    Args:
        text: The decoded continuation so far.
        stop: The stop string.
    """
    partial_stops = (n for n in range(1, len(stop)) if text.endswith(stop[:n]))
    return [text, *(text[: len(text) - n] for n in partial_stops)]


def can_reach_gold(candidates: Sequence[str], gold: str) -> bool:
    """Return True if a response can still equal the gold target, surrounding white space aside.

    Args:
        candidates: Its `candidate_texts`.
        gold: The gold target.
    """
    gold = gold.strip()
    return gold.startswith(candidates[0].lstrip()) or any(
        text.strip() == gold for text in candidates
    )


def max_new_tokens(*, stop: str, max_new_bytes: int) -> int:
    """Return the most tokens that a response and its stop string take, in any tokenization.

    Each token holds at least one byte. One more is for the lone space marker that some tokenizers
    put first and decode to nothing.

    Args:
        stop: The stop string.
        max_new_bytes: The most UTF-8 bytes of a response.
    """
    return max_new_bytes + len(stop.encode()) + 1

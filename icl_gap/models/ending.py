"""Where an answer ends, told from its text so far."""

from __future__ import annotations

from collections.abc import Sequence

from icl_gap.schema import Completion

BROKEN = "\N{REPLACEMENT CHARACTER}"
"""What a decoder writes for bytes that are no character, or not yet."""


_MOST_BYTES = 4
"""Of a character in UTF-8."""


def without_half_character(text: str) -> str:
    """A text without the mark at its end that stands for bytes which may become a character.

    Some decoders write one mark for all such bytes, and some write one for each.
    """
    kept = text.rstrip(BROKEN)
    return text[: max(len(kept), len(text) - (_MOST_BYTES - 1))]


def ended(text: str, *, stop: str, max_new_bytes: int) -> Completion | None:
    """The finished answer, if the text so far is one; None if it goes on.

    Args:
        text: The decoded continuation so far, whatever tokens it came in.
        stop: The string at whose first occurrence the answer ends.
        max_new_bytes: The most UTF-8 bytes of an answer. Bytes that may still become a character,
            and the start of a stop that may still be completed, do not count.
    """
    answer, found, _ = text.partition(stop)
    if found:
        return Completion(answer, "stop")
    settled = text.rstrip(BROKEN)
    begun = max(n for n in range(len(stop)) if settled.endswith(stop[:n]))
    length = len(settled.encode(errors="replace")) - len(stop[:begun].encode())
    return Completion(text, "length") if length > max_new_bytes else None


def readings(text: str, stop: str) -> list[str]:
    """What an answer says so far, and what it says if its end is the beginning of the stop.

    Args:
        text: The answer so far.
        stop: The string at whose first occurrence it ends.
    """
    begun = (n for n in range(1, len(stop)) if text.endswith(stop[:n]))
    return [text, *(text[: len(text) - n] for n in begun)]


def may_spell(found: Sequence[str], gold: str) -> bool:
    """Whether an answer can still become the gold answer, white space around both left aside.

    Args:
        found: Its `readings`.
        gold: The gold answer.
    """
    gold = gold.strip()
    return gold.startswith(found[0].lstrip()) or any(each.strip() == gold for each in found)


def max_new_tokens(*, stop: str, max_new_bytes: int) -> int:
    """The most tokens that an answer and its stop can take, in any tokenization.

    Each token holds a byte at least; one more is for a lone mark of a space, which some tokenizers
    put first and decode to nothing.
    """
    return max_new_bytes + len(stop.encode()) + 1

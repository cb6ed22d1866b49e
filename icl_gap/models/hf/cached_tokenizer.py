r"""Exact tokenization by pieces, for texts that share most of their words.

A text is cut before each space into pieces: ``a b`` into ``a`` and `` b``. Each piece, and each
pair of neighbours, is encoded once. Where encoding every pair gives the ids of its two pieces one
after the other, the text's ids are those of its pieces one after the other; where one pair does
not, the text is encoded whole.

Why that is exact, for a byte-level BPE without normalizer, dropout or merges passed over:

1.  *Added tokens.* The pairs that pass hold no added token, and no added token has a space in it
    but those made of two or more spaces, which need a piece that ends in a space, and such a piece
    passes in no pair but as its last. So there are none in the text.
2.  *Pre-tokenization.* The supported patterns match white space only as the first space of a
    match, and (GPT-2) in runs of white space, which look one character ahead. The left piece of a
    pair does not end in white space. So no match crosses a joint, none looks over it, and the
    matches within a piece are those of the piece alone. What lies between matches may cross a joint
    (BLOOM): it does where the left piece ends and the right one begins with such, as much in their
    pair as in the text. So the text is cut, in pieces and at joints, as the pairs are.
3.  *Merges.* BPE applies, again and again, the merge that comes first by (rank, position), and none
    crosses a cut. Suppose that, in the text, some merge crosses a joint, and take the first that
    does. Up to then each piece has gone through its own merges alone, the two at the joint in the
    order of (rank, position), which is the same in their pair. So their pair reaches the same
    state, where this merge comes first as well, unless an earlier one has crossed. Either way a
    token of the pair lies across the joint; but ids fix the bytes of each token, so the ids of the
    pair cannot be those of the pieces. Hence, where all pairs pass, no merge crosses a joint, and
    each piece ends as it does alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

Encode = Callable[[str], tuple[int, ...]]
Count = Callable[[Sequence[str]], int]

MAX_PIECES = 1 << 16
MAX_PAIRS = 1 << 18
MAX_PARTS = 1 << 15


@dataclass(frozen=True, slots=True)
class Pieces:
    """What remembers pieces."""

    encode: Encode
    """The ids of a text."""
    count: Count
    """How many ids a text has that is given in parts; remembers the parts too."""


_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False}
# GPT-2, OPT and CodeGen: `use_regex` stands for GPT-2's pattern.
_GPT2 = {**_BYTE_LEVEL, "use_regex": True}
# BLOOM's pattern is a space, if there is one, and a run of a class without white space. What lies
# between matches is one word too, so words may hold spaces: ` . (`.
_BLOOM_STOPS = (
    ".,!?\N{HORIZONTAL ELLIPSIS}\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH COMMA}"
    "\N{IDEOGRAPHIC COMMA}\N{DEVANAGARI DANDA}\N{ARABIC FULL STOP}\N{ARABIC COMMA}"
)
_BLOOM_PATTERN = f" ?[^(\\s|[{_BLOOM_STOPS}])]+"
_BLOOM = {
    "type": "Sequence",
    "pretokenizers": [
        {
            "type": "Split",
            "pattern": {"Regex": _BLOOM_PATTERN},
            "behavior": "Isolated",
            "invert": False,
        },
        {**_BYTE_LEVEL, "use_regex": False},
    ],
}


def by_pieces(tokenizer: Tokenizer) -> Pieces:
    """An encoder, equal to the tokenizer's own without special tokens, that remembers pieces.

    Where the proof above does not hold for a tokenizer, every text is encoded whole.

    Args:
        tokenizer: The tokenizer; it must not change afterwards.
    """

    def whole(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

    added = list(tokenizer.get_added_tokens_decoder().values())
    if not (_is_plain_bpe(tokenizer) and _has_known_words(tokenizer) and _are_harmless(added)):
        return Pieces(whole, lambda parts: len(whole("".join(parts))))
    return _remembering(whole, tuple(token.content for token in added if token.content.strip(" ")))


def _remembering(whole: Encode, added: tuple[str, ...]) -> Pieces:
    piece_ids = lru_cache(MAX_PIECES)(whole)

    @lru_cache(MAX_PAIRS)
    def is_exact(left: str, right: str) -> bool:
        pair = left + right
        if left[-1:].isspace() or any(token in pair for token in added):
            return False
        return whole(pair) == piece_ids(left) + piece_ids(right)

    def encode(text: str) -> tuple[int, ...]:
        pieces = _cut(text)
        if len(pieces) > 1 and all(map(is_exact, pieces, pieces[1:])):
            return tuple(chain.from_iterable(map(piece_ids, pieces)))
        return whole(text)

    @lru_cache(MAX_PARTS)
    def part(text: str) -> tuple[int, str, str] | None:
        """Of a part whose pairs pass: how many ids it has, its first and its last piece."""
        pieces = _cut(text)
        if not all(map(is_exact, pieces, pieces[1:])):
            return None
        return sum(map(len, map(piece_ids, pieces))), pieces[0], pieces[-1]

    def count(parts: Sequence[str]) -> int:
        if all(text.startswith(" ") for text in parts[1:]):  # a text is cut where a part begins
            found = [each for each in map(part, parts) if each is not None]
            joints = ((left[2], right[1]) for left, right in pairwise(found))
            if len(found) == len(parts) > 1 and all(is_exact(*joint) for joint in joints):
                return sum(each[0] for each in found)
        return len(encode("".join(parts)))

    return Pieces(encode, count)


def _cut(text: str) -> list[str]:
    """The pieces of a text: all but the first begin with a space; there is at least one."""
    first, *rest = text.split(" ")
    pieces = [" " + each for each in rest]
    return pieces if pieces and not first else [first, *pieces]


def _is_plain_bpe(tokenizer: Tokenizer) -> bool:
    """Whether ids fix bytes, and merges are done in the order of their ranks and nothing else."""
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel

    model = tokenizer.model
    return (
        isinstance(model, BPE)
        and tokenizer.normalizer is None
        and not model.dropout
        and not model.ignore_merges
        and not model.continuing_subword_prefix
        and not model.end_of_word_suffix
        and all(model.token_to_id(symbol) is not None for symbol in ByteLevel.alphabet())
    )


def _has_known_words(tokenizer: Tokenizer) -> bool:
    if tokenizer.pre_tokenizer is None:
        return False
    state = json.loads(tokenizer.pre_tokenizer.__getstate__())
    return _without_offsets(state) in (_GPT2, _BLOOM)


def _without_offsets(state: Any) -> Any:
    """A pre-tokenizer's state without what only moves offsets, never ids."""
    if isinstance(state, dict):
        return {k: _without_offsets(v) for k, v in state.items() if k != "trim_offsets"}
    if isinstance(state, list):
        return [_without_offsets(value) for value in state]
    return state


def _are_harmless(added: Iterable[AddedToken]) -> bool:
    """Whether no added token reaches over a joint (CodeGen adds runs of spaces: these may)."""
    return all(
        token.content
        and (" " not in token.content or (not token.content.strip(" ") and len(token.content) > 1))
        and not (token.lstrip or token.rstrip or token.single_word)
        for token in added
    )

r"""Exact tokenization with a cache, for texts that share most of their words.

A text is cut before each space into chunks: ``a b`` into ``a`` and `` b``. Each chunk, and each
pair of neighbours, is encoded once. If encoding every pair gives the ids of its first chunk and
then those of its second, the text's ids are the ids of its chunks in order; if one pair fails, the
text is encoded whole.

The proof of exactness, for a byte-level BPE without normalizer, dropout or `ignore_merges`:

1.  *Added tokens.* Pairs that pass hold no added token, and no added token contains a space except
    runs of two or more spaces. Such a run needs a chunk that ends in a space, and such a chunk
    passes only as the last one. So the text holds no added token.
2.  *Pre-tokenization.* The supported patterns match white space only as the first space of a match
    or (GPT-2) in runs of white space, which look one character ahead. The left chunk of a pair does
    not end in white space. So no match crosses a boundary between chunks or looks past one, and the
    matches within a chunk are those of the chunk alone. Text between matches may cross a boundary
    (BLOOM) where the left chunk ends with such text and the right chunk begins with it; it then
    does so in their pair as well as in the text. So the text is pre-tokenized as the pairs are.
3.  *Merges.* BPE repeatedly applies the merge that comes first by (rank, position), and no merge
    crosses a boundary of pre-tokens. Suppose that some merge in the text crosses a boundary between
    chunks, and take the first. Until then each chunk has undergone its own merges alone, those of
    the two chunks at the boundary in the order of (rank, position), which is the same in their
    pair. So their pair reaches the same state, in which this merge comes first too, unless an
    earlier one has crossed. Either way a token of the pair lies across the boundary; but ids
    determine the bytes of each token, so the ids of the pair cannot be those of the chunks. Hence,
    if all pairs pass, no merge crosses a boundary, and each chunk ends as it does alone.
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

MAX_CHUNKS = 1 << 16
MAX_PAIRS = 1 << 18
MAX_PARTS = 1 << 15


@dataclass(frozen=True, slots=True)
class CachedEncoder:
    """An encoder and a counter that share a cache."""

    encode: Encode
    """Encode a text."""
    count: Count
    """Count the ids of a text given in parts, with a cache of the parts."""


_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False}
_GPT2 = {**_BYTE_LEVEL, "use_regex": True}
"""Pre-tokenizer of GPT-2, OPT and CodeGen; `use_regex` stands for GPT-2's pattern."""
# BLOOM's pattern is an optional space and a run of a class without white space. The text between
# matches is a pre-token too, so pre-tokens may hold spaces: ` . (`.
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


def cached_encoder(tokenizer: Tokenizer) -> CachedEncoder:
    """Return an encoder that equals the tokenizer's own without special tokens, but has a cache.

    For a tokenizer that the proof above does not cover, every text is encoded whole.

    Args:
        tokenizer: The tokenizer, which must not change afterwards.
    """

    def whole(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

    added = list(tokenizer.get_added_tokens_decoder().values())
    if not (
        _is_plain_bpe(tokenizer) and _has_known_pre_tokenizer(tokenizer) and _are_harmless(added)
    ):
        return CachedEncoder(whole, lambda parts: len(whole("".join(parts))))
    return _with_cache(whole, tuple(token.content for token in added if token.content.strip(" ")))


def _with_cache(whole: Encode, added: tuple[str, ...]) -> CachedEncoder:
    chunk_ids = lru_cache(MAX_CHUNKS)(whole)

    @lru_cache(MAX_PAIRS)
    def is_exact(left: str, right: str) -> bool:
        pair = left + right
        if left[-1:].isspace() or any(token in pair for token in added):
            return False
        return whole(pair) == chunk_ids(left) + chunk_ids(right)

    def encode(text: str) -> tuple[int, ...]:
        chunks = _cut(text)
        if len(chunks) > 1 and all(map(is_exact, chunks, chunks[1:])):
            return tuple(chain.from_iterable(map(chunk_ids, chunks)))
        return whole(text)

    @lru_cache(MAX_PARTS)
    def part(text: str) -> tuple[int, str, str] | None:
        """Return the number of ids of a part and its first and last chunk; None if a pair fails."""
        chunks = _cut(text)
        if not all(map(is_exact, chunks, chunks[1:])):
            return None
        return sum(map(len, map(chunk_ids, chunks))), chunks[0], chunks[-1]

    def count(parts: Sequence[str]) -> int:
        if all(text.startswith(" ") for text in parts[1:]):  # a text is cut where a part begins
            found = [each for each in map(part, parts) if each is not None]
            boundaries = ((left[2], right[1]) for left, right in pairwise(found))
            if len(found) == len(parts) > 1 and all(is_exact(*boundary) for boundary in boundaries):
                return sum(each[0] for each in found)
        return len(encode("".join(parts)))

    return CachedEncoder(encode, count)


def _cut(text: str) -> list[str]:
    """Cut a text into chunks, at least one; all but the first begin with a space."""
    first, *rest = text.split(" ")
    chunks = [" " + each for each in rest]
    return chunks if chunks and not first else [first, *chunks]


def _is_plain_bpe(tokenizer: Tokenizer) -> bool:
    """Return whether ids determine bytes, and merges are applied in the order of their ranks."""
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


def _has_known_pre_tokenizer(tokenizer: Tokenizer) -> bool:
    if tokenizer.pre_tokenizer is None:
        return False
    state = json.loads(tokenizer.pre_tokenizer.__getstate__())
    return _without_offsets(state) in (_GPT2, _BLOOM)


def _without_offsets(state: Any) -> Any:
    """Return a pre-tokenizer's state without the key that affects offsets, but no ids."""
    if isinstance(state, dict):
        return {k: _without_offsets(v) for k, v in state.items() if k != "trim_offsets"}
    if isinstance(state, list):
        return [_without_offsets(value) for value in state]
    return state


def _are_harmless(added: Iterable[AddedToken]) -> bool:
    """Return whether no added token crosses a boundary; CodeGen's runs of spaces may."""
    return all(
        token.content
        and (" " not in token.content or (not token.content.strip(" ") and len(token.content) > 1))
        and not (token.lstrip or token.rstrip or token.single_word)
        for token in added
    )

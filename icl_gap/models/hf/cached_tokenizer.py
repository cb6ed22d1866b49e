r"""Exact tokenization from cached chunks, for texts that share most of their words.

A text is split before each space into chunks: ``a b`` into ``a`` and `` b``. Each chunk, and each
pair of neighbouring chunks, is encoded once. If the ids of every pair are those of its two chunks
concatenated, the ids of the text are those of its chunks concatenated; otherwise the text is
encoded whole.

This is exact for a byte-level BPE without normalizer, dropout or ignored merges:

1.  *Added tokens.* A pair that passes holds no added token. The only added tokens with a space are
    runs of two or more spaces. Such a token needs a chunk that ends in a space, and that chunk
    passes in no pair but as its last. So the text holds no added token.
2.  *Pre-tokenization.* The supported patterns match white space only as the first space of a
    match, and (GPT-2) in runs of white space, which look one character ahead. The left chunk of a
    pair does not end in white space. So no match crosses a boundary of chunks, none looks over it,
    and the matches within a chunk are those of the chunk alone. Text between matches may cross a
    boundary (BLOOM): it does where the left chunk ends and the right one begins with such text, in
    their pair as in the whole text. So the text is split, within chunks and at boundaries, as the
    pairs are.
3.  *Merges.* BPE repeatedly applies the merge that comes first by (rank, position), and none
    crosses a pre-token. Suppose that, in the text, some merge crosses a boundary of chunks, and
    take the first that does. Until then each chunk has gone through its own merges alone, the two
    at the boundary in the order of (rank, position), which is the same in their pair. So their pair
    reaches the same state, where this merge comes first as well, unless an earlier one has crossed.
    Either way a token of the pair spans the boundary; but ids fix the bytes of each token, so the
    ids of the pair cannot be those of the chunks. Hence, where all pairs pass, no merge crosses a
    boundary, and each chunk is merged as it is alone.
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
"""Encodes a text to token ids."""
Count = Callable[[Sequence[str]], int]
"""Counts the token ids of a text given in parts."""

MAX_CHUNKS = 1 << 16
"""Chunks that are cached, at most."""
MAX_PAIRS = 1 << 18
"""Pairs of chunks that are cached, at most."""
MAX_PARTS = 1 << 15
"""Parts of texts whose token counts are cached, at most."""


@dataclass(frozen=True, slots=True)
class CachedEncoder:
    """A tokenizer's encoding, with a cache."""

    encode: Encode
    """Returns the ids of a text, without special tokens."""
    count: Count
    """Returns the number of ids of a text given in parts; caches the parts' counts."""


_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False}
# GPT-2, OPT and CodeGen: `use_regex` is GPT-2's pattern.
_GPT2 = {**_BYTE_LEVEL, "use_regex": True}
# BLOOM's pattern is an optional space and a run of a class without white space. Text between
# matches is one pre-token too, so pre-tokens may hold spaces: ` . (`.
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
    """Return an encoder with a cache, equal to the tokenizer's own without special tokens.

    Where the proof above does not hold for a tokenizer, every text is encoded whole.

    Args:
        tokenizer: The tokenizer; it must not change afterwards.
    """

    def whole(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

    added = list(tokenizer.get_added_tokens_decoder().values())
    if not (_is_plain_bpe(tokenizer) and _has_known_pretokenizer(tokenizer) and _fit_chunks(added)):
        return CachedEncoder(whole, lambda parts: len(whole("".join(parts))))
    return _cache_chunks(whole, tuple(token.content for token in added if token.content.strip(" ")))


def _cache_chunks(whole: Encode, added: tuple[str, ...]) -> CachedEncoder:
    """Return an encoder that caches chunks.

    Args:
        whole: Encodes a text whole.
        added: The texts of the added tokens, runs of spaces left out.
    """
    chunk_ids = lru_cache(MAX_CHUNKS)(whole)

    @lru_cache(MAX_PAIRS)
    def is_exact(left: str, right: str) -> bool:
        pair = left + right
        if left[-1:].isspace() or any(token in pair for token in added):
            return False
        return whole(pair) == chunk_ids(left) + chunk_ids(right)

    def encode(text: str) -> tuple[int, ...]:
        chunks = _split(text)
        if len(chunks) > 1 and all(map(is_exact, chunks, chunks[1:])):
            return tuple(chain.from_iterable(map(chunk_ids, chunks)))
        return whole(text)

    @lru_cache(MAX_PARTS)
    def exact_part(text: str) -> tuple[int, str, str] | None:
        """Return a part's number of ids, first and last chunk; None if a pair does not pass."""
        chunks = _split(text)
        if not all(map(is_exact, chunks, chunks[1:])):
            return None
        return sum(map(len, map(chunk_ids, chunks))), chunks[0], chunks[-1]

    def count(parts: Sequence[str]) -> int:
        if all(text.startswith(" ") for text in parts[1:]):  # parts begin where chunks do
            exact = [part for part in map(exact_part, parts) if part is not None]
            boundaries = ((left[2], right[1]) for left, right in pairwise(exact))
            if len(exact) == len(parts) > 1 and all(is_exact(*pair) for pair in boundaries):
                return sum(part[0] for part in exact)
        return len(encode("".join(parts)))

    return CachedEncoder(encode, count)


def _split(text: str) -> list[str]:
    """Return the chunks of a text, at least one; all but the first begin with a space."""
    first, *rest = text.split(" ")
    chunks = [" " + each for each in rest]
    return chunks if chunks and not first else [first, *chunks]


def _is_plain_bpe(tokenizer: Tokenizer) -> bool:
    """Return True if ids fix bytes, and merges apply in the order of their ranks alone."""
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


def _has_known_pretokenizer(tokenizer: Tokenizer) -> bool:
    """Return True if the pre-tokenizer is GPT-2's or BLOOM's."""
    if tokenizer.pre_tokenizer is None:
        return False
    state = json.loads(tokenizer.pre_tokenizer.__getstate__())
    return _without_offsets(state) in (_GPT2, _BLOOM)


def _without_offsets(state: Any) -> Any:
    """Return a pre-tokenizer's state without `trim_offsets`, which does not change ids."""
    if isinstance(state, dict):
        return {k: _without_offsets(v) for k, v in state.items() if k != "trim_offsets"}
    if isinstance(state, list):
        return [_without_offsets(value) for value in state]
    return state


def _fit_chunks(added: Iterable[AddedToken]) -> bool:
    """Return True if no added token crosses a boundary of chunks; runs of spaces (CodeGen) may."""
    return all(
        token.content
        and (" " not in token.content or (not token.content.strip(" ") and len(token.content) > 1))
        and not (token.lstrip or token.rstrip or token.single_word)
        for token in added
    )

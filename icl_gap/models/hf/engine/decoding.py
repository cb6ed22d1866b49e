"""Speculative decoding with greedy verification, of many responses at a time.

Each response drafts its next tokens, one pass verifies all drafts, and the tokens that the model
itself would have written are kept, with one token more (Leviathan et al. 2023, arXiv 2211.17192, at
temperature 0). So the responses are those of greedy decoding, whatever the drafts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from icl_gap.models.hf.engine.adjudication import Verdict, other_verdicts, verdict
from icl_gap.models.hf.engine.chat_state import ChatState
from icl_gap.models.hf.engine.drafts import PromptLookup
from icl_gap.models.hf.engine.packing import CacheSlice, KVCache, Prefix
from icl_gap.models.hf.engine.passes import Runner, Segment, TokenPredictions
from icl_gap.models.hf.engine.response_state import ResponseState, verify_draft
from icl_gap.models.hf.engine.tokenization import TokenizedRequest
from icl_gap.models.hf.tokenizer import TextTokenizer

_MAX_DRAFT = 64
"""The most tokens of a draft."""
_CHEAP_PASS_TOKENS = 48
"""Tokens that a pass computes at little more cost than one."""
_MIN_GROWTH = 32
"""Tokens by which a response's KV cache grows, at least."""


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """Limits of a batch, in tokens."""

    kv_cache_tokens: int
    """Tokens whose keys and values are kept at a time; one response alone may take more."""
    pass_tokens: int
    """Tokens that one pass computes; each of its responses computes at least one."""


class GrowingCache:
    """KV cache of decoded tokens, appended to in place."""

    def __init__(self) -> None:
        self.capacity = 0
        """Tokens for which memory is allocated."""
        self.length = 0
        """Tokens held."""
        self._cache = KVCache()

    @property
    def slices(self) -> Prefix:
        """All of it as a prefix."""
        return (CacheSlice(self._cache, 0, self.length),) if self.length else ()

    def append(self, source: KVCache, start: int, end: int) -> None:
        """Copy tokens `start` to `end` of another cache to the end of this one."""
        length = self.length + end - start
        if length > self.capacity:
            self.capacity = max(length, self.length + _MIN_GROWTH)
        for number, (keys, values) in source.layers.items():
            old_keys, old_values = self._cache.layers.get(number, (None, None))
            layer = self._grown(old_keys, keys), self._grown(old_values, values)
            for target, new in zip(layer, (keys, values), strict=True):
                target[:, :, self.length : length] = new[:, :, start:end]
            self._cache.layers[number] = layer
        self.length = length

    def _grown(self, old: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:
        """Return the keys or values held, in memory for `capacity` tokens."""
        if old is not None and old.shape[2] == self.capacity:
            return old
        grown = like.new_empty(*like.shape[:2], self.capacity, like.shape[3])
        if old is not None:
            grown[:, :, : self.length] = old[:, :, : self.length]
        return grown


@dataclass(slots=True, eq=False)
class ActiveResponse:
    """A response that is being decoded; its last token is not computed yet."""

    tokenized: TokenizedRequest
    state: ResponseState | ChatState
    prefix: Prefix
    """KV cache of its prompt, and of its first tokens as far as they equal the gold target's."""
    gold_logprob: float | None
    """Mean log-probability of the gold target's tokens, in nats; None if it has none."""
    decoded: GrowingCache = field(default_factory=GrowingCache)
    """KV cache of its tokens after the prefix."""
    draft_length: int = 8
    """Tokens to draft next."""
    seconds: float = 0.0
    """Its shares of the passes that it was computed in: equal ones, whatever its tokens."""
    other_verdicts: set[Verdict] = field(default_factory=set)
    """The verdicts that float32 could come to where it leaves this response; empty if tokens near
    the model's own are not asked for."""
    lookup: PromptLookup = field(init=False)

    def __post_init__(self) -> None:
        self.lookup = PromptLookup(
            self.tokenized.gold_tokens, self.tokenized.prompt_tokens.tolist()
        )

    @property
    def cached_tokens(self) -> int:
        """Tokens of its path that have keys and values."""
        return sum(map(len, (*self.prefix, *self.decoded.slices)))

    @property
    def is_sure(self) -> bool:
        """True if float32 comes to the same verdict, as far as its predictions are known."""
        if isinstance(self.state, ChatState):
            return False
        own = verdict(self.state, self.tokenized.request.can_still_match)
        return own != "open" and self.other_verdicts <= {own}

    def verify(self, draft: Sequence[int], found: TokenPredictions) -> int:
        """Append the model's own tokens for as long as they equal a draft; see `verify_draft`."""
        following = self.tokenized.request.can_still_match
        if (
            found.near
            and isinstance(self.state, ResponseState)
            and verdict(self.state, following) == "open"
        ):
            self.other_verdicts |= other_verdicts(self.state, draft, found, following)
        return verify_draft(self.state, found.argmax, draft)

    def make_contiguous(self) -> None:
        """Make its prefix faster to read; see `KVCache.make_contiguous`."""
        for each in self.prefix:
            each.cache.make_contiguous()

    def preempt(self) -> None:
        """Free its KV cache; the next pass computes it again."""
        self.prefix, self.decoded = (), GrowingCache()

    def draft(self, tokenizer: TextTokenizer, length: int) -> list[int]:
        """Return a draft of the next tokens.

        It is the rest of the gold target if the response is a beginning of it, in the gold
        target's own tokens or in others, else what `PromptLookup` proposes.

        Args:
            tokenizer: The model's tokenizer.
            length: The most tokens to draft.
        """
        most = min(length, self.state.tokens_left - 1)
        gold, written = self.tokenized.gold_tokens, len(self.state.tokens)
        if written < len(gold) and gold[:written] == tuple(self.state.tokens):
            return list(gold[written:][:most])
        rest = self.state.remaining_gold()
        if rest is not None:
            return list(tokenizer.encode(rest + self.tokenized.request.stop))[:most]
        return self.lookup.propose(self.state.tokens, most)

    def adapt_draft_length(self, drafted: int, accepted: int) -> None:
        """Draft more tokens after a draft that was accepted whole, fewer after another."""
        whole = accepted == drafted
        self.draft_length = (
            min(_MAX_DRAFT, 2 * self.draft_length) if whole else max(2, 2 * accepted)
        )


def decode(
    runner: Runner,
    tokenizer: TextTokenizer,
    responses: Sequence[ActiveResponse],
    *,
    cached_tokens: int,
    budget: TokenBudget,
    is_done: Callable[[ActiveResponse], bool],
    within: float | None = None,
) -> Iterator[ActiveResponse]:
    """Decode responses until each is done.

    Where their KV cache outgrows the budget, the last responses are preempted, and computed again
    once the others are done.

    Args:
        runner: Runs the model.
        tokenizer: The model's tokenizer.
        responses: The responses.
        cached_tokens: Tokens whose keys and values the responses' prefixes keep in memory.
        budget: Limits of the batch.
        is_done: Returns True if a response needs no more tokens.
        within: See `Segment`.

    Yields:
        Each response once it is done.
    """
    active, waiting = list(responses), list[ActiveResponse]()
    while active or waiting:
        if not active:  # no prefix is left in memory
            active, waiting = _resume(waiting, budget.kv_cache_tokens)
            cached_tokens = 0
        while (
            len(active) > 1
            and cached_tokens + sum(map(_reserved_tokens, active)) > budget.kv_cache_tokens
        ):
            active[-1].preempt()
            waiting.append(active.pop())
        unfinished = []
        for drafts in _passes(active, tokenizer, budget.pass_tokens):
            for response in _verify(runner, drafts, within):
                if is_done(response):
                    yield response
                else:
                    unfinished.append(response)
        active = unfinished


def _reserved_tokens(response: ActiveResponse) -> int:
    """Return the capacity of a response's KV cache after the next pass, in tokens."""
    decoded = response.decoded
    return max(decoded.capacity, decoded.length + 1 + response.draft_length)


def _resume(
    waiting: list[ActiveResponse], kv_cache_tokens: int
) -> tuple[list[ActiveResponse], list[ActiveResponse]]:
    """Return the preempted responses that fit together, last preempted first, and the others."""
    size, count = 0, 0
    for response in reversed(waiting):
        size += _path_length(response) + response.draft_length
        if count and size > kv_cache_tokens:
            break
        count += 1
    return waiting[::-1][:count], waiting[: len(waiting) - count]


def _path_length(response: ActiveResponse) -> int:
    return response.tokenized.path.prompt_length + len(response.state.tokens)


Draft = tuple[ActiveResponse, list[int]]
"""A response and its draft."""


def _passes(
    responses: Sequence[ActiveResponse], tokenizer: TextTokenizer, pass_tokens: int
) -> Iterator[list[Draft]]:
    """Draft for all responses, and yield the drafts of each pass."""
    drafts: list[Draft] = []
    size = 0
    spare = _CHEAP_PASS_TOKENS // len(responses)
    for response in responses:
        length = min(max(response.draft_length, spare), pass_tokens - 1)
        draft = response.draft(tokenizer, length)
        uncached = _path_length(response) - response.cached_tokens
        if drafts and size + uncached + len(draft) > pass_tokens:
            yield drafts
            drafts, size = [], 0
        drafts.append((response, draft))
        size += uncached + len(draft)
    yield drafts


def _verify(
    runner: Runner, drafts: Sequence[Draft], within: float | None
) -> Iterator[ActiveResponse]:
    """Verify the drafts of some responses in one pass."""
    began, segments = time.perf_counter(), []
    for response, draft in drafts:
        continuation = np.array((*response.state.tokens, *draft), np.int32)
        tokens = np.concatenate((response.tokenized.prompt_tokens, continuation))
        prefix = (*response.prefix, *response.decoded.slices)
        new = len(tokens) - response.cached_tokens
        segments.append(Segment(tokens, new, 1 + len(draft), False, within, prefix))
    cache = KVCache()
    predictions = runner.run(segments, cache)
    share = (time.perf_counter() - began) / len(drafts)
    start = 0
    for (response, draft), segment, found in zip(drafts, segments, predictions, strict=True):
        end = start + segment.new
        accepted = response.verify(draft, found)
        response.decoded.append(cache, start, end - len(draft) + accepted)
        response.adapt_draft_length(len(draft), accepted)
        start = end
        response.seconds += share
        yield response

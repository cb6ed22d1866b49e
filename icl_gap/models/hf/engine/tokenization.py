"""Tokenization of requests; requests of equal content share one token path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from icl_gap.errors import PromptError
from icl_gap.models.base import Outcome, Request, RequestId, Tokenizer
from icl_gap.models.hf.engine.trie import TokenPath, Tokens
from icl_gap.models.stopping import max_new_tokens
from icl_gap.schema import Predictions

FIRST_CHUNK = 4
"""Gold tokens verified together with the prompt where no likelihood is wanted; most responses that
go wrong do so within them."""
_ADJUDICATED_CHUNK = 16
"""The same where rounding is to be ruled out: some tokens further on, most near ties matter no
more, which takes less than float32."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedRequest:
    """A request as tokens; it stands for all requests of equal content."""

    request: Request
    """The first of these requests."""
    path: TokenPath
    """The prompt, and the gold target's first tokens: all of them if its likelihood is wanted."""
    gold_tokens: tuple[int, ...]
    """Tokens of the gold target, as far as they fit into the context."""
    max_new_tokens: int
    """The most tokens of its response."""
    gold_fits: bool
    """False if `gold_tokens` lacks the end of the gold target, which is longer than the context."""
    ids: list[RequestId] = field(default_factory=list)
    """Ids of all requests of this content."""

    @property
    def prompt_tokens(self) -> Tokens:
        """Tokens of the prompt, (n,)."""
        return self.path.tokens[: self.path.prompt_length]


def tokenize_requests(
    requests: Sequence[Request],
    tokenizer: Tokenizer,
    *,
    context_length: int | None,
    predictions: Predictions,
    adjudicated: bool = False,
) -> tuple[list[TokenizedRequest], list[Outcome]]:
    """Tokenize requests, those of equal content once.

    Args:
        requests: The requests.
        tokenizer: The model's tokenizer.
        context_length: The model's context in tokens; None if it has no limit.
        predictions: With `full`, KV cache is reserved for decoding.
        adjudicated: Whether rounding is to be ruled out.

    Returns:
        The distinct requests, and a failure for each request whose prompt fills the context.
    """
    first_chunk = _ADJUDICATED_CHUNK if adjudicated else FIRST_CHUNK
    tokenized: dict[object, TokenizedRequest] = {}
    failures: list[Outcome] = []
    for request in requests:
        content = request.content
        if content not in tokenized:
            try:
                tokenized[content] = _tokenize(
                    request, tokenizer, context_length, predictions, first_chunk
                )
            except PromptError as error:
                failures.append((request.id, error))
                continue
        tokenized[content].ids.append(request.id)
    return list(tokenized.values()), failures


def _tokenize(
    request: Request,
    tokenizer: Tokenizer,
    context_length: int | None,
    predictions: Predictions,
    first_chunk: int,
) -> TokenizedRequest:
    prompt = prompt_tokens(request, tokenizer)
    if not prompt:
        raise PromptError("an empty prompt, and no BOS to start from", value=request.query_id)
    limit = fit_max_new_tokens(request, prompt, context_length)
    whole = encode_gold(request, tokenizer, prompt)
    gold = whole[:limit]
    prefilled = gold if request.likelihood else gold[:first_chunk]
    may_decode = predictions == "full" or request.can_still_match is not None
    path = TokenPath(
        tokens=np.array((*prompt, *prefilled), np.int32),
        prompt_length=len(prompt),
        group=_group(request),
        rank=request.rank,
        reserved=len(gold) if may_decode else len(gold) - len(prefilled),
    )
    return TokenizedRequest(request, path, gold, limit, gold_fits=gold == whole)


def prompt_tokens(request: Request, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the tokens of a request's prompt, as many as the plan has counted.

    Args:
        request: The request.
        tokenizer: The model's.

    Raises:
        PromptError: The plan has counted another number.
    """
    prompt = tokenizer.encode_prompt(request.prompt.text)
    if request.tokens not in {None, len(prompt)}:
        raise PromptError(
            f"the prompt of {request.query_id} takes {len(prompt)} tokens",
            allowed=f"{request.tokens}, as planned: plan and run with one tokenizer",
        )
    return prompt


def fit_max_new_tokens(request: Request, prompt: Sequence[int], context_length: int | None) -> int:
    """Return the most tokens that a response may take in the model's context.

    Args:
        request: The request.
        prompt: The tokens of its prompt.
        context_length: The model's context in tokens; None if it has no limit.

    Raises:
        PromptError: The prompt fills the context.
    """
    most = max_new_tokens(stop=request.stop, max_new_bytes=request.max_new_bytes)
    most += request.extra_tokens
    if context_length is None:
        return most
    if len(prompt) >= context_length:
        raise PromptError(
            f"the prompt of {request.query_id} takes {len(prompt)} tokens",
            allowed=f"fewer than {context_length}, the model's context",
        )
    return min(most, context_length - len(prompt))


def encode_gold(request: Request, tokenizer: Tokenizer, prompt: Sequence[int]) -> tuple[int, ...]:
    """Return the tokens of the gold target behind its prompt; none if the target is blank.

    Args:
        request: The request.
        tokenizer: The model's tokenizer.
        prompt: The tokens of its prompt.
    """
    if not request.gold.strip():
        return ()
    return encode_continuation(request, request.gold, tokenizer, prompt)


def encode_continuation(
    request: Request, text: str, tokenizer: Tokenizer, prompt: Sequence[int]
) -> tuple[int, ...]:
    """Return the tokens of a text behind a prompt, as the model most likely writes them.

    Prompt and text are encoded as one. Where a token spans both, which no response can contain, the
    text is encoded by itself.

    Args:
        request: The request.
        text: The text that follows its prompt.
        tokenizer: The model's tokenizer.
        prompt: The tokens of its prompt.
    """
    whole = tokenizer.encode_prompt(request.prompt.text + text)
    return whole[len(prompt) :] if whole[: len(prompt)] == tuple(prompt) else tokenizer.encode(text)


def _group(request: Request) -> str:
    """Return the id of the first exemplar: prompts that begin with it share a long prefix."""
    for first in request.prompt.exemplars[:1]:
        return first.id if first.target_id is None else f"{first.id} {first.target_id}"
    return request.query_id

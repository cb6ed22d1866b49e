"""Tokenized requests; requests of equal content share one path of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from icl_gap.errors import PromptError
from icl_gap.models.base import Outcome, Request, RequestId, Tokenizer
from icl_gap.models.ending import max_new_tokens
from icl_gap.models.hf.engine.trie import Path, Tokens
from icl_gap.schema import Predictions


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedRequest:
    """A request as tokens, for all requests of the same content."""

    request: Request
    """The first of them."""
    path: Path
    room: int
    """The most tokens that the response may take."""
    whole: bool
    """Whether the path holds all of the gold text: it may be too long for the context."""
    ids: list[RequestId] = field(default_factory=list)
    """The ids of all requests of this content."""

    @property
    def prompt(self) -> Tokens:
        """The tokens of the prompt."""
        return self.path.tokens[: self.path.prompt]

    @property
    def draft(self) -> list[int]:
        """The tokens of the gold text."""
        return [int(token) for token in self.path.tokens[self.path.prompt :]]


def tokenize_requests(
    requests: Sequence[Request],
    tokenizer: Tokenizer,
    *,
    context_length: int | None,
    predictions: Predictions,
) -> tuple[list[TokenizedRequest], list[Outcome]]:
    """Tokenize requests, those of equal content once.

    Args:
        requests: The requests.
        tokenizer: The model's.
        context_length: The model's, in tokens; None where it has no limit.
        predictions: Whether wrong responses are decoded to their ends, and so take room.

    Returns:
        The tokenized requests, and an error for each request whose prompt leaves no room for a
        response.
    """
    tokenized: dict[object, TokenizedRequest] = {}
    failures: list[Outcome] = []
    for request in requests:
        content = request.content
        if content not in tokenized:
            try:
                tokenized[content] = _tokenize(request, tokenizer, context_length, predictions)
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
) -> TokenizedRequest:
    prompt = prompt_tokens(request, tokenizer)
    if not prompt:
        raise PromptError("an empty prompt, and no BOS to start from", value=request.query_id)
    room = room_for(request, prompt, context_length)
    draft = gold_tokens(request, tokenizer, prompt)
    follows = predictions == "full" or request.can_still_match is not None
    path = Path(
        tokens=np.array((*prompt, *draft[:room]), np.int32),
        prompt=len(prompt),
        group=_group(request),
        rank=request.rank,
        growth=min(room, len(draft)) if follows else 0,
    )
    return TokenizedRequest(request, path, room, whole=len(draft) <= room)


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


def room_for(request: Request, prompt: Sequence[int], context_length: int | None) -> int:
    """Return the most tokens that a response may take.

    Args:
        request: The request.
        prompt: The tokens of its prompt.
        context_length: The model's, in tokens; None where it has no limit.

    Raises:
        PromptError: There is no room at all.
    """
    most = max_new_tokens(stop=request.stop, max_new_bytes=request.max_new_bytes)
    if context_length is None:
        return most
    if len(prompt) >= context_length:
        raise PromptError(
            f"the prompt of {request.query_id} takes {len(prompt)} tokens",
            allowed=f"fewer than {context_length}, the model's context",
        )
    return min(most, context_length - len(prompt))


def gold_tokens(request: Request, tokenizer: Tokenizer, prompt: Sequence[int]) -> tuple[int, ...]:
    """Return the gold text as the model would most likely write it; nothing where it is blank.

    Args:
        request: The request.
        tokenizer: The model's.
        prompt: The tokens of the prompt.
    """
    if not request.gold.strip():
        return ()
    return tokens_behind(request, request.gold, tokenizer, prompt)


def tokens_behind(
    request: Request, text: str, tokenizer: Tokenizer, prompt: Sequence[int]
) -> tuple[int, ...]:
    """Return a text behind a prompt as the model would most likely write it.

    The two are tokenized as a whole. Where they merge into one token, which a response cannot have,
    the text is tokenized by itself.

    Args:
        request: The request that the prompt is of.
        text: The text that follows the prompt.
        tokenizer: The model's.
        prompt: The tokens of the prompt.
    """
    whole = tokenizer.encode_prompt(request.prompt.text + text)
    return whole[len(prompt) :] if whole[: len(prompt)] == tuple(prompt) else tokenizer.encode(text)


def _group(request: Request) -> str:
    """Return the id of the first exemplar: prompts that begin with it share that much more."""
    exemplars = request.prompt.exemplars
    return exemplars[0].id if exemplars else request.query_id

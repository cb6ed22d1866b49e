"""Checks that a response can belong to its request: a server that contradicts itself fails."""

from __future__ import annotations

import json
import re

from icl_gap.models.server.responses import BodyError, RawCompletion
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Usage

_TOKENS_PER_BYTE = 4
"""Bound on the tokens that a tokenizer makes of a byte of text, expanded characters included."""
_TOKENS_MORE = 1024
"""Number of tokens that a server may add to a prompt."""
_SHOWN = 60
"""Most characters of a model's name in an error."""
_PLAIN = re.compile(r"[A-Za-z][\w./@-]*")
"""Names that YAML takes without quotes."""


def most_usage(prompt: str, max_tokens: int) -> Usage:
    """Return the most tokens that a request may have used, for a server that counts none.

    Args:
        prompt: Prompt of the request.
        max_tokens: Most new tokens of the request.
    """
    return Usage(len(prompt.encode(errors="replace")), max_tokens)


def check_completion(completion: RawCompletion, spec: OpenAISpec, most: Usage) -> None:
    """Check a response against its request.

    Args:
        completion: The response.
        spec: The model that was requested.
        most: The result of `most_usage` for the request.

    Raises:
        BodyError: The response is of another model, has an impossible number of tokens, or was
            truncated too early.
    """
    if completion.model is not None and completion.model not in _names(spec):
        raise BodyError(_another_model(completion.model, spec.model), completion.usage, final=True)
    if completion.usage is None:
        return
    prompt, written = completion.usage.prompt_tokens, completion.usage.completion_tokens
    limit = most.completion_tokens
    # A server may bound the answer alone, and count the thinking on top of it.
    beside = min(completion.usage.reasoning_tokens or 0, limit)
    if prompt > _TOKENS_PER_BYTE * most.prompt_tokens + _TOKENS_MORE:
        reason = (
            f"its usage is impossible: {prompt} tokens for a prompt of {most.prompt_tokens} bytes"
        )
    elif written > limit + beside:
        reason = f"its usage is impossible: {written} new tokens, where {limit} were asked for"
    elif completion.finish_reason == "length" and written < limit:
        reason = f"the server cut the response short, after {written} of {limit} tokens"
    else:
        return
    raise BodyError(reason, completion.usage, final=True)


def _names(spec: OpenAISpec) -> tuple[str, ...]:
    """Return the names that responses may give a model.

    `transformers serve` adds the revision of a model on the hub, by default `main`.
    """
    return (spec.model, f"{spec.model}@main", *spec.model_alias)


def _another_model(found: str, requested: str) -> str:
    name = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}…"
    name = name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return (
        f"the model {name} responded, where {requested[:_SHOWN]} was requested; if it is the one "
        f"that you mean, say so in the model's entry: `model_alias: {name}`"
    )

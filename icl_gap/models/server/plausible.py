"""Whether an answer can be the answer to what was sent: a server that contradicts itself fails."""

from __future__ import annotations

import json
import re

from icl_gap.models.server.responses import BodyError, Served
from icl_gap.models.spec import OpenAISpec
from icl_gap.schema import Usage

_TOKENS_PER_BYTE = 4
"""More tokens than any tokenizer makes of a byte of text, expanded characters included."""
_TOKENS_MORE = 1024
"""Tokens that a server may put around a prompt."""
_SHOWN = 60
"""Characters of a model's name."""
_PLAIN = re.compile(r"[A-Za-z][\w./@-]*")
"""A name that YAML takes without quotes."""


def most_usage(prompt: str, max_tokens: int) -> Usage:
    """The most tokens that a request may have used, for where the server does not say.

    Args:
        prompt: The text that was sent.
        max_tokens: The tokens that were asked for.
    """
    return Usage(len(prompt.encode(errors="replace")), max_tokens)


def check_served(served: Served, spec: OpenAISpec, most: Usage) -> None:
    """Check what a server says of its answer against what was sent.

    Args:
        served: The answer.
        spec: The model that was asked for.
        most: See `most_usage`.

    Raises:
        BodyError: Another model has answered, more tokens were used than can be, or the answer was
            cut before its time.
    """
    if served.model is not None and served.model not in _names(spec):
        raise BodyError(_another_model(served.model, spec.model), served.usage, final=True)
    if served.usage is None:
        return
    prompt, written = served.usage.prompt_tokens, served.usage.completion_tokens
    asked = most.completion_tokens
    if prompt > _TOKENS_PER_BYTE * most.prompt_tokens + _TOKENS_MORE:
        reason = f"its usage cannot be: {prompt} tokens for a prompt of {most.prompt_tokens} bytes"
    elif written > asked:
        reason = f"its usage cannot be: {written} new tokens, where {asked} were asked for"
    elif served.finish_reason == "length" and written < asked:
        reason = f"the server cut the answer short, after {written} of {asked} tokens"
    else:
        return
    raise BodyError(reason, served.usage, final=True)


def _names(spec: OpenAISpec) -> tuple[str, ...]:
    """The names under which a model may answer.

    `transformers serve` says which revision of a model on the hub it has taken: by itself, `main`.
    """
    return (spec.model, f"{spec.model}@main", *spec.model_alias)


def _another_model(found: str, asked: str) -> str:
    name = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}…"
    name = name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return (
        f"the model {name} answered, where {asked[:_SHOWN]} was asked; if it is the one you mean, "
        f"say so in the model's entry: `model_alias: {name}`"
    )

"""What a server sends back, read as strictly as it must be to be an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icl_gap.models.base import Request
from icl_gap.models.ending import ended
from icl_gap.models.hf.engine.response_state import Reply
from icl_gap.models.hf.engine.sequences import gold_tokens, tokens_behind
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.schema import Completion, Divergence, FinishReason, Usage

_SHOWN = 10_000
"""Bytes of a body; `redacted` shortens it, once the key is out of it."""
_LONGEST_TOKEN = 512
"""More characters than a token of any vocabulary has."""


class BodyError(Exception):
    """A body that is no completion.

    Args:
        reason: Why.
        usage: What it says that it took.
        final: Whether the same request would get no other.
    """

    def __init__(self, reason: str, usage: Usage | None = None, *, final: bool = False) -> None:
        super().__init__(reason)
        self.usage = usage
        self.final = final


@dataclass(frozen=True, slots=True)
class Served:
    """A completion as a server sent it."""

    text: str
    finish_reason: FinishReason
    """`eos` only where the server tells that from `stop`, as vLLM does."""
    usage: Usage | None
    choice: Mapping[str, Any]
    """All that was said of it."""
    model: str | None = None
    """The model that the server says has answered; None where it names none."""


def read_body(content: bytes) -> Served:
    """Read the body of a response.

    Args:
        content: The body.

    Raises:
        BodyError: It is not JSON, or lacks what makes an answer.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise BodyError(f"the body is not JSON: {content[:_SHOWN]!r}") from None
    match body:
        case {"error": error} if error is not None:
            raise BodyError(f"it is an error: {json.dumps(error)}", _claimed(body))
        case {"choices": [{"error": error}]} if error is not None:
            raise BodyError(f"it is an error: {json.dumps(error)}", _claimed(body))
        case {"choices": [{"text": str(text), "finish_reason": "stop" | "length"} as choice]}:
            return Served(text, _end(choice), _usage(body), choice, _model(body))
        case {"choices": [{"text": str(), "finish_reason": str(end)}]}:
            raise BodyError(
                f"it is no answer: finish_reason is {end!r}", _claimed(body), final=True
            )
    raise BodyError("it lacks one choice with text and finish_reason", _claimed(body))


def _end(choice: Mapping[str, Any]) -> FinishReason:
    if choice["finish_reason"] == "length":
        return "length"
    return "stop" if isinstance(choice.get("stop_reason", ""), str) else "eos"


def _usage(body: Mapping[str, Any]) -> Usage | None:
    """The tokens that a body says it took; None where it does not say.

    Raises:
        BodyError: It says what no number of tokens can be.
    """
    found = body.get("usage")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise BodyError("its usage is no object", final=True)
    prompt, completion = found.get("prompt_tokens"), found.get("completion_tokens")
    if prompt is None or completion is None:
        return None
    return Usage(_count(prompt), _count(completion))


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise BodyError(f"its usage cannot be: {json.dumps(value)[:_SHOWN]} tokens", final=True)


def _claimed(body: object) -> Usage | None:
    """The tokens that a body without an answer says it took, where that can be read."""
    try:
        return _usage(body) if isinstance(body, dict) else None
    except BodyError:
        return None


def _model(body: Mapping[str, Any]) -> str | None:
    """The model that a body names; None where it names none.

    Raises:
        BodyError: What stands there is no name.
    """
    model = body.get("model")
    if model is None or isinstance(model, str):
        return model or None
    raise BodyError("its model is no name", final=True)


def read_answer(
    served: Served, request: Request, tokenizer: TextTokenizer | None
) -> tuple[Completion, Divergence | None]:
    """Where an answer ends, and where it leaves the gold answer.

    With a tokenizer, the text is cut into tokens again and read as the tokens of a local model are;
    without one, it is cut at characters, and nobody can say at which token it went wrong.

    Args:
        served: What the server wrote, with its stop or without.
        request: What was asked.
        tokenizer: The model's.
    """
    stop, most = request.stop, request.max_new_bytes
    # A server may send anything; past these, an answer has ended, with the token that it ends in.
    text = served.text[: most + len(stop) + _LONGEST_TOKEN]
    found = stop in text
    if tokenizer is not None:
        ending = stop if served.finish_reason == "stop" and not found else ""
        read = _read_tokens(text + ending, served.finish_reason, request, tokenizer)
        if read is not None:
            return read
    for n in range(len(text) + 1):
        done = ended(text[:n], stop=stop, max_new_bytes=most)
        if done is not None:
            return done, None
    return Completion(text, served.finish_reason), None


def _read_tokens(
    text: str, finish_reason: FinishReason, request: Request, tokenizer: TextTokenizer
) -> tuple[Completion, Divergence | None] | None:
    """As `read_answer`; None where the tokens do not spell the answer, or do not end it."""
    start = tokenizer.encode_prompt(request.prompt.text)
    tokens = tokens_behind(request, text, tokenizer, start)
    cut = finish_reason == "length"
    reply = Reply(
        tokenizer,
        request.gold,
        gold_tokens(request, tokenizer, start),
        stop=request.stop,
        max_new_bytes=request.max_new_bytes,
        room=len(tokens) + (not cut),
    )
    ends = tuple(tokenizer.eos)[:1] if finish_reason == "eos" else ()
    for token in (*tokens, *ends):
        reply.take(token)
        if reply.completion is not None:
            break
    if reply.completion is None:
        return None
    # Behind an answer that ended by itself, what was cut off may have left half a token.
    taken = tokens[: len(reply.tokens)]
    spelled = tokenizer.decode(taken)
    whole = spelled == text or (len(taken) < len(tokens) and text.startswith(spelled))
    return (reply.completion, reply.divergence) if whole else None

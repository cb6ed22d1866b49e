"""Bodies of responses of a server: strict reading, and conversion to completions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icl_gap.models.base import Request
from icl_gap.models.hf.engine.response_state import ResponseState
from icl_gap.models.hf.engine.tokenization import encode_continuation, encode_gold
from icl_gap.models.hf.tokenizer import TextTokenizer
from icl_gap.models.stopping import check_stop
from icl_gap.schema import Completion, Divergence, FinishReason, Usage, Withheld

_SHOWN = 10_000
"""Most bytes of a body in a reason, which `redacted` then shortens."""
_LONGEST_TOKEN = 512
"""Bound on the characters of a token of any vocabulary."""


class BodyError(Exception):
    """A body is not a completion.

    Args:
        reason: Reason.
        usage: Tokens that the body says the request took.
        final: True if another attempt would get the same.
    """

    def __init__(self, reason: str, usage: Usage | None = None, *, final: bool = False) -> None:
        super().__init__(reason)
        self.usage = usage
        self.final = final


@dataclass(frozen=True, slots=True)
class RawCompletion:
    """A completion as a server sent it."""

    text: str
    finish_reason: FinishReason
    """`eos` only where the server distinguishes that from `stop`, as vLLM does."""
    usage: Usage | None
    choice: Mapping[str, Any]
    """Choice of the body that holds the completion, in full."""
    model: str | None = None
    """Model that the body names; None where it names none."""
    reasoning: str | None = None
    """Reasoning before a chat response, where it is set apart."""
    withheld: Withheld | None = None
    """Reason for which a chat response is no answer."""


def read_body(content: bytes) -> RawCompletion:
    """Read the body of a response.

    Args:
        content: The body.

    Raises:
        BodyError: The body is not JSON, is an error, or lacks a field of a completion.
    """
    match body := load_body(content):
        case {"choices": [{"text": str(text), "finish_reason": "stop" | "length"} as choice]}:
            return RawCompletion(text, read_end(choice), read_usage(body), choice, read_model(body))
        case {"choices": [{"text": str(), "finish_reason": str(end)}]}:
            raise BodyError(
                f"it is not a completion: finish_reason is {end!r}", claimed_usage(body), final=True
            )
    raise BodyError("it lacks one choice with text and finish_reason", claimed_usage(body))


def load_body(content: bytes) -> Any:
    """Return the JSON value of a body.

    Args:
        content: The body.

    Raises:
        BodyError: The body is not JSON, or is an error.
    """
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise BodyError(f"the body is not JSON: {content[:_SHOWN]!r}") from None
    match body:
        case {"error": error} if error is not None:
            raise BodyError(f"it is an error: {json.dumps(error)}", claimed_usage(body))
        case {"choices": [{"error": error}]} if error is not None:
            raise BodyError(f"it is an error: {json.dumps(error)}", claimed_usage(body))
    return body


def read_end(choice: Mapping[str, Any]) -> FinishReason:
    """Return how a response has ended.

    Args:
        choice: The choice that holds it, whose `finish_reason` is `stop` or `length`.
    """
    if choice["finish_reason"] == "length":
        return "length"
    return "stop" if isinstance(choice.get("stop_reason", ""), str) else "eos"


def read_usage(body: Mapping[str, Any]) -> Usage | None:
    """Return the usage of a body; None where it has none.

    Tokens of thinking are part of those of the response, and are added where a server counts them
    beside these: where its total says so, or where they are more.

    Args:
        body: The JSON value of the body.

    Raises:
        BodyError: The usage holds an impossible number.
    """
    found = body.get("usage")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise BodyError("its usage is not an object", final=True)
    prompt, completion = found.get("prompt_tokens"), found.get("completion_tokens")
    if prompt is None or completion is None:
        return None
    read, written = _count(prompt), _count(completion)
    thought = _detail(found, "completion_tokens_details", "reasoning_tokens")
    cached = _detail(found, "prompt_tokens_details", "cached_tokens")
    if thought and (thought > written or found.get("total_tokens") == read + written + thought):
        written += thought
    return Usage(read, written, thought, cached)


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int | None:
    """Return a count that stands in a group of a usage, or beside it; None where none can be read.

    It is a detail, for which no response fails.
    """
    details = usage.get(group)
    value = details.get(name) if isinstance(details, dict) else None
    value = usage.get(name) if value is None else value
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if good else None


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise BodyError(f"its usage is impossible: {json.dumps(value)[:_SHOWN]} tokens", final=True)


def claimed_usage(body: object) -> Usage | None:
    """Return the usage of a body without a completion, where it can be read.

    Args:
        body: The JSON value of the body.
    """
    try:
        return read_usage(body) if isinstance(body, dict) else None
    except BodyError:
        return None


def read_model(body: Mapping[str, Any]) -> str | None:
    """Return the model that a body names; None where it names none.

    Args:
        body: The JSON value of the body.

    Raises:
        BodyError: The value is not a name.
    """
    model = body.get("model")
    if model is None or isinstance(model, str):
        return model or None
    raise BodyError("its model is not a name", final=True)


def read_response(
    completion: RawCompletion, request: Request, tokenizer: TextTokenizer | None
) -> tuple[Completion, Divergence | None]:
    """Return a completion up to its end, and its divergence from the gold text.

    With a tokenizer, the text is tokenized again and read as the tokens of a local model are;
    without one, it is cut at characters, and the diverging token is not known.

    Args:
        completion: The completion, with its stop or without.
        request: The request.
        tokenizer: The model's tokenizer, where there is one.
    """
    stop, most = request.stop, request.max_new_bytes
    # A server may send anything; beyond these characters, a response has ended in any case.
    text = completion.text[: most + len(stop) + _LONGEST_TOKEN]
    stopped = stop in text
    if tokenizer is not None:
        ending = stop if completion.finish_reason == "stop" and not stopped else ""
        found = _read_tokens(text + ending, completion.finish_reason, request, tokenizer)
        if found is not None:
            return found
    for n in range(len(text) + 1):
        done = check_stop(text[:n], stop=stop, max_new_bytes=most)
        if done is not None:
            return done, None
    return Completion(text, completion.finish_reason), None


def _read_tokens(
    text: str, finish_reason: FinishReason, request: Request, tokenizer: TextTokenizer
) -> tuple[Completion, Divergence | None] | None:
    """Implement `read_response` by tokens; None if they do not spell the text, or do not end it."""
    start = tokenizer.encode_prompt(request.prompt.text)
    tokens = encode_continuation(request, text, tokenizer, start)
    cut = finish_reason == "length"
    state = ResponseState(
        tokenizer,
        request.gold,
        encode_gold(request, tokenizer, start),
        stop=request.stop,
        max_new_bytes=request.max_new_bytes,
        max_new_tokens=len(tokens) + (not cut),
    )
    ends = tuple(tokenizer.eos)[:1] if finish_reason == "eos" else ()
    for token in (*tokens, *ends):
        state.append(token)
        if state.completion is not None:
            break
    if state.completion is None:
        return None
    # After the end of a response, the cut may have left a part of a token.
    taken = tokens[: len(state.tokens)]
    spelled = tokenizer.decode(taken)
    whole = spelled == text or (len(taken) < len(tokens) and text.startswith(spelled))
    return (state.completion, state.divergence) if whole else None

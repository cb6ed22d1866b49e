"""Bodies of chat responses: strict reading, with reasoning set apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from icl_gap.models.reasoning import split_reasoning
from icl_gap.models.server.responses import (
    BodyError,
    RawCompletion,
    claimed_usage,
    load_body,
    read_end,
    read_model,
    read_usage,
)
from icl_gap.schema import Withheld

_REASONING = ("reasoning_content", "reasoning")
"""Fields of a message that hold reasoning, by server: DeepSeek, SGLang and older vLLM; vLLM and
OpenRouter."""


def read_chat_body(content: bytes) -> RawCompletion:
    """Read the body of a chat response.

    Args:
        content: The body.

    Returns:
        The response, whose text is the message without reasoning. It is empty where the model has
        ended, or was cut, before its answer began. A refusal's text is the refusal.

    Raises:
        BodyError: The body is not JSON, is an error, lacks a field of a chat response, or is a
            call of a tool.
    """
    match body := load_body(content):
        case {"choices": [{"message": {"tool_calls": [_, *_]} | {"function_call": {}}}]}:
            raise BodyError(
                "the model calls a tool, where none was offered", claimed_usage(body), final=True
            )
        case {
            "choices": [
                {
                    "message": dict(message),
                    "finish_reason": "stop" | "length" | "content_filter",
                } as choice
            ]
        }:
            return _read_choice(message, choice, body)
        case {"choices": [{"message": dict(), "finish_reason": str(end)}]}:
            raise BodyError(
                f"it is not an answer: finish_reason is {end!r}", claimed_usage(body), final=True
            )
    raise BodyError("it lacks one choice with message and finish_reason", claimed_usage(body))


def _read_choice(
    message: Mapping[str, Any], choice: Mapping[str, Any], body: Mapping[str, Any]
) -> RawCompletion:
    """Read a choice with its message.

    A content filter is no failure of the request: another attempt would meet it again.
    """
    finish_reason = choice["finish_reason"]
    refusal = _refusal(message)
    withheld: Withheld | None = "refused" if refusal else None
    if finish_reason == "content_filter":
        withheld, choice = "filtered", {**choice, "finish_reason": "stop"}
    text, reasoning = _read_message(message, refusal, finish_reason, body)
    return RawCompletion(
        text, read_end(choice), read_usage(body), choice, read_model(body), reasoning, withheld
    )


def _refusal(message: Mapping[str, Any]) -> str:
    """Return the refusal of a message that has no other text; empty if there is none."""
    match message:
        case {"content": None | "", "refusal": str(refusal)}:
            return refusal
        case {"content": list(parts)} if not any(map(_part, parts)):
            said = [part.get("refusal") for part in parts if isinstance(part, dict)]
            return "".join(each for each in said if isinstance(each, str))
        case {"refusal": str(refusal)} if "content" not in message:
            return refusal
    return ""


def _read_message(
    message: Mapping[str, Any], refusal: str, finish_reason: str, body: Mapping[str, Any]
) -> tuple[str, str | None]:
    """Return the text of a message without reasoning, and its reasoning.

    Raises:
        BodyError: There is neither a text, nor reasoning, nor a refusal, nor a cut.
    """
    reasoning = next((text for name in _REASONING if (text := message.get(name))), None)
    reasoning = reasoning if isinstance(reasoning, str) else None
    match message:
        case _ if refusal:
            text = refusal
        case {"content": str(content)}:
            text = content
        case {"content": list(parts)}:
            text = "".join(map(_part, parts))
        case _ if reasoning is not None or finish_reason != "stop":
            text = ""
        case _:
            raise BodyError("its message lacks a content", claimed_usage(body))
    answer, inline = split_reasoning(text)
    both = [each for each in (reasoning, inline) if each is not None]
    return answer, "\n".join(both) if both else None


def _part(part: object) -> str:
    """Return the text of a part of a message; empty for a part of another type."""
    match part:
        case {"type": "text", "text": str(text)}:
            return text
    return ""

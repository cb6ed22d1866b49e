"""Options of models that a server runs and that may take a chat."""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, field_validator, model_validator

from icl_gap.schema import AnswerRule, ChatLayout
from icl_gap.specs import Spec

_RESERVED = (
    "model", "prompt", "messages", "stream", "n", "stop", "temperature", "max_tokens",
    "max_completion_tokens", "seed", "reasoning_effort", "echo", "logprobs", "prompt_logprobs",
)  # fmt: skip
"""Fields of a request that `extra_body` must not set."""
_CHAT_ONLY = (
    "exemplars", "system", "answer", "answer_pattern", "thinking_tokens", "max_completion_tokens",
    "reasoning_effort",
)  # fmt: skip


class ChatOptions(Spec):
    """Form of the requests to a server, and the part of its responses that counts."""

    api: Literal["auto", "completions", "chat"] = "auto"
    """Endpoint: `completions` continues a text, `chat` responds to messages. `auto` tries both when
    the model is loaded, completions first, and says which it found."""
    exemplars: Literal["turns", "text"] = "turns"
    """Exemplars of a chat: each as a message of the user and one of the assistant, or all as the
    text of one message."""
    system: str | None = None
    """System message of a chat, in place of the template's instruction; `""` for none."""
    answer: AnswerRule | None = None
    """Part of a chat response that counts as its answer; by default the first line. See below."""
    answer_pattern: str | None = None
    """Regular expression of `answer: regex`. Its last match counts: its first group, or all."""
    thinking_tokens: NonNegativeInt = 4096
    """Tokens of a chat response that are allowed for thinking, beside those of the answer."""
    max_completion_tokens: PositiveInt | None = None
    """Most tokens of a chat response, in place of what the longest target and `thinking_tokens`
    come to."""
    reasoning_effort: str | None = Field(default=None, min_length=1)
    """Passed on to the server, for models that think before they answer."""
    seed: int | None = None
    """Passed on to the server, which may decode more alike with it."""
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)
    """Further fields of each request, passed on as they are."""

    @property
    def chat_layout(self) -> ChatLayout | None:
        """Form of prompts as messages; None where none are sent."""
        return None if self.api == "completions" else ChatLayout(self.exemplars, self.system)

    def request_key(self) -> dict[str, Any]:
        """Return what these options add to the model's identity, as JSON values.

        Options of a chat that nobody sets stand there only with `api: chat`, so that a model keeps
        the key that it had before there were such options.
        """
        found: dict[str, Any] = {"seed": self.seed} if self.seed is not None else {}
        if self.extra_body:
            found["extra_body"] = self.extra_body
        if self.api == "chat":
            found["api"] = self.api
        names = _CHAT_ONLY if self.api == "chat" else self.changed_chat_options()
        return found | {name: getattr(self, name) for name in names}

    def changed_chat_options(self) -> tuple[str, ...]:
        """Return the names of the options of a chat that differ from their defaults."""
        fields = type(self).model_fields
        return tuple(n for n in _CHAT_ONLY if getattr(self, n) != fields[n].default)

    @field_validator("answer_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    @field_validator("extra_body")
    @classmethod
    def _adds(cls, body: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := [name for name in body if name in _RESERVED]:
            raise ValueError(
                f"{', '.join(taken)} cannot be set here: icl_gap sets it, or has a key of its own"
            )
        return body

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.answer == "regex") != (self.answer_pattern is not None):
            raise ValueError("`answer: regex` and `answer_pattern` need each other")
        changed = self.changed_chat_options()
        if self.api == "completions" and changed:
            raise ValueError(f"`{changed[0]}` is for a chat, and not for `api: completions`")
        return self

"""Options of models that take a chat: on any machine, here, and on a server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, NonNegativeInt, PositiveInt, field_validator, model_validator

from icl_gap.schema import AnswerRule, ChatLayout
from icl_gap.specs import Spec

_RESERVED = (
    "model", "prompt", "messages", "stream", "n", "stop", "temperature", "max_tokens",
    "max_completion_tokens", "seed", "reasoning_effort", "echo", "logprobs", "prompt_logprobs",
)  # fmt: skip
"""Fields of a request that `extra_body` must not set."""
_Tag = Annotated[str, Field(min_length=1)]
_MESSAGES = ("exemplars", "system", "answer", "answer_pattern")
_CHAT_ONLY = (*_MESSAGES, "thinking_tokens", "max_completion_tokens", "reasoning_effort")
_TEMPLATE_ONLY = (*_MESSAGES, "thinking", "thinking_tokens", "chat_template_kwargs")
_THINKING_TOKENS = 4096
"""Tokens of a response that are allowed for thinking, where a model's entry names no number."""


class MessageOptions(Spec):
    """Form of prompts as messages, and the part of a response that counts."""

    exemplars: Literal["turns", "text"] = "turns"
    """Exemplars of a chat: each as a message of the user and one of the assistant, or all as the
    text of one message."""
    system: str | None = None
    """System message of a chat, in place of the template's instruction; `""` for none."""
    answer: AnswerRule | None = None
    """Part of a chat response that counts as its answer; by default the first line. See below."""
    answer_pattern: str | None = None
    """Regular expression of `answer: regex`. Its last match counts: its first group, or all."""

    @property
    def messages_layout(self) -> ChatLayout:
        """Form of prompts as messages, where they are sent as such."""
        return ChatLayout(self.exemplars, self.system)

    def changed(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those names of options whose values differ from their defaults.

        Args:
            names: Names of options.
        """
        fields = type(self).model_fields
        defaults = {name: fields[name].get_default(call_default_factory=True) for name in names}
        return tuple(name for name, value in defaults.items() if getattr(self, name) != value)

    @field_validator("answer_pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _pattern_has_its_rule(self) -> Self:
        if (self.answer == "regex") != (self.answer_pattern is not None):
            raise ValueError("`answer: regex` and `answer_pattern` need each other")
        return self


class TemplateOptions(MessageOptions):
    """Options of models that run here, and that a chat template may turn into a chat."""

    chat_template: Annotated[str, Field(min_length=1)] = "none"
    """Chat template that turns messages into the prompt's text: `auto` takes the model's own,
    another name is that of a file in Jinja. With `none` the model continues a text, whatever
    template its tokenizer has; that of a base model may have one too."""
    thinking: tuple[_Tag, _Tag] | Literal["auto", "none"] = "auto"
    """Text before and after the thoughts of a response, as `["<think>", "</think>"]`. `auto` takes
    what the zoo knows of the model, or these two where the chat template names them."""
    thinking_tokens: NonNegativeInt | None = None
    """Tokens of a chat response that are allowed for thinking, beside those of the answer; by
    default 4096 where the model thinks first, and 0 elsewhere."""
    chat_template_kwargs: dict[str, JsonValue] = Field(default_factory=dict)
    """Variables of the chat template, as `{enable_thinking: false}`."""

    @property
    def chat_layout(self) -> ChatLayout | None:
        """Form of prompts as messages; None where the model continues a text."""
        return None if self.chat_template == "none" else self.messages_layout

    def template_key(self) -> dict[str, Any]:
        """Return the options of the chat that stand in the model's identity, as JSON values.

        The template, the tags and the tokens for thinking stand there as they are found.
        """
        return {name: getattr(self, name) for name in _MESSAGES}

    def most_thinking_tokens(self, *, thinks: bool) -> int:
        """Return the tokens that are allowed for thinking.

        Args:
            thinks: True if the model thinks before it answers.
        """
        if self.thinking_tokens is not None:
            return self.thinking_tokens
        return _THINKING_TOKENS if thinks else 0

    @field_validator("chat_template_kwargs")
    @classmethod
    def _are_free(cls, variables: dict[str, JsonValue]) -> dict[str, JsonValue]:
        taken = [name for name in variables if name in ("messages", "add_generation_prompt")]
        if taken:
            raise ValueError(f"{taken[0]} cannot be set here: icl_gap sets it")
        return variables

    @model_validator(mode="after")
    def _has_a_template(self) -> Self:
        changed = self.changed(_TEMPLATE_ONLY)
        if self.chat_template == "none" and changed:
            raise ValueError(f"`{changed[0]}` is for a chat: set `chat_template: auto` too")
        return self


class ChatOptions(MessageOptions):
    """Form of the requests to a server, and the part of its responses that counts."""

    api: Literal["auto", "completions", "chat"] = "auto"
    """Endpoint: `completions` continues a text, `chat` responds to messages. `auto` tries both when
    the model is loaded, completions first, and says which it found."""
    thinking_tokens: NonNegativeInt = _THINKING_TOKENS
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
        return None if self.api == "completions" else self.messages_layout

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
        return self.changed(_CHAT_ONLY)

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
        changed = self.changed_chat_options()
        if self.api == "completions" and changed:
            raise ValueError(f"`{changed[0]}` is for a chat, and not for `api: completions`")
        return self

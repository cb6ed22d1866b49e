"""Chat templates: messages to the text that a model reads, as `apply_chat_template` writes it.

Templates run in the sandbox of Jinja, set up as in `transformers`, without importing it. One thing
differs: `strftime_now` gives a fixed day, since a prompt with today's date would change from one
run to the next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from icl_gap.errors import ModelError
from icl_gap.models.stopping import FRAME_TOKENS
from icl_gap.schema import ChatLayout, Message
from icl_gap.text import brief

TODAY = datetime(2024, 7, 26, tzinfo=UTC)
"""Day that templates are told it is: the one that Llama's fall back to."""
_PROBE = (
    Message("user", "first of the user"),
    Message("assistant", "first of the assistant"),
    Message("user", "second of the user"),
)
_SYSTEM = Message("system", "first of the system")


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A chat template of a model, with all that it needs to write a prompt."""

    text: str
    """The template, in Jinja."""
    special_tokens: Mapping[str, str]
    """Special tokens of the tokenizer by their roles, as `bos_token`."""
    variables: Mapping[str, Any]
    """Further variables, as `enable_thinking`."""
    thinking: tuple[str, str] | None
    """Text before and after the thoughts of a response; None for a model that does not think."""
    thinking_tokens: int = 0
    """Tokens of a response that are allowed for thinking."""
    takes_system: bool = True
    """False if the template refuses a system message, or drops it. Its text then stands first in
    the first message of the user."""

    @property
    def sha256(self) -> str:
        """sha256 of the template's text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def extra_tokens(self) -> int:
        """Tokens of a response that are allowed beside those of its answer."""
        return FRAME_TOKENS + self.thinking_tokens

    def render(self, messages: Sequence[Message]) -> str:
        """Return the text of a prompt, up to the begin of the assistant's message.

        Args:
            messages: The messages. A system message may only be the first.

        Raises:
            ModelError: The template refuses the messages.
        """
        try:
            return _written(self, messages if self.takes_system else _merged(messages))
        except Exception as error:  # a template may fail as any program may
            raise ModelError(f"the chat template refuses a prompt: {_reason(error)}") from error

    def continuation(self, messages: Sequence[Message], answer: str) -> str:
        """Return the text that continues a prompt in a response which is an answer alone.

        It is the answer with the white space that the template puts before an assistant's message.

        Args:
            messages: The messages of the prompt.
            answer: The answer.

        Returns:
            The text up to the end of the answer; empty where thoughts come first, so that none is
            known.
        """
        if not answer.strip() or self.thinks_first(messages):
            return ""
        prompt = self.render(messages)
        given = messages if self.takes_system else _merged(messages)
        try:
            whole = _written(self, (*given, Message("assistant", answer)), add_prompt=False)
        except Exception:  # noqa: BLE001 (a template may refuse to end with the assistant)
            return answer
        rest = whole.removeprefix(prompt) if whole.startswith(prompt) else ""
        space, found, _ = rest.partition(answer)
        return space + answer if found and not space.strip() else answer

    def after_answer(self) -> str:
        """Return the text that the template writes after a message of the assistant."""
        try:
            written = _written(self, _PROBE[:2], add_prompt=False)
        except Exception:  # noqa: BLE001 (a template may refuse to end with the assistant)
            return ""
        return written.partition(_PROBE[1].content)[2]

    def opens_thinking(self, prompt: str) -> bool:
        """Return True if a prompt ends with the tag before thoughts.

        Args:
            prompt: The text of a prompt.
        """
        return self.thinking is not None and prompt.rstrip().endswith(self.thinking[0].rstrip())

    def thinks_first(self, messages: Sequence[Message]) -> bool:
        """Return True if thoughts may follow a prompt, False if the answer begins at once.

        It does where the template itself closes the thoughts, as with `enable_thinking: false`.

        Args:
            messages: The messages of the prompt.
        """
        if self.thinking is None:
            return False
        return not self.render(messages).rstrip().endswith(self.thinking[1].rstrip())

    def __repr__(self) -> str:
        thinks = "does not think" if self.thinking is None else "thinks"
        return brief("ChatTemplate", self.sha256[:12], thinks)


def make_chat_template(
    text: str,
    *,
    layout: ChatLayout,
    special_tokens: Mapping[str, str],
    variables: Mapping[str, Any],
    thinking: tuple[str, str] | None,
) -> ChatTemplate:
    """Return a chat template that is known to write messages of a form.

    Args:
        text: The template, in Jinja.
        layout: The form of the messages.
        special_tokens: Special tokens of the tokenizer by their roles.
        variables: Further variables of the template.
        thinking: Text before and after the thoughts of a response.

    Raises:
        ModelError: The template is damaged, refuses messages, or drops turns.
    """
    found = ChatTemplate(text, special_tokens, variables, thinking)
    messages = _PROBE if layout.exemplars == "turns" else _PROBE[-1:]
    try:
        written = _written(found, messages)
    except Exception as error:  # a template may fail as any program may
        raise ModelError(
            f"the chat template cannot write a prompt: {_reason(error)}",
            allowed="a template in Jinja as `transformers` takes it, for messages of user and "
            "assistant by turns; or another form of these (`exemplars: text`)",
        ).at(key="chat_template") from error
    if not _holds(written, messages):
        raise ModelError(
            "the chat template leaves out earlier turns, so a prompt would lack its exemplars",
            allowed="`exemplars: text`, or another template",
        ).at(key="chat_template")
    return replace(found, takes_system=_takes_system(found, messages))


def _written(
    template: ChatTemplate, messages: Sequence[Message], *, add_prompt: bool = True
) -> str:
    return _compiled(template.text).render(
        **{
            **template.special_tokens,
            **template.variables,
            "messages": [asdict(each) for each in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_prompt,
        }
    )


def _takes_system(template: ChatTemplate, messages: Sequence[Message]) -> bool:
    both = (_SYSTEM, *messages)
    try:
        return _holds(_written(template, both), both)
    except Exception:  # noqa: BLE001 (Gemma's raises what Jinja makes of it)
        return False


def _holds(text: str, messages: Sequence[Message]) -> bool:
    """Return True if a text holds the contents of all messages, in order."""
    place = 0
    for each in messages:
        place = text.find(each.content, place)
        if place < 0:
            return False
        place += len(each.content)
    return True


def _merged(messages: Sequence[Message]) -> Sequence[Message]:
    """Put the text of a system message first in the message after it."""
    match messages:
        case [Message("system", system), Message(role, content), *others]:
            return Message(role, f"{system}\n\n{content}"), *others
    return messages


def _reason(error: Exception) -> str:
    text = str(error).strip()
    named = isinstance(error, TemplateError) and text
    return text if named else f"{type(error).__name__}: {text}"


class _Generation(Extension):
    """Passes over `{% generation %}`, with which templates mark the assistant's text."""

    tags = {"generation"}  # noqa: RUF012 (as Jinja declares it)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """Return what stands between the marks."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


@lru_cache(16)
def _compiled(text: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = TODAY.strftime
    return environment.from_string(text)


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, **{"ensure_ascii": False, **options})


def _refuse(message: str) -> None:
    raise TemplateError(message)

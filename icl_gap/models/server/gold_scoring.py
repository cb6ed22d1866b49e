"""Requests for the log-probabilities of a gold text after its prompt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from icl_gap.models.server.logprobs import GoldToken, Mode, read_gold_tokens
from icl_gap.models.server.responses import RawCompletion

Send = Callable[[dict[str, Any]], Awaitable[RawCompletion]]
"""Sends the fields of a request, and returns the completion."""
_FIELDS: Mapping[Mode, Mapping[str, Any]] = {
    "sglang": {},
    "echo": {"echo": True, "logprobs": 1},
    "prompt_logprobs": {"extra_body": {"prompt_logprobs": 1}},
}
"""Fields of a request for the log-probabilities of its prompt, by mode."""
_EARLY = 4
"""Tokens before the gold text at which SGLang's log-probabilities start. The first has none, and a
tokenizer may merge the end of the prompt with the gold text."""


@dataclass(frozen=True, slots=True)
class ScoredText:
    """A gold text, scored by a server."""

    tokens: tuple[GoldToken, ...]
    after: str
    """The token that the model generates after it."""
    eos: bool
    """True if the model ends its response there instead."""


async def score_text(
    send: Send, mode: Mode, prompt: str, gold: str, n_prompt: int | None = None
) -> ScoredText | None:
    """Send a gold text after its prompt, and read its log-probabilities.

    Args:
        send: Sends a request.
        mode: Mode of the log-probabilities.
        prompt: The prompt.
        gold: The gold text; not empty.
        n_prompt: Number of tokens of the prompt, where a tokenizer is here. With `sglang`, one
            request more finds it out.

    Returns:
        The score; None if the server gives none for these tokens.

    Raises:
        RequestError: The server did not respond.
        InferenceError: A log-probability is above 0 or not finite.
    """
    sent = prompt + gold
    if mode == "sglang":
        start = await _start(send, prompt, n_prompt)
        fields: dict[str, Any] = {"text": sent, "max_tokens": 1, "logprob_start_len": start}
    else:
        fields = {"prompt": sent, "max_tokens": 1, **_FIELDS[mode]}
    completion = await send(fields)
    if mode == "echo" and not completion.text.startswith(sent):
        return None  # the echo differs from what was sent, so its end is not known
    tokens = read_gold_tokens(mode, completion, gold)
    if tokens is None:
        return None
    after = completion.text.removeprefix(sent) if mode == "echo" else completion.text
    return ScoredText(tokens, after, eos=not after and completion.finish_reason != "length")


async def _start(send: Send, prompt: str, n_prompt: int | None) -> int:
    """Return the token at which log-probabilities start, so that those of the gold text are there.

    Without a tokenizer, the server counts the prompt's tokens. That fills its prefix cache too.
    """
    if n_prompt is None:
        counted = await send({"text": prompt, "max_tokens": 1})
        n_prompt = 0 if counted.usage is None else counted.usage.prompt_tokens
    return max(0, n_prompt - _EARLY)

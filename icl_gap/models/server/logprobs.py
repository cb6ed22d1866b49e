"""A verdict out of a prompt's log-probabilities: whether greedy decoding gives the gold answer.

The gold answer is sent behind the prompt, and one token is asked for after it. Where the most
likely token at each place of the gold answer is the gold answer's own, and the token after it ends
it, greedy decoding gives just this answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from icl_gap.errors import InferenceError
from icl_gap.models.base import Request
from icl_gap.models.ending import BROKEN, ended, may_spell, readings
from icl_gap.models.server.responses import Served
from icl_gap.schema import Completion, Divergence, Response

Mode = Literal["echo", "prompt_logprobs"]
FIELDS: Mapping[Mode, Mapping[str, Any]] = {
    "echo": {"echo": True, "logprobs": 1},
    "prompt_logprobs": {"extra_body": {"prompt_logprobs": 1}},
}
"""What a request says to get the log-probabilities of its prompt."""
_ROUNDING = 1e-6
"""How far above 0 a log-probability may come to lie by the rounding of float32; it counts as 0."""
_SHAPES = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""What reading raises where a server leaves something out, or sends it in another shape."""


@dataclass(frozen=True, slots=True)
class Forced:
    """A token of the gold answer, as the server cuts it."""

    text: str
    logprob: float
    best: str
    """The most likely token there."""
    holds: bool | None
    """Whether that is this one; None where another is as likely, and greedy decoding may take
    either."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the log-probabilities tell of an answer."""

    gold_logprob: float
    gold_tokens: int
    answer: Response | None
    """None where only decoding can tell."""


def read_forced(mode: Mode, served: Served, gold: str) -> tuple[Forced, ...] | None:
    """The tokens of the gold answer, which ends the text that was sent.

    Args:
        mode: How the server was asked.
        served: What it sent back.
        gold: The gold answer as sent; not empty.

    Returns:
        None where there are no log-probabilities, or where no token begins with the gold answer.

    Raises:
        InferenceError: A log-probability is above 0 or not finite.
    """
    try:
        return _ending(gold, *_READERS[mode](served.choice))
    except _SHAPES:
        return None


def gives_logprobs(mode: Mode, served: Served) -> bool:
    """Whether a server has sent log-probabilities of its prompt's tokens.

    Args:
        mode: How it was asked.
        served: What it sent back.

    Raises:
        InferenceError: A log-probability is above 0 or not finite.
    """
    try:
        tokens, written = _READERS[mode](served.choice)
    except _SHAPES:
        return False
    return any(tokens[: len(tokens) - written])


def judge(request: Request, forced: Sequence[Forced], after: str, *, eos: bool) -> Finding:
    """What a forced gold answer tells.

    Args:
        request: What was asked.
        forced: The tokens of its gold answer.
        after: The token that the model puts behind the gold answer.
        eos: Whether it ends its answer there instead.
    """
    mean = sum(token.logprob for token in forced) / len(forced)
    right = next((n for n, token in enumerate(forced) if not token.holds), len(forced))
    before = "".join(token.text for token in forced[:right])
    if right < len(forced) and forced[right].holds is None:
        return Finding(mean, len(forced), None)
    if right < len(forced):
        actual, expected, eos = forced[right].best, forced[right].text, False
    else:
        actual, expected = after, None
    answer: Response | None = None
    if eos:
        answer = Response(Completion(before, "eos"), None, mean, len(forced))
    elif not _is_special(actual):
        left = Divergence(right, expected, actual, before)
        answer = _decided(request, before + actual, left, mean, len(forced))
    return Finding(mean, len(forced), answer)


def _decided(
    request: Request, text: str, left: Divergence, mean: float, tokens: int
) -> Response | None:
    """The answer that begins with a text, if that is enough to know; else None."""
    stop = request.stop
    completion = ended(text, stop=stop, max_new_bytes=request.max_new_bytes)
    if completion is not None:
        right = completion.text.strip() == request.gold.strip()
        return Response(completion, None if right else left, mean, tokens)
    found = readings(text, stop)
    if may_spell(found, request.gold):
        return None
    if request.can_still_match is not None and any(map(request.can_still_match, found)):
        return None
    return Response(None, left, mean, tokens)


def _is_special(token: str) -> bool:
    """Whether a token's text may stand for something else: EOS, or a part of a character."""
    named = token.startswith("<") and token.endswith(">")
    return not token or named or BROKEN in token or token.startswith("bytes:")


def _ending(gold: str, tokens: Sequence[Forced | None], written: int) -> tuple[Forced, ...] | None:
    """The last tokens that together are the gold answer.

    Args:
        gold: The gold answer.
        tokens: All tokens; None for one without a log-probability.
        written: How many of them, at most, the server has written behind the gold answer.
    """
    for behind in range(written, -1, -1):
        found: list[Forced] = []
        length = 0
        for token in reversed(tokens[: len(tokens) - behind]):
            if length >= len(gold) or token is None:
                break
            found.insert(0, token)
            length += len(token.text)
        if "".join(token.text for token in found) == gold:
            return tuple(found)
    return None


def _read_echo(choice: Mapping[str, Any]) -> tuple[list[Forced | None], int]:
    """The shape of the first completions API, and of vLLM's `echo`."""
    found = choice["logprobs"]
    rows = zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True)
    return [_echoed(str(text), logprob, top) for text, logprob, top in rows], 1


def _echoed(text: str, logprob: float | None, top: Mapping[str, float] | None) -> Forced | None:
    if logprob is None or not top:
        return None
    best = max(top, key=lambda token: top[token])
    return _forced(text, logprob, {best: top[best]} if best != text else {})


def _read_prompt_logprobs(choice: Mapping[str, Any]) -> tuple[list[Forced | None], int]:
    """The shape of vLLM's `prompt_logprobs`: for each token itself and the most likely one."""
    return [_ranked(list(each.values()) if each else []) for each in choice["prompt_logprobs"]], 0


def _ranked(entries: Sequence[Mapping[str, Any]]) -> Forced | None:
    if not entries:
        return None
    best = max(entries, key=lambda entry: entry["logprob"])
    # The token itself comes first, or is the only one that is not the most likely.
    own = next((entry for entry in entries if entry["logprob"] < best["logprob"]), entries[0])
    others = {str(e["decoded_token"]): e["logprob"] for e in entries if e is not own}
    return _forced(str(own["decoded_token"]), own["logprob"], others)


def _forced(text: str, logprob: float, others: Mapping[str, float]) -> Forced:
    """A token among others.

    Raises:
        InferenceError: A log-probability is none, and nothing that comes with it can be trusted.
    """
    for value in (logprob, *others.values()):
        if not math.isfinite(value) or value > _ROUNDING:
            raise InferenceError(
                f"the server gives a token the log-probability {value:.6g}: it must be a finite "
                "number, at most 0"
            )
    best = max(others, key=lambda token: others[token], default=text)
    rival = others.get(best, -math.inf)
    holds = None if rival == logprob else logprob > rival
    return Forced(text, min(0.0, float(logprob)), best if holds is False else text, holds)


_READERS: Mapping[Mode, Callable[[Mapping[str, Any]], tuple[list[Forced | None], int]]] = {
    "echo": _read_echo,
    "prompt_logprobs": _read_prompt_logprobs,
}

"""Verdicts by the log-probabilities of a prompt: does greedy decoding give the gold text?

The gold text is sent after the prompt, with a request for one more token. If each token of the gold
text is the most likely one at its position, and the next token ends the response, greedy decoding
gives exactly the gold text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from icl_gap.errors import InferenceError
from icl_gap.models.base import Request
from icl_gap.models.server.responses import RawCompletion
from icl_gap.models.stopping import can_reach_gold, candidate_texts, check_stop
from icl_gap.schema import Completion, Divergence, Response
from icl_gap.text import REPLACEMENT_CHARACTER

Mode = Literal["sglang", "echo", "prompt_logprobs"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""Modes in the order of preference: SGLang's own keeps its prefix cache."""
_ROUNDING = 1e-6
"""Most that rounding in float32 may raise a log-probability above 0; it then counts as 0."""
_MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError)
"""Exceptions of reading a response with missing or malformed fields."""


@dataclass(frozen=True, slots=True)
class GoldToken:
    """A token of the gold text, in the server's tokenization."""

    text: str
    logprob: float
    best: str
    """Most likely token at its position."""
    is_best: bool | None
    """True if it is the most likely token; None if another is as likely, so that greedy decoding
    may take either."""
    lead: float = 0.0
    """Nats by which the most likely token is ahead of it; 0 if it is that token."""


@dataclass(frozen=True, slots=True)
class GoldScore:
    """Score of a gold text by its log-probabilities."""

    gold_logprob: float
    """Mean log-probability, in nats per token."""
    gold_tokens: int
    response: Response | None
    """Response that greedy decoding gives; None if only decoding can tell."""


def read_gold_tokens(
    mode: Mode, completion: RawCompletion, gold: str
) -> tuple[GoldToken, ...] | None:
    """Read the tokens of the gold text, which ends the text that was sent.

    Args:
        mode: Mode of the request.
        completion: The completion.
        gold: The gold text as sent; not empty.

    Returns:
        The tokens; None if there are no log-probabilities, or no token begins where the gold text
        does.

    Raises:
        InferenceError: A log-probability is above 0 or not finite.
    """
    try:
        return _last_tokens(gold, *_READERS[mode](completion.choice))
    except _MALFORMED:
        return None


def score_gold(
    request: Request, tokens: Sequence[GoldToken], after: str, *, eos: bool
) -> GoldScore:
    """Score a gold text that was sent after its prompt.

    Args:
        request: The request.
        tokens: The tokens of its gold text.
        after: The token that the model generates after the gold text.
        eos: True if the model ends its response there instead.
    """
    mean = sum(token.logprob for token in tokens) / len(tokens)
    right = next((n for n, token in enumerate(tokens) if not token.is_best), len(tokens))
    before = "".join(token.text for token in tokens[:right])
    if right < len(tokens) and tokens[right].is_best is None:
        return GoldScore(mean, len(tokens), None)
    if right < len(tokens):
        actual, expected, eos = tokens[right].best, tokens[right].text, False
    else:
        actual, expected = after, None
    response: Response | None = None
    if eos:
        response = Response(Completion(before, "eos"), None, mean, len(tokens))
    elif not _is_special(actual):
        left = Divergence(right, expected, actual, before)
        response = _decided(request, before + actual, left, mean, len(tokens))
    return GoldScore(mean, len(tokens), response)


def _decided(
    request: Request, text: str, left: Divergence, mean: float, tokens: int
) -> Response | None:
    """Return the response that begins with a text; None if only decoding can tell."""
    stop = request.stop
    completion = check_stop(text, stop=stop, max_new_bytes=request.max_new_bytes)
    if completion is not None:
        right = completion.text.strip() == request.gold.strip()
        return Response(completion, None if right else left, mean, tokens)
    found = candidate_texts(text, stop)
    if can_reach_gold(found, request.gold):
        return None
    if request.can_still_match is not None and any(map(request.can_still_match, found)):
        return None
    return Response(None, left, mean, tokens)


def _is_special(token: str) -> bool:
    """Return whether a token's text may stand for EOS or for a part of a character."""
    named = token.startswith("<") and token.endswith(">")
    return not token or named or REPLACEMENT_CHARACTER in token or token.startswith("bytes:")


def _last_tokens(
    gold: str, tokens: Sequence[GoldToken | None], written: int
) -> tuple[GoldToken, ...] | None:
    """Return the last tokens that together spell the gold text; None if there are none.

    Args:
        gold: The gold text.
        tokens: All tokens; None for one without a log-probability.
        written: Most tokens that the server has generated after the gold text.
    """
    for behind in range(written, -1, -1):
        found: list[GoldToken] = []
        length = 0
        for token in reversed(tokens[: len(tokens) - behind]):
            if length >= len(gold) or token is None:
                break
            found.insert(0, token)
            length += len(token.text)
        if "".join(token.text for token in found) == gold:
            return tuple(found)
    return None


def _read_echo(choice: Mapping[str, Any]) -> tuple[list[GoldToken | None], int]:
    """Read the format of OpenAI's completions, and of vLLM's `echo`."""
    found = choice["logprobs"]
    rows = zip(found["tokens"], found["token_logprobs"], found["top_logprobs"], strict=True)
    return [_echoed(str(text), logprob, top) for text, logprob, top in rows], 1


def _echoed(text: str, logprob: float | None, top: Mapping[str, float] | None) -> GoldToken | None:
    if logprob is None or not top:
        return None
    best = max(top, key=lambda token: top[token])
    return _gold_token(text, logprob, {best: top[best]} if best != text else {})


def _read_prompt_logprobs(choice: Mapping[str, Any]) -> tuple[list[GoldToken | None], int]:
    """Read vLLM's `prompt_logprobs`, which give each token and the most likely one."""
    return [_ranked(list(each.values()) if each else []) for each in choice["prompt_logprobs"]], 0


def _ranked(entries: Sequence[Mapping[str, Any]]) -> GoldToken | None:
    if not entries:
        return None
    best = max(entries, key=lambda entry: entry["logprob"])
    # The token itself comes first, or it is the only one that is not the most likely.
    own = next((entry for entry in entries if entry["logprob"] < best["logprob"]), entries[0])
    others = {str(e["decoded_token"]): e["logprob"] for e in entries if e is not own}
    return _gold_token(str(own["decoded_token"]), own["logprob"], others)


def _read_sglang(info: Mapping[str, Any]) -> tuple[list[GoldToken | None], int]:
    """Read the `meta_info` of SGLang's `/generate`: rows of log-probability, id and text.

    The rows begin at `logprob_start_len`, and the first has no log-probability.
    """
    rows = zip(info["input_token_logprobs"], info["input_top_logprobs"], strict=True)
    return [_sglang_token(own, top) for own, top in rows], 0


def _sglang_token(own: Sequence[Any], top: Sequence[Sequence[Any]] | None) -> GoldToken | None:
    logprob, token, text = own
    if logprob is None or not top:
        return None
    best, best_token, best_text = max(top, key=lambda row: row[0])
    if not isinstance(text, str) or not isinstance(best_text, str):
        raise TypeError("a token has no text")
    return _gold_token(text, logprob, {best_text: best} if best_token != token else {})


def _gold_token(text: str, logprob: float, others: Mapping[str, float]) -> GoldToken:
    """Return a token, compared with others at its position.

    Raises:
        InferenceError: A log-probability is above 0 or not finite, so that no other can be trusted.
    """
    for value in (logprob, *others.values()):
        if not math.isfinite(value) or value > _ROUNDING:
            raise InferenceError(
                f"the server gives a token the log-probability {value:.6g}: it must be a finite "
                "number, at most 0"
            )
    best = max(others, key=lambda token: others[token], default=text)
    rival = others.get(best, -math.inf)
    is_best = None if rival == logprob else logprob > rival
    return GoldToken(
        text,
        min(0.0, float(logprob)),
        best if is_best is False else text,
        is_best,
        max(0.0, rival - logprob),
    )


_READERS: Mapping[Mode, Callable[[Mapping[str, Any]], tuple[list[GoldToken | None], int]]] = {
    "sglang": _read_sglang,
    "echo": _read_echo,
    "prompt_logprobs": _read_prompt_logprobs,
}

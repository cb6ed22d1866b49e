"""Probe of a server's log-probabilities: are they true, and do they depend on what came before?

Some servers return values that mean nothing, such as zeros. Others return values that depend on the
requests before, such as vLLM where its prefix cache is on
(https://github.com/vllm-project/vllm/issues/42019). Random texts show both: no model can foresee
them, and no server has them in its cache.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence

from icl_gap.errors import InferenceError
from icl_gap.models.server.failures import RequestError
from icl_gap.models.server.gold_scoring import Send, score_text
from icl_gap.models.server.logprobs import GoldToken, Mode

MOST_CHANGE = 0.25
"""Most nats by which rounding may change a log-probability. In bfloat16, a logit of 32 to 64 is
rounded to 0.25; what is wrong is off by whole nats."""
_VOCABULARY = (" walk", " run", " look", " jump")
_N_TEXTS = 3
_N_SHARED, _N_OWN, _N_GOLD = 160, 8, 16
"""Words that all prompts share, which fill a block of any server's prefix cache; words of one
prompt; words of its gold text."""
_FORESEEN = 20.0
"""Nats: a random gold text has 22 for a model that knows the four words, so three texts have 66. No
model comes below this in one of 10^15 probes."""

_Tokens = tuple[GoldToken, ...]


async def probe_order(send: Send, mode: Mode) -> float | None:
    """Score random texts as new ones, once more after their prompts were decoded, and in parallel.

    Args:
        send: Sends a request.
        mode: Mode of the log-probabilities.

    Returns:
        The largest change of a token's log-probability, in nats; infinite if a value was missing or
        impossible at the second time. None if the server gives none, or such as no model gives.

    Raises:
        RequestError: The server did not respond.
        InferenceError: A log-probability of a new text is above 0 or not finite.
    """
    texts = _random_texts(random.SystemRandom())
    new: list[_Tokens] = []
    for prompt, gold in texts:
        scored = await score_text(send, mode, prompt, gold)
        if scored is None:
            return None
        new.append(scored.tokens)
    if not _is_possible(new):
        return None
    for prompt, _ in texts:
        await send({"prompt": prompt, "max_tokens": 1})
    again = [await _scored_again(send, mode, *text) for text in texts]
    backwards = await asyncio.gather(*(_scored_again(send, mode, *text) for text in texts[::-1]))
    pairs = [*zip(new, again, strict=True), *zip(new, backwards[::-1], strict=True)]
    return max(_change(before, after) for before, after in pairs)


def _random_texts(dice: random.Random) -> list[tuple[str, str]]:
    """Return prompts with a common beginning, each with a gold text that none foresees."""
    shared = _text(dice, _N_SHARED)
    return [(shared + _text(dice, _N_OWN), _text(dice, _N_GOLD)) for _ in range(_N_TEXTS)]


def _text(dice: random.Random, length: int) -> str:
    return "".join(dice.choices(_VOCABULARY, k=length))


def _is_possible(scores: Sequence[_Tokens]) -> bool:
    """Return whether a model may have given these scores of random texts."""
    tokens = [token for each in scores for token in each]
    values = [token.logprob for token in tokens]
    if sum(values) > -_FORESEEN or len(set(values)) == 1:
        return False
    return not all(token.is_best for token in tokens)


async def _scored_again(send: Send, mode: Mode, prompt: str, gold: str) -> _Tokens | None:
    """Return the score of a text that was scored before; None if it is missing or impossible."""
    try:
        scored = await score_text(send, mode, prompt, gold)
    except RequestError:
        raise
    except InferenceError:
        return None
    return None if scored is None else scored.tokens


def _change(before: _Tokens, after: _Tokens | None) -> float:
    """Return the largest change of a token's log-probability, or of its distance to the best."""
    if after is None or [t.text for t in before] != [t.text for t in after]:
        return math.inf
    pairs = list(zip(before, after, strict=True))
    values = (abs(one.logprob - other.logprob) for one, other in pairs)
    leads = (max(one.lead, other.lead) for one, other in pairs if one.is_best != other.is_best)
    return max((*values, *leads))

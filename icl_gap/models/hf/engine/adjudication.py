"""Adjudication of half precision: which verdicts rounding cannot have made.

Logits in half precision differ from those in float32 by rounding. If two differences of logits
differ by less than a bound, the token that float32 writes is among those within the bound of the
largest logit. So each of these is followed: where all lead to one verdict, it is that of float32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from icl_gap.models.hf.engine.passes import TokenPredictions
from icl_gap.models.hf.engine.response_state import ResponseState

Verdict: TypeAlias = Literal["right", "wrong", "open"]
"""The verdict on a response; `open` if only more tokens can tell, or its score as a program."""


def verdict(state: ResponseState, can_still_match: Callable[[str], bool] | None) -> Verdict:
    """Return the verdict on a response.

    Args:
        state: The response as far as it is known.
        can_still_match: See `Request.can_still_match`.
    """
    if state.divergence is None:
        return "open" if state.completion is None else "right"
    ended = state.completion
    texts = state.candidate_texts if ended is None else [ended.text]
    return "open" if can_still_match is not None and any(map(can_still_match, texts)) else "wrong"


def other_verdicts(
    state: ResponseState,
    draft: Sequence[int],
    found: TokenPredictions,
    can_still_match: Callable[[str], bool] | None,
) -> set[Verdict]:
    """Return the verdicts that float32 could come to where it leaves the response's own path.

    Tokens along the draft are followed as far as the predictions reach, whether they are the
    model's own or merely near.

    Args:
        state: The response before the draft; it is not changed.
        draft: The tokens that were fed in.
        found: The predictions before the draft, and after each token of it.
        can_still_match: See `Request.can_still_match`.
    """
    verdicts: set[Verdict] = set()
    here, on_own_path = _copy(state), True
    for position, (best, near) in enumerate(zip(found.argmax, found.near, strict=True)):
        following = draft[position] if position < len(draft) else None
        for token in near.keys() - {following}:
            if not (on_own_path and token == best):
                branch = _copy(here)
                branch.append(token)
                verdicts.add(verdict(branch, can_still_match))
        if following is None or following not in near:
            break
        on_own_path = on_own_path and following == best
        here.append(following)
        reached = verdict(here, can_still_match)
        if here.completion is not None or reached != "open":
            if not on_own_path:
                verdicts.add(reached)
            break
    return verdicts


def _copy(state: ResponseState) -> ResponseState:
    twin = copy.copy(state)
    twin.tokens = list(state.tokens)
    return twin

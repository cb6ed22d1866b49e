"""A baseline without a model: answer with the target of the exemplar most like the query.

Likeness is counted in words. Two sources are compared by the Dice coefficient of their bags of
words (twice the weight they share, over the sum of their weights), in which a word of the closed
list `FUNCTION_WORDS` weighs a fifth of any other. Exemplars that are equal in that are compared by
the Dice coefficient of their bags of word pairs, and those still equal by their place: the later
one, nearer to the query, wins. So the baseline copies, and never composes: it solves a query only
where an exemplar has the very same target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from icl_gap.models.base import Outcome, Request, RequestId, one_by_one
from icl_gap.schema import Completion, Example, ModelInfo, Predictions, Response

_WORDS = (
    "a after and are by did do does for from has have in is it of on or that the their there to was"
    " were what which who whose with"
)
FUNCTION_WORDS = frozenset(_WORDS.split())
_WEIGHT, _FUNCTION_WEIGHT = 5, 1
_CACHED_SOURCES = 1 << 16

Bag = tuple[Mapping[Any, int], int]
"""The weight of each item, and their sum."""


class Nearest:
    """The baseline as a model."""

    def __init__(self, name: str, family: str) -> None:
        self.info = ModelInfo(name, family, None, None, None)

    def respond(
        self,
        requests: Sequence[Request],
        *,
        predictions: Predictions = "verdict",
        wanted: Collection[RequestId] | None = None,
    ) -> Iterator[Outcome]:
        """Respond with the target of the nearest exemplar; without exemplars, with "".

        Args:
            requests: The requests.
            predictions: Not used: every response is whole.
            wanted: The ids of those to respond to; all by default.
        """
        del predictions
        return one_by_one(requests, wanted, _answer)


def _answer(request: Request) -> Response:
    found = nearest(request.prompt.source, request.prompt.exemplars)
    text = "" if found is None else found.target.partition(request.stop)[0]
    return Response(Completion(text, "stop"))


def nearest(source: str, exemplars: Iterable[Example]) -> Example | None:
    """The exemplar most like a source; None if there are no exemplars."""
    best, candidates = -1.0, list[Example]()
    words = _words(source)
    for exemplar in exemplars:
        likeness = dice(words, _words(exemplar.source))
        if likeness > best:
            best, candidates = likeness, []
        if likeness == best:
            candidates.append(exemplar)
    pairs = _word_pairs(source)
    # `max` keeps the first of equals, so the later exemplars come first.
    return max(
        reversed(candidates), key=lambda it: dice(pairs, _word_pairs(it.source)), default=None
    )


def dice(one: Bag, other: Bag) -> float:
    """The Dice coefficient of two bags, in [0, 1]; 0 where both are empty."""
    (weights, total), (other_weights, other_total) = one, other
    shared = 0
    for item, weight in weights.items():
        if item in other_weights:
            shared += min(weight, other_weights[item])
    return 2 * shared / ((total + other_total) or 1)


@lru_cache(_CACHED_SOURCES)
def _words(source: str) -> Bag:
    counts = Counter(source.lower().split())
    return _bag({word: count * _weight(word) for word, count in counts.items()})


@lru_cache(_CACHED_SOURCES)
def _word_pairs(source: str) -> Bag:
    return _bag(Counter(pairwise(source.lower().split())))


def _weight(word: str) -> int:
    return _FUNCTION_WEIGHT if word in FUNCTION_WORDS else _WEIGHT


def _bag(weights: Mapping[Any, int]) -> Bag:
    return dict(weights), sum(weights.values())

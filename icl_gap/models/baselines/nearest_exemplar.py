"""A baseline without a language model: respond with the target of the most similar exemplar.

Sources are compared by the Dice coefficient of their bags of words (twice the weight that they
share, over the sum of their weights). A word of the closed list `FUNCTION_WORDS` weighs a fifth of
any other. Ties are broken by the Dice coefficient of the bags of word pairs, then by position: the
later exemplar, nearer to the query, wins. So the baseline copies, and never composes: it solves a
query only where an exemplar has the same target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar, Literal

from icl_gap.models.backend import Backend
from icl_gap.models.base import Model, Outcome, Request, RequestId, one_by_one
from icl_gap.models.identity import Identity
from icl_gap.models.spec import ModelSpecBase
from icl_gap.schema import Completion, Example, ModelInfo, Predictions, Response

_WORDS = (
    "a after and are by did do does for from has have in is it of on or that the their there to was"
    " were what which who whose with"
)
FUNCTION_WORDS = frozenset(_WORDS.split())
_WEIGHT, _FUNCTION_WEIGHT = 5, 1
_CACHED_SOURCES = 1 << 16

Bag = tuple[Mapping[Any, int], int]
"""Weight of each item, and the sum of all weights."""


class NearestExemplarSpec(ModelSpecBase):
    """The baseline that responds with the target of the most similar exemplar."""

    renamed: ClassVar[Mapping[str, str]] = {"kind: nearest": "kind: nearest_exemplar"}

    kind: Literal["nearest_exemplar"] = "nearest_exemplar"


class NearestExemplarBackend(Backend[NearestExemplarSpec]):
    """The baseline, which has neither weights nor a tokenizer."""

    spec_class = NearestExemplarSpec

    def identify(self, spec: NearestExemplarSpec) -> Identity:
        """Return the identity of the baseline, by the version of its measure of similarity."""
        del spec
        return Identity("nearest", "nearest", None, True, {"likeness": 1})

    def load(self, spec: NearestExemplarSpec, identity: Identity) -> Model:
        """Return the baseline."""
        del spec
        return NearestExemplarModel(identity.name, identity.family)


class NearestExemplarModel:
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
        return one_by_one(requests, wanted, _respond)


def _respond(request: Request) -> Response:
    found = nearest_exemplar(request.prompt.source, request.prompt.exemplars)
    text = "" if found is None else found.target.partition(request.stop)[0]
    return Response(Completion(text, "stop"))


def nearest_exemplar(source: str, exemplars: Iterable[Example]) -> Example | None:
    """Return the exemplar whose source is most similar; None if there are no exemplars."""
    best, candidates = -1.0, list[Example]()
    words = _bag_of_words(source)
    for exemplar in exemplars:
        similarity = dice(words, _bag_of_words(exemplar.source))
        if similarity > best:
            best, candidates = similarity, []
        if similarity == best:
            candidates.append(exemplar)
    pairs = _word_pairs(source)
    # `max` returns the first of equal items, so the later exemplars come first.
    return max(
        reversed(candidates), key=lambda it: dice(pairs, _word_pairs(it.source)), default=None
    )


def dice(one: Bag, other: Bag) -> float:
    """Return the Dice coefficient of two bags, in [0, 1]; 0 where both are empty."""
    (weights, total), (other_weights, other_total) = one, other
    shared = 0
    for item, weight in weights.items():
        if item in other_weights:
            shared += min(weight, other_weights[item])
    return 2 * shared / ((total + other_total) or 1)


@lru_cache(_CACHED_SOURCES)
def _bag_of_words(source: str) -> Bag:
    counts = Counter(source.lower().split())
    return _bag({word: count * _weight(word) for word, count in counts.items()})


@lru_cache(_CACHED_SOURCES)
def _word_pairs(source: str) -> Bag:
    return _bag(Counter(pairwise(source.lower().split())))


def _weight(word: str) -> int:
    return _FUNCTION_WEIGHT if word in FUNCTION_WORDS else _WEIGHT


def _bag(weights: Mapping[Any, int]) -> Bag:
    return dict(weights), sum(weights.values())

"""What of a query its exemplars hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

from rapidfuzz.distance import Levenshtein

from icl_gap.programs.trees import Structure, local_structures, tree_of
from icl_gap.schema import CanonicalForm, Example


@dataclass(frozen=True, slots=True)
class Measures:
    """One request."""

    source_coverage: float
    """The share of the query's words that occur in an exemplar's source."""
    target_coverage: float
    """The share of the gold program's tokens that occur in an exemplar's."""
    structure_coverage: float
    """The share of the gold program's local structures of two nodes that occur in an exemplar's;
    Bogin et al. 2022, Levy et al. 2022."""
    unobserved: int
    """How many of these structures occur in none."""
    longer: bool
    """Whether the gold program has more tokens than any exemplar's."""
    distance: float
    """The edit distance of the gold program from the nearest exemplar's, in tokens, by the length
    of the longer of the two; 1 without exemplars."""


MEASURES = tuple(field.name for field in fields(Measures))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an example is made of."""

    words: frozenset[str]
    tokens: list[str]
    structures: frozenset[Structure]


class Ruler:
    """Measures the requests of one benchmark, and remembers its examples.

    Args:
        form: How its programs are written. One that is none is a row of tokens.
    """

    def __init__(self, form: CanonicalForm) -> None:
        self._form = form
        self._known: dict[Example, _Parts] = {}

    def measure(self, query: Example, exemplars: Sequence[Example]) -> Measures:
        """Measure one request.

        Args:
            query: What is asked.
            exemplars: What is shown.
        """
        asked, shown = self._parts(query), [self._parts(each) for each in exemplars]
        structures = frozenset().union(*(each.structures for each in shown))
        tokens = {token for each in shown for token in each.tokens}
        return Measures(
            source_coverage=_share(asked.words, {w for each in shown for w in each.words}),
            target_coverage=_share(set(asked.tokens), tokens),
            structure_coverage=_share(asked.structures, structures),
            unobserved=len(asked.structures - structures),
            longer=len(asked.tokens) > max((len(each.tokens) for each in shown), default=0),
            distance=min(
                (Levenshtein.normalized_distance(asked.tokens, each.tokens) for each in shown),
                default=1.0,
            ),
        )

    def _parts(self, example: Example) -> _Parts:
        if example not in self._known:
            self._known[example] = _Parts(
                frozenset(example.source.split()),
                example.target.split(),
                local_structures(tree_of(example.target, self._form)),
            )
        return self._known[example]


def _share(wanted: Collection[object], held: Collection[object]) -> float:
    """The part of what is wanted that is held; 1 where nothing is."""
    return sum(each in held for each in wanted) / len(wanted) if wanted else 1.0

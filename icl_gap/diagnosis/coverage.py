"""Coverage: how much of a query its exemplars hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rapidfuzz.distance import Levenshtein

from icl_gap.programs.language import Language
from icl_gap.programs.trees import Structure, local_structures
from icl_gap.schema import Example


@dataclass(frozen=True, slots=True)
class CoverageMeasures:
    """Coverage of one request's query by its exemplars, under several measures."""

    source_coverage: float
    """Share of the query's words that occur in an exemplar's source, in [0, 1]."""
    target_coverage: float
    """Share of the gold program's tokens that occur in an exemplar's program, in [0, 1]."""
    structure_coverage: float
    """Share of the gold program's local structures of two nodes that occur in an exemplar's
    program, in [0, 1] (Bogin et al. 2022, arXiv 2201.05899; Levy et al. 2022, arXiv 2212.06800)."""
    unobserved: int
    """Number of these structures that occur in no exemplar."""
    longer: bool
    """True if the gold program has more tokens than any exemplar's."""
    distance: float
    """Edit distance in tokens between the gold program and the nearest exemplar's, divided by the
    length of the longer of the two, in [0, 1]; 1 without exemplars."""


MEASURES = tuple(field.name for field in fields(CoverageMeasures))
"""Names of the measures, in the order of the fields."""


@dataclass(frozen=True, slots=True)
class _Features:
    """Words, tokens and structures of one example."""

    source_words: frozenset[str]
    tokens: list[str]
    structures: frozenset[Structure]


class CoverageMeter:
    """Measure the coverage of one benchmark's requests.

    The features of each example are computed once and kept.

    Args:
        language: Language of the benchmark's targets. A target that does not parse is treated as a
            sequence of tokens.
    """

    def __init__(self, language: Language[Any]) -> None:
        self._language = language
        self._known: dict[Example, _Features] = {}

    def measure(self, query: Example, exemplars: Sequence[Example]) -> CoverageMeasures:
        """Return the coverage of one request.

        Args:
            query: The example to solve.
            exemplars: The examples that its prompt shows.
        """
        wanted, shown = self._features(query), [self._features(each) for each in exemplars]
        structures = frozenset().union(*(each.structures for each in shown))
        words = {word for each in shown for word in each.source_words}
        tokens = {token for each in shown for token in each.tokens}
        return CoverageMeasures(
            source_coverage=_share(wanted.source_words, words),
            target_coverage=_share(set(wanted.tokens), tokens),
            structure_coverage=_share(wanted.structures, structures),
            unobserved=len(wanted.structures - structures),
            longer=len(wanted.tokens) > max((len(each.tokens) for each in shown), default=0),
            distance=min(
                (Levenshtein.normalized_distance(wanted.tokens, each.tokens) for each in shown),
                default=1.0,
            ),
        )

    def _features(self, example: Example) -> _Features:
        if example not in self._known:
            self._known[example] = _Features(
                frozenset(example.source.split()),
                example.target.split(),
                local_structures(self._language.lenient_tree(example.target)),
            )
        return self._known[example]


def _share(wanted: Collection[object], held: Collection[object]) -> float:
    """Return the share of the wanted items that are held; 1 if none is wanted."""
    return sum(each in held for each in wanted) / len(wanted) if wanted else 1.0

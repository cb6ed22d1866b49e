"""Divergence between the programs of a pool and those of a set of queries.

Keysers et al. 2020, arXiv 1912.09713, section 2.1: the divergence of two distributions is 1 minus
their Chernoff coefficient, sum of p^alpha q^(1 - alpha). Atoms have alpha 0.5. Compounds have 0.1,
so that it matters more whether a compound occurs in the pool at all than how often.

Atoms are the labels of the programs' trees and compounds their local structures of two and of three
nodes, each counted as often as programs hold it. The paper takes the rules and sub-graphs of CFQ's
derivations and weighs them by their information; the numbers here are comparable with each other,
and not with the paper's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar

from icl_gap.programs.language import Language, MalformedError
from icl_gap.programs.trees import Structure, Tree, local_structures

T = TypeVar("T", bound=Hashable)

ATOM_ALPHA, COMPOUND_ALPHA = 0.5, 0.1
COMPOUND_SIZES = (2, 3)


def atom_divergence(pool: Iterable[Tree], queries: Iterable[Tree]) -> float:
    """Return the divergence of the atoms: 0 for equal frequencies, 1 for none in common."""
    p, q = (Counter(label for tree in side for label in tree.labels) for side in (pool, queries))
    return chernoff_divergence(p, q, ATOM_ALPHA)


def compound_divergence(pool: Iterable[Tree], queries: Iterable[Tree]) -> float:
    """Return the divergence of the compounds, from 0 to 1 as `atom_divergence`."""
    p, q = (_compounds(side) for side in (pool, queries))
    return chernoff_divergence(p, q, COMPOUND_ALPHA)


def chernoff_divergence(p: Mapping[T, int], q: Mapping[T, int], alpha: float) -> float:
    """Return 1 minus the Chernoff coefficient of two distributions.

    Args:
        p: Counts of the pool; not empty.
        q: Counts of the queries; not empty.
        alpha: Weight of `p`, from 0 to 1.
    """
    p_total, q_total = sum(p.values()), sum(q.values())
    shared = ((p[key] / p_total, q[key] / q_total) for key in q.keys() & p.keys())
    return float(1 - sum(a**alpha * b ** (1 - alpha) for a, b in shared))


def trees_of(programs: Iterable[str], language: Language[Any]) -> list[Tree]:
    """Return the trees of programs, without those that are malformed."""
    found = []
    for program in programs:
        try:
            found.append(language.tree(program))
        except MalformedError:
            continue
    return found


def _compounds(side: Iterable[Tree]) -> Counter[Structure]:
    return Counter(
        structure
        for tree in side
        for size in COMPOUND_SIZES
        for structure in local_structures(tree, size)
    )

"""Isomorphism of two sets of triples: one bijective renaming of variables between them.

The search is exact: a renaming is only reported after every clause was checked under it. Colour
refinement (the one-dimensional Weisfeiler-Leman test) comes first and settles nearly every real
case. Where it leaves variables of one colour, one of them is fixed and the rest refined again, with
backtracking (McKay & Piperno 2014, "Practical graph isomorphism II", section 2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from icl_gap.programs.language import UndecidedError

Triple = tuple[str, str, str]
Colours = dict[str, int]

WORK_BOUND = 200_000
"""Clauses that one search may visit, about a quarter of a second. CFQ's queries, rearranged, need
fewer than 100; hundreds of interchangeable variables can outgrow it."""


@dataclass(frozen=True, slots=True)
class QueryPattern:
    """Set of triples, some of whose terms are variables."""

    clauses: frozenset[Triple]
    variables: tuple[str, ...]
    """Distinct variables in order of appearance; the search tries equal positions first."""
    head: str | None
    """Variable that only the other pattern's head may match; None if there is none."""


def find_renaming(left: QueryPattern, right: QueryPattern) -> dict[str, str] | None:
    """Find a bijection of variables that turns one pattern into the other.

    Args:
        left: Pattern to rename.
        right: Pattern to reach.

    Returns:
        For each variable of `left` one of `right`, or None if no bijection does it. The identity
        is preferred.

    Raises:
        UndecidedError: The search outgrew `WORK_BOUND`.
    """
    if (
        len(left.clauses) != len(right.clauses)
        or len(left.variables) != len(right.variables)
        or (left.head is None) != (right.head is None)
    ):
        return None
    if left.clauses == right.clauses and left.head == right.head:
        return {variable: variable for variable in left.variables}
    left_open, right_open = _open_clauses(left), _open_clauses(right)
    if len(left_open) != len(right_open):
        return None
    # The clauses without variables are the same on both sides, or nothing can make them so.
    if left.clauses.difference(left_open) != right.clauses.difference(right_open):
        return None
    return _search(left, right, left_open, right_open)


def _open_clauses(pattern: QueryPattern) -> list[Triple]:
    variables = set(pattern.variables)
    return [clause for clause in pattern.clauses if not variables.isdisjoint(clause)]


def _search(
    left: QueryPattern, right: QueryPattern, left_open: list[Triple], right_open: list[Triple]
) -> dict[str, str] | None:
    """Search depth-first over the choices that refinement leaves.

    The stack is a list, as a pattern may have more variables than Python has frames.
    """
    start = (_first_colours(left), _first_colours(right))
    stack: list[Iterator[tuple[Colours, Colours]]] = [iter([start])]
    work = WORK_BOUND
    while stack:
        state = next(stack[-1], None)
        if state is None:
            stack.pop()
            continue
        left_colours, work = _refine(left_open, state[0], work)
        right_colours, work = _refine(right_open, state[1], work)
        if sorted(left_colours.values()) != sorted(right_colours.values()):
            continue
        if _distinct(left_colours) < len(left_colours):
            stack.append(_choices(left_colours, right_colours))
            continue
        by_colour = {colour: variable for variable, colour in right_colours.items()}
        renaming = {variable: by_colour[colour] for variable, colour in left_colours.items()}
        if right.clauses.issuperset(rename(clause, renaming) for clause in left_open):
            return renaming
    return None


def rename(clause: Triple, renaming: Mapping[str, str]) -> Triple:
    """Return a clause under a renaming; terms without a new name stay."""
    subject, predicate, value = clause
    return (
        renaming.get(subject, subject),
        renaming.get(predicate, predicate),
        renaming.get(value, value),
    )


def _first_colours(pattern: QueryPattern) -> Colours:
    return {variable: int(variable == pattern.head) for variable in pattern.variables}


def _distinct(colours: Colours) -> int:
    return len(set(colours.values()))


def _refine(clauses: list[Triple], colours: Colours, work: int) -> tuple[Colours, int]:
    """Colour each variable by the clauses it stands in, until no class of variables splits.

    A colour depends on nothing but the shape around its variable, so a renaming can only map a
    variable to one of its own colour. Two shapes that share a hash only cost time.

    Args:
        clauses: Clauses that hold a variable.
        colours: Colour of each variable.
        work: Number of clauses that may still be visited.

    Returns:
        The finer colours, and the rest of `work`.
    """
    distinct = _distinct(colours)
    while distinct < len(colours):
        work -= len(clauses)
        if work < 0:
            raise UndecidedError("search bound reached")
        finer = _refine_once(clauses, colours)
        found = _distinct(finer)
        if found == distinct:
            break
        colours, distinct = finer, found
    return colours, work


def _refine_once(clauses: list[Triple], colours: Colours) -> Colours:
    sums = dict.fromkeys(colours, 0)
    paint = colours.get
    for clause in clauses:
        subject, predicate, value = clause
        painted = (paint(subject, subject), paint(predicate, predicate), paint(value, value))
        for position, term in enumerate(clause):
            if term in sums:
                # A sum does not depend on the order of the clauses.
                sums[term] += hash((position, painted))
    return {variable: hash((colours[variable], total)) for variable, total in sums.items()}


def _choices(left: Colours, right: Colours) -> Iterator[tuple[Colours, Colours]]:
    """Fix one variable of the smallest class left, against each that may match it."""
    sizes = Counter(left.values())
    chosen = min((v for v in left if sizes[left[v]] > 1), key=lambda v: sizes[left[v]])
    colour = left[chosen]
    # Refinement makes hashes, so a fresh colour is one that no variable has.
    fresh = next(number for number in range(2, len(left) + 3) if number not in sizes)
    for candidate in [variable for variable in right if right[variable] == colour]:
        yield left | {chosen: fresh}, right | {candidate: fresh}

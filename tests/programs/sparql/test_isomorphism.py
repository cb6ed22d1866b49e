from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.programs.language import UndecidedError
from icl_gap.programs.sparql import isomorphism
from icl_gap.programs.sparql.isomorphism import QueryPattern, Triple, find_renaming, rename

NAMES = ("?x0", "?x1", "?x2", "?x3", "?x4")
TERMS = st.sampled_from((*NAMES, "M0"))
CLAUSES = st.frozensets(st.tuples(TERMS, st.sampled_from(("p", "q")), TERMS), max_size=9)


def pattern_of(clauses: frozenset[Triple], head: str | None = None) -> QueryPattern:
    found = dict.fromkeys(t for clause in sorted(clauses) for t in clause if t.startswith("?"))
    if head is not None:
        found.setdefault(head)
    return QueryPattern(clauses, tuple(found), head)


def renamed(pattern: QueryPattern, renaming: dict[str, str]) -> QueryPattern:
    clauses = frozenset(rename(clause, renaming) for clause in pattern.clauses)
    head = None if pattern.head is None else renaming[pattern.head]
    variables = tuple(renaming[variable] for variable in reversed(pattern.variables))
    return QueryPattern(clauses, variables, head)


def is_renaming(renaming: dict[str, str], left: QueryPattern, right: QueryPattern) -> bool:
    return (
        sorted(renaming) == sorted(left.variables)
        and sorted(renaming.values()) == sorted(right.variables)
        and (left.head is None or renaming[left.head] == right.head)
        and {rename(clause, renaming) for clause in left.clauses} == right.clauses
    )


def exists_by_brute_force(left: QueryPattern, right: QueryPattern) -> bool:
    if len(left.variables) != len(right.variables) or (left.head is None) != (right.head is None):
        return False
    return any(
        is_renaming(dict(zip(left.variables, chosen, strict=True)), left, right)
        for chosen in permutations(right.variables)
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[QueryPattern, QueryPattern]:
    """Two patterns that are alike as often as not."""
    heads = st.sampled_from((None, "?x0"))
    left = pattern_of(draw(CLAUSES), draw(heads))
    if draw(st.booleans()):
        return left, pattern_of(draw(CLAUSES), draw(heads))
    shuffled = draw(st.permutations(left.variables))
    right = renamed(left, dict(zip(left.variables, shuffled, strict=True)))
    if right.clauses and draw(st.booleans()):
        gone = draw(st.sampled_from(sorted(right.clauses)))
        new = (draw(TERMS), gone[1], gone[2])
        right = pattern_of(right.clauses - {gone} | {new}, right.head)
    return left, right


@given(pairs())
def test_agrees_with_trying_every_permutation(pair: tuple[QueryPattern, QueryPattern]) -> None:
    left, right = pair
    renaming = find_renaming(left, right)
    assert (renaming is not None) == exists_by_brute_force(left, right)
    if renaming is not None:
        assert is_renaming(renaming, left, right)


@given(
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
)
def test_agrees_with_brute_force_on_unlabelled_graphs(
    left_edges: set[tuple[int, int]], right_edges: set[tuple[int, int]]
) -> None:
    left, right = (
        pattern_of(frozenset((f"?{a}", "p", f"?{b}") for a, b in edges))
        for edges in (left_edges, right_edges)
    )
    assert (find_renaming(left, right) is not None) == exists_by_brute_force(left, right)


def cycles(*lengths: int) -> QueryPattern:
    """Rings of variables, which colour refinement alone cannot tell apart."""
    clauses = set()
    for ring, length in enumerate(lengths):
        for place in range(length):
            ends = (f"?r{ring}_{place}", f"?r{ring}_{(place + 1) % length}")
            clauses |= {(ends[0], "!=", ends[1]), (ends[1], "!=", ends[0])}
    return pattern_of(frozenset(clauses))


def test_what_refinement_cannot_tell_apart_is_told_apart_by_search() -> None:
    assert find_renaming(cycles(6), cycles(3, 3)) is None
    assert find_renaming(cycles(3, 4, 5), cycles(6, 6)) is None


def test_many_interchangeable_variables_are_matched() -> None:
    left, right = cycles(6, 3, 3), cycles(3, 6, 3)
    renaming = find_renaming(left, right)
    assert renaming is not None
    assert is_renaming(renaming, left, right)


def test_the_identity_is_preferred() -> None:
    pattern = cycles(3, 3)
    assert find_renaming(pattern, pattern) == {v: v for v in pattern.variables}


def test_a_search_that_outgrows_its_bound_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isomorphism, "WORK_BOUND", 30)
    with pytest.raises(UndecidedError, match="search bound reached"):
        find_renaming(cycles(6), cycles(3, 3))


def test_more_variables_than_python_has_frames() -> None:
    left = pattern_of(frozenset((f"?a{n}", "p", "M0") for n in range(3000)))
    right = pattern_of(frozenset((f"?b{n}", "p", "M0") for n in range(3000)))
    with pytest.raises(UndecidedError):
        find_renaming(left, right)

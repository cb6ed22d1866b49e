"""Whether variables can be renamed, each to another one, so that every clause is in a set.

A constraint problem over few variables: each clause has a table of the renamings that it alone
allows; what no row of a table supports is struck out until nothing changes (Mackworth 1977,
"Consistency in networks of relations"), then the variable with the fewest choices is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from icl_gap.programs.faults import UndecidedError
from icl_gap.programs.sparql import isomorphism

Domains = dict[str, int]
"""For each variable the ones that it may become, as bits."""
Row = tuple[int, int, int]

NOBODY = ""
"""Stands at a place of a clause that holds no variable; its bit is 1."""
OPEN = "?"
"""A variable whose name is not whole yet."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a clause's variables may become together."""

    names: tuple[str, str, str]
    """The variable at each place, or `NOBODY`."""
    rows: list[Row]
    """One bit a place."""


def is_solvable(tables: list[Table], domains: Domains, shared: frozenset[str]) -> bool:
    """Search for a renaming that gives each table one of its rows.

    Args:
        tables: The constraints.
        domains: What each variable may become to begin with; no two may become the same.
        shared: Those whose choice `OPEN` may share, because it may turn out to be them.

    Raises:
        UndecidedError: The search outgrew `isomorphism.WORK_BOUND`.
    """
    search = _Search(tables, shared, isomorphism.WORK_BOUND)
    stack: list[Iterator[Domains]] = [iter([domains | {NOBODY: 1}])]
    while stack:
        state = next(stack[-1], None)
        if state is None:
            stack.pop()
        elif search.narrow(state):
            unsettled = [name for name, bits in state.items() if not _is_one(bits)]
            if not unsettled:
                return True
            stack.append(_choices(state, min(unsettled, key=lambda name: state[name].bit_count())))
    return False


@dataclass(slots=True)
class _Search:
    """The constraints, and how many rows may still be looked at."""

    tables: list[Table]
    shared: frozenset[str]
    work: int

    def narrow(self, domains: Domains) -> bool:
        """Strike out what cannot be; False where nothing is left for a variable."""
        changed = set(domains)
        while changed:
            before = domains.copy()
            for table in self.tables:
                if changed.isdisjoint(table.names):
                    continue
                self._spend(len(table.rows))
                if not _narrow_by(table, domains):
                    return False
            settled = [name for name in changed if name and _is_one(domains[name])]
            self._spend(len(settled) * len(domains))
            if not all(self._claim(name, domains) for name in settled):
                return False
            changed = {name for name, bits in domains.items() if bits != before[name]}
        return self._are_enough(domains)

    def _claim(self, name: str, domains: Domains) -> bool:
        """Strike out a settled variable's choice for all others."""
        bit = domains[name]
        for other, bits in domains.items():
            if bits & bit and other != name and other and not self._may_share(name, other):
                domains[other] = bits & ~bit
                if bits == bit:
                    return False
        return True

    def _may_share(self, one: str, other: str) -> bool:
        return (one == OPEN and other in self.shared) or (other == OPEN and one in self.shared)

    def _are_enough(self, domains: Domains) -> bool:
        """No number of variables has fewer choices than there are of them (Hall 1935)."""
        masks = [bits for name, bits in domains.items() if name not in (NOBODY, OPEN)]
        wide = {bits for bits in masks if not _is_one(bits)}
        self._spend(len(wide) * len(masks))
        return all(sum(not bits & ~union for bits in masks) <= union.bit_count() for union in wide)

    def _spend(self, work: int) -> None:
        self.work -= work
        if self.work < 0:
            raise UndecidedError("search bound reached")


def _narrow_by(table: Table, domains: Domains) -> bool:
    first, second, third = table.names
    left, middle, right = domains[first], domains[second], domains[third]
    kept_left = kept_middle = kept_right = 0
    for a, b, c in table.rows:
        if a & left and b & middle and c & right:
            kept_left |= a
            kept_middle |= b
            kept_right |= c
    # One variable may stand at several places.
    domains[first] &= kept_left
    domains[second] &= kept_middle
    domains[third] &= kept_right
    return bool(domains[first] and domains[second] and domains[third])


def _is_one(bits: int) -> bool:
    return not bits & (bits - 1)


def _choices(domains: Domains, name: str) -> Iterator[Domains]:
    bits = domains[name]
    while bits:
        bit = bits & -bits
        bits ^= bit
        yield domains | {name: bit}

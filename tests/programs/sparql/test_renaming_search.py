from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.programs.faults import UndecidedError
from icl_gap.programs.sparql import isomorphism
from icl_gap.programs.sparql.renaming_search import NOBODY, OPEN, Table, is_solvable

NAMES = ("?a", "?b", "?c", OPEN)
BITS = (1, 2, 4, 8)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = tuple(draw(st.sampled_from((*NAMES, NOBODY))) for _ in range(3))
    row = st.tuples(*(st.just(1) if name == NOBODY else st.sampled_from(BITS) for name in names))
    return Table(names, draw(st.lists(row, max_size=8)))


def exists_by_brute_force(
    tables: list[Table], domains: dict[str, int], shared: frozenset[str]
) -> bool:
    for bits in product(BITS, repeat=len(domains)):
        chosen = dict(zip(domains, bits, strict=True)) | {NOBODY: 1}
        whole = [bit for name, bit in chosen.items() if name not in (NOBODY, OPEN)]
        apart = {chosen[name] for name in domains if name not in shared and name != OPEN}
        if (
            all(chosen[name] & domain for name, domain in domains.items())
            and len(set(whole)) == len(whole)
            and chosen.get(OPEN) not in apart
            and all(tuple(chosen[name] for name in table.names) in table.rows for table in tables)
        ):
            return True
    return False


@given(
    st.lists(tables(), max_size=4),
    st.lists(st.integers(1, 15), min_size=4, max_size=4),
    st.frozensets(st.sampled_from(NAMES[:3])),
)
def test_agrees_with_trying_every_choice(
    tables: list[Table], masks: list[int], shared: frozenset[str]
) -> None:
    names = {name for table in tables for name in table.names} - {NOBODY}
    domains = {name: mask for name, mask in zip(NAMES, masks, strict=True) if name in names}
    expected = exists_by_brute_force(tables, domains, shared)
    assert is_solvable(tables, domains, shared) == expected


def test_too_many_variables_are_seen_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isomorphism, "WORK_BOUND", 2000)
    rows = [(1 << n, 1, 1) for n in range(9)]
    crowd = [Table((f"?{n}", NOBODY, NOBODY), rows) for n in range(10)]
    everything = {f"?{n}": (1 << 9) - 1 for n in range(10)}
    assert not is_solvable(crowd, everything, frozenset())
    assert is_solvable(crowd[:9], dict(list(everything.items())[:9]), frozenset())


def test_a_search_that_outgrows_its_bound_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isomorphism, "WORK_BOUND", 1)
    table = Table(("?a", NOBODY, "?b"), [(1, 1, 2), (2, 1, 1)])
    with pytest.raises(UndecidedError, match="search bound reached"):
        is_solvable([table], {"?a": 3, "?b": 3}, frozenset())

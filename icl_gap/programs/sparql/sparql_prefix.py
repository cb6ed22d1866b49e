"""Whether the start of a SPARQL query can still become the target.

Any clause of the target can follow what is written. So all that matters is that the clauses so far,
the unfinished one with them, are clauses of the target under one renaming of variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from icl_gap.programs.faults import MalformedError
from icl_gap.programs.sparql.clause_prefix import JOINS, Last, Place, Tail, readings
from icl_gap.programs.sparql.isomorphism import Pattern, Triple, find_renaming
from icl_gap.programs.sparql.renaming_search import NOBODY, OPEN, Domains, Row, Table, is_solvable
from icl_gap.programs.sparql.sparql_parser import (
    TOKEN,
    UNEQUAL,
    is_variable,
    parse,
    read_head,
    read_part,
)

_HEAD_OF_COUNT = ("SELECT", "count", "(", "*", ")", "WHERE")
_HEAD_OF_LIST = ("SELECT", "DISTINCT", OPEN, "WHERE")


@dataclass(frozen=True, slots=True)
class Target:
    """A target, made ready to be compared with many texts."""

    pattern: Pattern
    triples: tuple[Triple, ...]
    filters: tuple[Triple, ...]
    """Each from both sides."""
    bits: Domains
    """One for each variable."""
    objects: int
    """The variables that stand nowhere but in the head and at the end of triples."""
    rows: dict[Triple, list[Row]]
    """For clauses without their variables' names, what these may be."""


@lru_cache(maxsize=256)
def read_target(text: str) -> Target | None:
    """Read a target; None where it is malformed.

    Args:
        text: The target, stripped.
    """
    try:
        pattern = parse(text).pattern
    except MalformedError:
        return None
    bits = {name: 1 << place for place, name in enumerate(pattern.variables)}
    rows: dict[Triple, list[Row]] = {}
    inner: set[str] = set()
    for clause in pattern.clauses:
        subject, predicate, value = clause
        row = (bits.get(subject, 1), bits.get(predicate, 1), bits.get(value, 1))
        rows.setdefault(_shape(clause), []).append(row)
        inner |= {subject, value} if predicate == UNEQUAL else {subject, predicate}
    return Target(
        pattern=pattern,
        triples=tuple(clause for clause in pattern.clauses if clause[1] != UNEQUAL),
        filters=tuple(clause for clause in pattern.clauses if clause[1] == UNEQUAL),
        bits=bits,
        objects=sum(bit for name, bit in bits.items() if name not in inner),
        rows=rows,
    )


def can_become(text: str, target: Target) -> bool:
    """Whether a text can be continued to a query of the target's meaning.

    Args:
        text: What is written so far.
        target: The target.

    Raises:
        UndecidedError: The search for a renaming outgrew its bound.
    """
    head_text, opened, rest = text.partition("{")
    if not opened:
        return _can_become_head(head_text, target)
    body, closed, _ = rest.partition("}")
    if closed:
        return _is_equal(text, target)
    flat = " ".join(body.split()) + " " * body[-1:].isspace()
    *chunks, chunk = flat.split(" . ")
    # The dot of `a/ . ` is a part of the term if nothing but the end follows.
    if chunks and not chunk and chunks[-1].endswith(JOINS) and _is_equal(f"{text}}}", target):
        return True
    try:
        head, _ = read_head(" ".join(head_text.split()))
        written = _read_chunks(chunks)
    except MalformedError:
        return False
    if (head is None) != (target.pattern.head is None):
        return False
    return any(
        _fits(head, [*written, *clauses.written], last, target) for clauses, last in readings(chunk)
    )


def _can_become_head(text: str, target: Target) -> bool:
    expected = _HEAD_OF_COUNT if target.pattern.head is None else _HEAD_OF_LIST
    words = TOKEN.findall(text)
    if len(words) > len(expected):
        return False
    pairs = list(zip(words, expected, strict=False))
    if words and not text[-1].isspace():
        word, whole = pairs.pop()
        if not (is_variable(word) if whole == OPEN else whole.startswith(word)):
            return False
    return all(
        is_variable(word) and word != OPEN if whole == OPEN else word == whole
        for word, whole in pairs
    )


def _is_equal(text: str, target: Target) -> bool:
    try:
        return find_renaming(parse(text.strip()).pattern, target.pattern) is not None
    except MalformedError:
        return False


def _read_chunks(chunks: list[str]) -> list[Triple]:
    """The clauses before the last dot that stands alone."""
    parts = [read_part(chunk) for chunk in chunks]
    if any(part.closed for part in parts):
        raise MalformedError("clause")
    return [clause for part in parts for clause in part.written]


def _fits(head: str | None, written: list[Triple], last: Last, target: Target) -> bool:
    """Whether one renaming makes all clauses the target's."""
    tables = [] if last.kind == "any" else [_last_table(last, target)]
    tables += [_table(clause, target) for clause in dict.fromkeys(written)]
    if not all(table.rows for table in tables):
        return False
    everything = (1 << len(target.bits)) - 1
    names = {name for table in tables for name in table.names if name != NOBODY}
    # What a name ends with can keep it from being written elsewhere.
    domains = {name: target.objects if name.endswith(JOINS) else everything for name in names}
    if head is not None and target.pattern.head is not None:
        domains[head] = target.bits[target.pattern.head]
    tails = [p for p in (last.subject, last.predicate, last.value) if isinstance(p, Tail)]
    shared = frozenset(name for name in domains for tail in tails if tail.can_be(name))
    return is_solvable(tables, domains, shared)


def _table(clause: Triple, target: Target) -> Table:
    subject, predicate, value = clause
    names = (_name(subject), _name(predicate), _name(value))
    return Table(names, target.rows.get(_shape(clause), []))


def _last_table(last: Last, target: Target) -> Table:
    first, second, third = last.subject, last.predicate, last.value
    rows = {
        (_bit(first, a, target), _bit(second, b, target), _bit(third, c, target))
        for a, b, c in (target.triples if last.kind == "triple" else target.filters)
    }
    possible = [row for row in rows if all(row)]
    return Table((_name(first), _name(second), _name(third)), possible)


def _bit(place: Place, term: str, target: Target) -> int:
    """What a place says of the target's term there; 0 where the two cannot be the same."""
    if place is None:
        return 1
    if place == OPEN:
        return 0  # a question mark alone is no term
    if is_variable(place.term if isinstance(place, Tail) else place):
        return target.bits.get(term, 0)
    return int(place.can_be(term) if isinstance(place, Tail) else place == term)


def _name(place: Place) -> str:
    if isinstance(place, Tail):
        return OPEN if is_variable(place.term) else NOBODY
    return place if place is not None and is_variable(place) else NOBODY


def _shape(clause: Triple) -> Triple:
    subject, predicate, value = [OPEN if is_variable(term) else term for term in clause]
    return subject, predicate, value

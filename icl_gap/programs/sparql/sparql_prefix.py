"""Conservative check of whether the start of a SPARQL query can still become a target.

Any clause of the target may come next. So every clause so far must be one of the target's, and the
unfinished one the start of one of them. Clauses are compared with their variables unnamed; whether
one renaming fits them all is settled only at the closing bracket. On CFQ that costs 2 % more
decoded tokens than a search for a renaming at every token.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from icl_gap.programs.language import MalformedError
from icl_gap.programs.sparql.isomorphism import QueryPattern, Triple, find_renaming
from icl_gap.programs.sparql.sparql_parser import (
    TOKEN,
    UNEQUAL,
    is_variable,
    join_paths,
    parse_chunk,
    parse_head,
    parse_sparql,
    read_clauses,
    without_prefix,
)

Shape = tuple[str, ...]
"""Terms and marks of a clause, each variable as `VARIABLE`."""

VARIABLE = "?"
JOINS = ("/", "|", "^")
"""A term that ends with one of these takes in whatever follows, but for a dot that stands alone."""

_HEAD_OF_COUNT = ("SELECT", "count", "(", "*", ")", "WHERE")
_HEAD_OF_LIST = ("SELECT", "DISTINCT", VARIABLE, "WHERE")
_DOT: Shape = (".",)


@dataclass(frozen=True, slots=True)
class TargetQuery:
    """Target, parsed once for many texts."""

    pattern: QueryPattern
    shapes: frozenset[Shape]
    """Shapes of its clauses, those of a FILTER from both sides."""


@lru_cache(maxsize=256)
def parse_target_query(text: str) -> TargetQuery | None:
    """Parse a target; return None if it is malformed.

    Args:
        text: The target, stripped.
    """
    try:
        pattern = parse_sparql(text).pattern
    except MalformedError:
        return None
    return TargetQuery(pattern, frozenset(map(_shape, pattern.clauses)))


def can_become_query(text: str, target: TargetQuery) -> bool:
    """Return whether some continuation of a text may be canonically equal to the target.

    Args:
        text: Start of an answer.
        target: The target.

    Returns:
        False only if no continuation is equal; exact before the opening and after the closing
        bracket.

    Raises:
        UndecidedError: The search for a renaming, of a text with its closing bracket, outgrew its
            bound.
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
    if chunks and not chunk and chunks[-1].endswith(JOINS):
        return True
    try:
        head, _ = parse_head(" ".join(head_text.split()))
        parts = [parse_chunk(each) for each in chunks]
        return (
            (head is None) == (target.pattern.head is None)
            and not any(part.closed for part in parts)
            and all(_shape(clause) in target.shapes for part in parts for clause in part.written)
            and _can_end_with(chunk, target)
        )
    except MalformedError:
        return False


def _can_become_head(text: str, target: TargetQuery) -> bool:
    expected = _HEAD_OF_COUNT if target.pattern.head is None else _HEAD_OF_LIST
    tokens = TOKEN.findall(text)
    if len(tokens) > len(expected):
        return False
    pairs = list(zip(tokens, expected, strict=False))
    if tokens and not text[-1].isspace():
        token, whole = pairs.pop()
        if not (is_variable(token) if whole == VARIABLE else whole.startswith(token)):
            return False
    return all(
        is_variable(token) and token != VARIABLE if whole == VARIABLE else token == whole
        for token, whole in pairs
    )


def _is_equal(text: str, target: TargetQuery) -> bool:
    try:
        return find_renaming(parse_sparql(text.strip()).pattern, target.pattern) is not None
    except MalformedError:
        return False


def _can_end_with(chunk: str, target: TargetQuery) -> bool:
    """Return whether the text after the last dot that stands alone may go on to fit the target.

    Its last term may still grow: `?x1` becomes `?x12`, the dot after `film` a part of
    `film.editor`, `a ` goes on as `a /b`.
    """
    tokens = TOKEN.findall(chunk)
    while tokens and tokens[-1] == ".":
        tokens.pop()  # the end of a clause, or a part of a name that goes on
    if not tokens:
        return True
    start = _start_of_last_term(tokens)
    last = "".join(tokens[start:])
    before = join_paths(" ".join(tokens[:start])) if start else []
    clauses = read_clauses([without_prefix(term) for term in before])
    if not all(_shape(clause) in target.shapes for clause in clauses.written):
        return False
    rest = tuple(map(_unnamed, clauses.rest))
    possible = {*target.shapes, _DOT} if clauses.written else target.shapes
    n = len(rest)
    return any(
        shape[:n] == rest and n < len(shape) and _can_grow_to(last, shape[n]) for shape in possible
    )


def _start_of_last_term(tokens: list[str]) -> int:
    """Return the index of the last term's first token: `a`, `/` and `b` make one term."""
    start = len(tokens) - 1
    while start > 0 and (tokens[start - 1].endswith(JOINS) or tokens[start].startswith(("/", "|"))):
        start -= 1
    return start


def _can_grow_to(start: str, term: str) -> bool:
    """Return whether the start of a term may become a term of a shape."""
    if term == VARIABLE:
        return is_variable(start)
    return any(
        whole.startswith(start) and without_prefix(whole) == term
        for whole in (term, f"ns:{term}", f"ns:m.{term[2:]}")
    )


def _shape(clause: Triple) -> Shape:
    subject, predicate, value = map(_unnamed, clause)
    if predicate == UNEQUAL:
        return ("FILTER", "(", subject, UNEQUAL, value, ")")
    return subject, predicate, value


def _unnamed(term: str) -> str:
    return VARIABLE if is_variable(term) else term

"""Parser of CFQ's queries (Keysers et al. 2020, "Measuring compositional generalization").

A query is one of two heads and a conjunction of triples and `FILTER ( a != b )`. The published form
with its `ns:` prefixes and the usual preprocessed form without them give the same parse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from icl_gap.programs.language import MalformedError
from icl_gap.programs.sparql.isomorphism import QueryPattern, Triple

UNEQUAL = "!="
"""Predicate of a FILTER's triple; no term is ever read as this."""

# A dot belongs to a name only between two of its letters; a variable has none.
TOKEN = re.compile(
    r"!=|[{}()*.]|\?\w+"
    r"|[^\s{}()*.!?]+(?:\.[^\s{}()*.!?]+)*"
    r"|\S"
)
_SPACED_PATH = re.compile(r" ?([/|]) ?|(\^) ")
_NO_TERMS = frozenset({"", *"{}()*.!?", UNEQUAL, "SELECT", "DISTINCT", "WHERE", "FILTER"})
_LONGEST_CACHED = 400  # characters; CFQ's longest clause has half as many


@dataclass(frozen=True, slots=True)
class SparqlQuery:
    """Parsed query, with the traits of its text."""

    pattern: QueryPattern
    written: list[Triple]
    """Clauses in order, a FILTER as `(a, UNEQUAL, b)`."""
    extra_dots: int
    """Dots beyond one between each two clauses: 1 after the last, negative beside a FILTER."""
    prefixed: bool
    """True if a term or path starts with `ns:`."""
    plain: bool
    """True if one space separates each two tokens."""


@dataclass(frozen=True, slots=True)
class QueryChunk:
    """Text between two dots that stand alone: most often one clause."""

    written: tuple[Triple, ...]
    mirrored: tuple[Triple, ...]
    """FILTERs with their sides exchanged."""
    variables: tuple[str, ...]
    dots: int
    closed: bool
    """True if it ends with a dot that does not stand alone, as in `M0.`."""
    prefixed: bool
    plain: bool


@dataclass(frozen=True, slots=True)
class Clauses:
    """Clauses read from a list of terms and marks."""

    written: list[Triple]
    dots: int
    """Number of dots beside the clauses."""
    closed: bool
    """True if a dot came after the last clause."""
    rest: list[str]
    """Start of one more clause."""


def parse_sparql(text: str) -> SparqlQuery:
    """Parse a query.

    Args:
        text: The query, stripped.

    Raises:
        MalformedError: The text is not a query.
    """
    flat = " ".join(text.split())
    head_text, _, rest = flat.partition("{")
    head, head_plain = parse_head(head_text)
    body, closing, after = rest.partition("}")
    if not closing:
        raise MalformedError("not closed")
    if after:
        raise MalformedError("text after the end")
    if body in ("", " "):
        raise MalformedError("no clauses")
    chunks = _parse_body(body.strip())
    written = [clause for chunk in chunks for clause in chunk.written]
    mirrored = [clause for chunk in chunks for clause in chunk.mirrored]
    variables = dict.fromkeys([variable for chunk in chunks for variable in chunk.variables])
    if head is not None:
        variables.setdefault(head)
    spaced = flat == text and head_plain and body[0] == body[-1] == " "
    return SparqlQuery(
        pattern=QueryPattern(frozenset(written + mirrored), tuple(variables), head),
        written=written,
        extra_dots=len(chunks) + sum([chunk.dots for chunk in chunks]) - len(written),
        prefixed=any(chunk.prefixed for chunk in chunks),
        plain=spaced and all(chunk.plain for chunk in chunks),
    )


@lru_cache(maxsize=64)
def parse_head(text: str) -> tuple[str | None, bool]:
    """Return the head's variable, None for a count; and True if the text up to `{` is plain."""
    tokens = TOKEN.findall(text)
    plain = text == f"{' '.join(tokens)} "
    match tokens:
        case ["SELECT", "count", "(", "*", ")", "WHERE"]:
            return None, plain
        case ["SELECT", "DISTINCT", head, "WHERE"] if head[0] == "?" and len(head) > 1:
            return head, plain
        case _:
            raise MalformedError("head")


def _parse_body(body: str) -> list[QueryChunk]:
    """Parse the text between the brackets, cut at the dots that stand alone."""
    chunks = [parse_chunk(text) for text in body.split(" . ")]
    if any(chunk.closed for chunk in chunks[:-1]):
        raise MalformedError("clause")
    return chunks


def parse_chunk(text: str) -> QueryChunk:
    """Parse the text between two dots that stand alone.

    Args:
        text: The text, stripped, with single spaces.

    Raises:
        MalformedError: The text does not end with a whole clause.
    """
    return _parse_chunk(text) if len(text) > _LONGEST_CACHED else _parse_chunk_once(text)


def _parse_chunk(text: str) -> QueryChunk:
    flat = " ".join(TOKEN.findall(text))
    terms = join_paths(flat)
    clauses = read_clauses([without_prefix(term) for term in terms])
    if clauses.rest:
        raise MalformedError("filter" if clauses.rest[0] == "FILTER" else "clause")
    written = clauses.written
    return QueryChunk(
        written=tuple(written),
        mirrored=tuple((right, sign, left) for left, sign, right in written if sign == UNEQUAL),
        variables=tuple(term for clause in written for term in clause if is_variable(term)),
        dots=clauses.dots,
        closed=clauses.closed,
        prefixed=any(term.startswith("ns:") for term in terms),
        plain=text == flat,
    )


# Few clauses make up all queries of a benchmark, and parsing them is most of the work.
_parse_chunk_once = lru_cache(maxsize=8192)(_parse_chunk)


def join_paths(flat: str) -> list[str]:
    """Return terms and marks from tokens with one space between each two: `a / b` is one term."""
    if "/ " in flat or " /" in flat or "| " in flat or " |" in flat or "^ " in flat:
        flat = _SPACED_PATH.sub(r"\1\2", flat)
    return flat.split(" ")


def is_variable(term: str) -> bool:
    """Return whether a term is a variable."""
    return term.startswith("?")


def without_prefix(term: str) -> str:
    """Return a preprocessed term: `film.film` for `ns:film.film`, `m_02zsn` for `ns:m.02zsn`."""
    if term.startswith("ns:m."):
        return f"m_{term.removeprefix('ns:m.')}"
    return term.removeprefix("ns:")


def read_clauses(terms: list[str]) -> Clauses:
    """Read clauses for as long as they are whole.

    Args:
        terms: Terms and marks, without prefixes.

    Raises:
        MalformedError: Three terms are not a clause, or clauses are not separated by a dot.
    """
    written: list[Triple] = []
    start, dots, closed, end = 0, 0, False, len(terms)
    while start < end:
        if written and not closed:
            if terms[start] == ".":
                start, dots, closed = start + 1, dots + 1, True
                continue
            # SPARQL separates triples by dots, which are optional beside a FILTER.
            if terms[start] != "FILTER" and written[-1][1] != UNEQUAL:
                raise MalformedError("clause")
        is_filter = terms[start] == "FILTER"
        after = start + (6 if is_filter else 3)
        if after > end:
            break
        clause = terms[start:after]
        written.append(_read_filter(clause) if is_filter else _read_triple(clause))
        start, closed = after, False
    return Clauses(written, dots, closed, terms[start:])


def _read_filter(tokens: list[str]) -> Triple:
    match tokens:
        case ["FILTER", "(", left, "!=", right, ")"] if _NO_TERMS.isdisjoint((left, right)):
            return left, UNEQUAL, right
        case _:
            raise MalformedError("filter")


def _read_triple(tokens: list[str]) -> Triple:
    if not _NO_TERMS.isdisjoint(tokens):
        raise MalformedError("clause")
    subject, predicate, value = tokens
    return subject, predicate, value

"""The normal form of CFQ's queries (Keysers et al. 2020, "Measuring compositional generalization").

A query is one of two heads and a conjunction of triples and `FILTER ( a != b )`. Two queries are
the same where one bijective renaming of variables, head to head, turns the clauses of one, as a
set, into those of the other; `!=` has no sides. The published form with its `ns:` prefixes and the
usual preprocessed form without them are read alike. Nothing else is equated: neither the order of
alternatives in a property path nor `^` with its arguments exchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from icl_gap.programs.faults import MalformedError
from icl_gap.programs.sparql.isomorphism import Pattern, Triple, find_renaming, rename

UNEQUAL = "!="
"""Stands in a triple where a FILTER has no predicate; no term is ever read as this."""

# A dot belongs to a name only between two of its letters; a variable has none.
TOKEN = re.compile(
    r"!=|[{}()*.]|\?\w+"
    r"|[^\s{}()*.!?]+(?:\.[^\s{}()*.!?]+)*"
    r"|\S"
)
_SPACED_PATH = re.compile(r" ?([/|]) ?|(\^) ")
_NO_TERMS = frozenset({"", *"{}()*.!?", UNEQUAL, "SELECT", "DISTINCT", "WHERE", "FILTER"})
_LONGEST_CACHED = 400  # letters; CFQ's longest clause has half as many


@dataclass(frozen=True, slots=True)
class Query:
    """A query, and how it was written."""

    pattern: Pattern
    written: list[Triple]
    """The clauses in order, a FILTER as `(a, UNEQUAL, b)`."""
    extra_dots: int
    """Dots beyond one between each two clauses: 1 after the last, negative beside a FILTER."""
    prefixed: bool
    """A term or path starts with `ns:`."""
    plain: bool
    """Its tokens are parted by one space each."""


@dataclass(frozen=True, slots=True)
class Part:
    """What stands between two dots that stand alone: most often one clause."""

    written: tuple[Triple, ...]
    mirrored: tuple[Triple, ...]
    """Each FILTER from its other side."""
    variables: tuple[str, ...]
    dots: int
    closed: bool
    """It ends with a dot that does not stand alone, as in `M0.`."""
    prefixed: bool
    plain: bool


@dataclass(frozen=True, slots=True)
class Clauses:
    """What a list of terms and marks comes to."""

    written: list[Triple]
    dots: int
    """How many stand beside the clauses."""
    parted: bool
    """A dot came after the last of them."""
    rest: list[str]
    """The start of one more clause."""


def parse(text: str) -> Query:
    """Read a query.

    Args:
        text: The query, stripped.

    Raises:
        MalformedError: It is none.
    """
    flat = " ".join(text.split())
    head_text, _, rest = flat.partition("{")
    head, head_plain = read_head(head_text)
    body, closing, after = rest.partition("}")
    if not closing:
        raise MalformedError("not closed")
    if after:
        raise MalformedError("text after the end")
    if body in ("", " "):
        raise MalformedError("no clauses")
    parts = _read_body(body.strip())
    written = [clause for part in parts for clause in part.written]
    mirrored = [clause for part in parts for clause in part.mirrored]
    variables = dict.fromkeys([variable for part in parts for variable in part.variables])
    if head is not None:
        variables.setdefault(head)
    spaced = flat == text and head_plain and body[0] == body[-1] == " "
    return Query(
        pattern=Pattern(frozenset(written + mirrored), tuple(variables), head),
        written=written,
        extra_dots=len(parts) + sum([part.dots for part in parts]) - len(written),
        prefixed=any(part.prefixed for part in parts),
        plain=spaced and all(part.plain for part in parts),
    )


def differences(prediction: Query, target: Query) -> list[str] | None:
    """What sets two queries of one meaning apart.

    Args:
        prediction: A query.
        target: Another, whose text is not the same.

    Returns:
        The differences in the order of the table in `exact`, or None where the meanings differ.

    Raises:
        UndecidedError: The search for a renaming outgrew its bound.
    """
    renaming = find_renaming(prediction.pattern, target.pattern)
    if renaming is None:
        return None
    ours = [rename(clause, renaming) for clause in prediction.written]
    theirs = target.written
    ours_sorted, theirs_sorted = _sort_sides(ours), _sort_sides(theirs)
    signs = {
        "variable names": any(old != new for old, new in renaming.items()),
        "clause order": list(dict.fromkeys(ours_sorted)) != list(dict.fromkeys(theirs_sorted)),
        "repeated clauses": sorted(ours_sorted) != sorted(theirs_sorted),
        "argument order": set(ours) != set(theirs),
        "punctuation": prediction.extra_dots != target.extra_dots,
        "namespace": prediction.prefixed != target.prefixed,
        "spacing": prediction.plain != target.plain,
    }
    return [name for name, differs in signs.items() if differs] or ["spacing"]


@lru_cache(maxsize=64)
def read_head(text: str) -> tuple[str | None, bool]:
    """The head's variable, None for a count; and whether the text up to `{` is plain."""
    tokens = TOKEN.findall(text)
    plain = text == f"{' '.join(tokens)} "
    match tokens:
        case ["SELECT", "count", "(", "*", ")", "WHERE"]:
            return None, plain
        case ["SELECT", "DISTINCT", head, "WHERE"] if head[0] == "?" and len(head) > 1:
            return head, plain
        case _:
            raise MalformedError("head")


def _read_body(body: str) -> list[Part]:
    """What stands between the brackets, cut at the dots that stand alone."""
    chunks = body.split(" . ")
    parts = [read_part(chunk) for chunk in chunks]
    if any(part.closed for part in parts[:-1]):
        raise MalformedError("clause")
    return parts


def read_part(chunk: str) -> Part:
    """Read what stands between two dots that stand alone.

    Args:
        chunk: The text, stripped, with single spaces.

    Raises:
        MalformedError: It is not a number of whole clauses.
    """
    return _part(chunk) if len(chunk) > _LONGEST_CACHED else _cached_part(chunk)


def _part(chunk: str) -> Part:
    flat = " ".join(TOKEN.findall(chunk))
    terms = join_paths(flat)
    clauses = read_clauses([without_prefix(term) for term in terms])
    if clauses.rest:
        raise MalformedError("filter" if clauses.rest[0] == "FILTER" else "clause")
    written = clauses.written
    return Part(
        written=tuple(written),
        mirrored=tuple((right, sign, left) for left, sign, right in written if sign == UNEQUAL),
        variables=tuple(term for clause in written for term in clause if is_variable(term)),
        dots=clauses.dots,
        closed=clauses.parted,
        prefixed=any(term.startswith("ns:") for term in terms),
        plain=chunk == flat,
    )


# Few clauses make up all queries of a benchmark, and reading them is most of the work.
_cached_part = lru_cache(maxsize=8192)(_part)


def join_paths(flat: str) -> list[str]:
    """Terms and marks, from tokens parted by one space each: `a / b` is one term."""
    if "/ " in flat or " /" in flat or "| " in flat or " |" in flat or "^ " in flat:
        flat = _SPACED_PATH.sub(r"\1\2", flat)
    return flat.split(" ")


def is_variable(term: str) -> bool:
    """Whether a renaming may touch the term."""
    return term.startswith("?")


def without_prefix(term: str) -> str:
    """As the usual preprocessing: `ns:film.film` to `film.film`, `ns:m.02zsn` to `m_02zsn`."""
    if term.startswith("ns:m."):
        return f"m_{term.removeprefix('ns:m.')}"
    return term.removeprefix("ns:")


def read_clauses(terms: list[str]) -> Clauses:
    """Read clauses for as long as they are whole.

    Args:
        terms: Terms and marks, without prefixes.

    Raises:
        MalformedError: One of them is no clause, or they are not parted as they should be.
    """
    written: list[Triple] = []
    place, dots, parted, end = 0, 0, False, len(terms)
    while place < end:
        if written and not parted:
            if terms[place] == ".":
                place, dots, parted = place + 1, dots + 1, True
                continue
            # SPARQL parts triples by dots, and lets them be left out beside a FILTER.
            if terms[place] != "FILTER" and written[-1][1] != UNEQUAL:
                raise MalformedError("clause")
        is_filter = terms[place] == "FILTER"
        after = place + (6 if is_filter else 3)
        if after > end:
            break
        clause = terms[place:after]
        written.append(_read_filter(clause) if is_filter else _read_triple(clause))
        place, parted = after, False
    return Clauses(written, dots, parted, terms[place:])


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


def _sort_sides(clauses: list[Triple]) -> list[Triple]:
    return [
        (value, sign, subject) if sign == UNEQUAL and value < subject else (subject, sign, value)
        for subject, sign, value in clauses
    ]

"""What the clause at the end of a text can still become.

A text's next letter can change how its last tokens are read: `?x1` becomes `?x12`, the dot after
`film` a part of `film.editor`, `a ` goes on as `a /b`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from icl_gap.programs.faults import MalformedError
from icl_gap.programs.sparql.sparql_parser import (
    TOKEN,
    UNEQUAL,
    Clauses,
    join_paths,
    read_clauses,
    without_prefix,
)

JOINS = ("/", "|", "^")
"""A term that ends with one of these takes in whatever follows, but for a dot that stands alone."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last term or mark, which may still go on."""

    text: str
    """As it is written, with the spaces in it and after it."""
    term: str
    """What it comes to so far."""

    def can_be(self, word: str) -> bool:
        """Whether it can go on to be one term, or mark, and no more than that."""
        for whole in (word, f"ns:{word}", f"ns:m.{word[2:]}"):
            if whole.startswith(self.term) and without_prefix(whole) == word:
                text = self.text + whole[len(self.term) :]
                if _terms(TOKEN.findall(text)) == [whole]:
                    return True
        return False

    def can_grow(self) -> bool:
        """Whether letters after it would be a part of it."""
        return _terms(TOKEN.findall(f"{self.text}a")) == [f"{self.term}a"]


Place = str | Tail | None
"""A place of a clause: its term, the start of it, or None where nothing is known."""


@dataclass(frozen=True, slots=True)
class Last:
    """The clause at the end of the text."""

    kind: Literal["any", "triple", "filter"]
    """`any`: none of it is written."""
    subject: Place = None
    predicate: Place = None
    value: Place = None


def readings(chunk: str) -> Iterator[tuple[Clauses, Last]]:
    """The ways in which a text can be read, by what its next letters are.

    Args:
        chunk: What follows the last dot that stands alone: with single spaces, and perhaps one at
            its end.

    Yields:
        The clauses before the last one, and what that may be.
    """
    tokens = list(TOKEN.finditer(chunk))
    words = [token.group() for token in tokens]
    if not words:
        yield Clauses([], 0, parted=False, rest=[]), Last("any")
        return
    starts = [_start_of_term(words, len(words) - 1)]
    if starts[0] > 0 and chunk[-1] == ".":
        # `film.` may be a name and a dot, or go on as `film.editor`.
        starts.append(_start_of_term(words, starts[0] - 1))
    for start in starts:
        tail = Tail(chunk[tokens[start].start() :], "".join(words[start:]))
        if start == starts[0] or tail.can_grow():
            clauses = _read(words[:start])
            if clauses is not None:
                yield from ((clauses, last) for last in _lasts(clauses, tail))
    # The dot of `a/ .` is no part of the term if a space and one more clause follow.
    if len(words) > 1 and words[-2].endswith(JOINS) and chunk.endswith(" ."):
        clauses = _read(words[:-1])
        if clauses is not None and not clauses.rest:
            yield clauses, Last("any")


def _start_of_term(words: list[str], place: int) -> int:
    """Where the term starts that ends with a token: `a`, `/` and `b` make one."""
    while place > 0 and (words[place - 1].endswith(JOINS) or words[place].startswith(("/", "|"))):
        place -= 1
    return place


def _read(words: list[str]) -> Clauses | None:
    try:
        return read_clauses([without_prefix(term) for term in _terms(words)])
    except MalformedError:
        return None


def _terms(words: list[str]) -> list[str]:
    return join_paths(" ".join(words)) if words else []


def _lasts(clauses: Clauses, tail: Tail) -> Iterator[Last]:
    """What a clause can be whose last term or mark may go on; nothing where it can be none.

    Args:
        clauses: All that is written before that term.
        tail: The term.
    """
    match clauses.rest:
        case []:
            dot_may_follow = bool(clauses.written) and not clauses.parted
            if dot_may_follow and tail.can_be("."):
                yield Last("any")
            if tail.can_be("FILTER"):
                yield Last("filter")
            if not dot_may_follow or clauses.written[-1][1] == UNEQUAL:
                yield Last("triple", tail)
        case ["FILTER", *rest]:
            yield from _last_filters(rest, tail)
        case [subject]:
            yield Last("triple", subject, tail)
        case [subject, predicate]:
            yield Last("triple", subject, predicate, tail)


def _last_filters(rest: list[str], tail: Tail) -> Iterator[Last]:
    match rest:
        case [] if tail.can_be("("):
            yield Last("filter")
        case ["("]:
            yield Last("filter", tail)
        case ["(", left] if tail.can_be(UNEQUAL):
            yield Last("filter", left)
        case ["(", left, "!="]:
            yield Last("filter", left, None, tail)
        case ["(", left, "!=", right] if tail.can_be(")"):
            yield Last("filter", left, None, right)

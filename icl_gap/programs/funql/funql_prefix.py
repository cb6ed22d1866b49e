"""Exact check of whether the start of a FunQL program can still become the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from icl_gap.programs.funql.funql_parser import (
    COMMUTATIVE,
    TOKEN,
    Bracket,
    Node,
    number_values,
    parse_funql,
    read_tokens,
)
from icl_gap.programs.language import MalformedError
from icl_gap.programs.tokens import starts_tokens


@dataclass(frozen=True, slots=True)
class TargetProgram:
    """Expressions of a target, equal ones once."""

    nodes: tuple[Node, ...]
    """Expressions by number; arguments come before operators, so the last is the whole."""
    numbers: dict[Node, int]


@dataclass(frozen=True, slots=True)
class _Name:
    """Name at the end of the text, which may go on."""

    text: str
    whole: bool
    """True if white space followed."""

    def can_be(self, name: str) -> bool:
        return name == self.text if self.whole else name.startswith(self.text)


@dataclass(frozen=True, slots=True)
class _Quote:
    """Quotation that is still open."""

    text: str

    def can_be(self, name: str) -> bool:
        return name.startswith("'") and starts_tokens(self.text, name[1:-1])


@lru_cache(maxsize=256)
def parse_target_program(text: str) -> TargetProgram | None:
    """Parse a target; return None if it is malformed.

    Args:
        text: The target, stripped.
    """
    try:
        steps = parse_funql(text).steps
    except MalformedError:
        return None
    numbers: dict[Node, int] = {}
    number_values(steps, lambda node: numbers.setdefault(node, len(numbers)))
    return TargetProgram(tuple(numbers), numbers)


def can_become_program(text: str, target: TargetProgram) -> bool:
    """Return whether some continuation of a text is canonically equal to the target."""
    tokens = TOKEN.findall(text)
    last = _cut_last(text, tokens)
    try:
        reader = read_tokens(tokens)
        values = number_values(reader.steps, target.numbers.__getitem__)
    except (MalformedError, KeyError):
        return False  # the KeyError: an expression that the target does not hold
    if last is None and reader.name is not None:
        last = _Name(reader.name, whole=True)
    elif last is not None and (reader.name is not None or reader.complete):
        return False  # names side by side
    current = values.pop() if reader.complete else None
    expected = _descend(reader.open, values, target)
    if current is not None:
        return current in expected
    if last is not None:
        return any(last.can_be(target.nodes[number][0]) for number in expected)
    return bool(expected)


def _cut_last(text: str, tokens: list[str]) -> _Name | _Quote | None:
    """Remove a name that may go on from the end of the tokens, and return it."""
    if "'" in tokens:
        # No quote follows the one that is open, so its text is all that is left.
        del tokens[tokens.index("'") :]
        return _Quote(text.rpartition("'")[2])
    if tokens and tokens[-1][0] not in "(),'" and not text[-1].isspace():
        return _Name(tokens.pop(), whole=False)
    return None


def _descend(brackets: list[Bracket], values: list[int], target: TargetProgram) -> set[int]:
    """Return the expressions of which one must stand at the end of the text.

    Args:
        brackets: Brackets still open, the outermost first.
        values: Numbers of the complete arguments in them, in order.
        target: The target.
    """
    expected = {len(target.nodes) - 1}
    start = 0
    for bracket in brackets:
        done = values[start : start + bracket.arguments]
        start += bracket.arguments
        if bracket.name is not None:
            nodes = [target.nodes[number] for number in expected]
            expected = {
                following
                for name, arguments in nodes
                if name == bracket.name
                for following in _next_arguments(name, done, arguments)
            }
        elif done:
            return set()  # a bracket that only groups holds one expression
    return expected


def _next_arguments(name: str, done: list[int], arguments: tuple[int, ...]) -> Iterable[int]:
    """Return the arguments that may follow an operator's first ones; none if these do not fit."""
    n_done = len(done)
    if name not in COMMUTATIVE:
        return arguments[n_done : n_done + 1] if arguments[:n_done] == tuple(done) else ()
    left = Counter(arguments)
    left.subtract(done)
    return () if min(left.values()) < 0 else +left

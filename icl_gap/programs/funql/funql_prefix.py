"""Whether the start of a FunQL program can still become the target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from icl_gap.programs.faults import MalformedError
from icl_gap.programs.funql.funql_parser import (
    COMMUTATIVE,
    TOKEN,
    Bracket,
    Node,
    number_values,
    parse,
    read,
)
from icl_gap.programs.tokens import starts_words


@dataclass(frozen=True, slots=True)
class Target:
    """A target's expressions, each meaning once."""

    nodes: tuple[Node, ...]
    """By number; arguments come before their operator, so the last is the whole."""
    numbers: dict[Node, int]


@dataclass(frozen=True, slots=True)
class _Name:
    """A name at the end of the text, that perhaps goes on."""

    text: str
    whole: bool
    """White space followed."""

    def can_be(self, name: str) -> bool:
        return name == self.text if self.whole else name.startswith(self.text)


@dataclass(frozen=True, slots=True)
class _Quote:
    """A quotation that is still open."""

    text: str

    def can_be(self, name: str) -> bool:
        return name.startswith("'") and starts_words(self.text, name[1:-1])


@lru_cache(maxsize=256)
def read_target(text: str) -> Target | None:
    """Read a target; None where it is malformed.

    Args:
        text: The target, stripped.
    """
    try:
        steps = parse(text).steps
    except MalformedError:
        return None
    numbers: dict[Node, int] = {}
    number_values(steps, lambda node: numbers.setdefault(node, len(numbers)))
    return Target(tuple(numbers), numbers)


def can_become(text: str, target: Target) -> bool:
    """Whether a text can be continued to a program of the target's meaning.

    Args:
        text: What is written so far.
        target: The target.
    """
    tokens = TOKEN.findall(text)
    tail = _cut_tail(text, tokens)
    try:
        reader = read(tokens)
        values = number_values(reader.steps, target.numbers.__getitem__)
    except (MalformedError, KeyError):
        return False  # the KeyError: an expression that the target does not hold
    if tail is None and reader.name is not None:
        tail = _Name(reader.name, whole=True)
    elif tail is not None and (reader.name is not None or reader.complete):
        return False  # names side by side
    current = values.pop() if reader.complete else None
    expected = _descend(reader.open, values, target)
    if current is not None:
        return current in expected
    if tail is not None:
        return any(tail.can_be(target.nodes[number][0]) for number in expected)
    return bool(expected)


def _cut_tail(text: str, tokens: list[str]) -> _Name | _Quote | None:
    """Take off the tokens a name that may go on."""
    if "'" in tokens:
        # No quote follows the one that is open, so its text is all that is left.
        del tokens[tokens.index("'") :]
        return _Quote(text.rpartition("'")[2])
    if tokens and tokens[-1][0] not in "(),'" and not text[-1].isspace():
        return _Name(tokens.pop(), whole=False)
    return None


def _descend(brackets: list[Bracket], values: list[int], target: Target) -> set[int]:
    """The expressions of which one must stand at the end of the text.

    Args:
        brackets: Those still open, the outermost first.
        values: The whole arguments that stand in them, as numbers, in order.
        target: The target.
    """
    expected = {len(target.nodes) - 1}
    place = 0
    for bracket in brackets:
        done = values[place : place + bracket.arguments]
        place += bracket.arguments
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
    """What may follow an operator's first arguments; nothing if they do not fit, or are all."""
    n_done = len(done)
    if name not in COMMUTATIVE:
        return arguments[n_done : n_done + 1] if arguments[:n_done] == tuple(done) else ()
    left = Counter(arguments)
    left.subtract(done)
    return () if min(left.values()) < 0 else +left

"""The normal form of GeoQuery's FunQL.

The language is that of Kate et al. 2005, "Learning to transform natural to formal languages".

An expression is a name, or a name with arguments in brackets. Two are the same where they differ in
spacing, in brackets around a whole expression, or in the order of `intersection`'s arguments.
Nothing else is equated: every other operator's arguments keep their places, `city ( all )` is not
`city`, and an intersection within an intersection stays one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from icl_gap.programs.faults import MalformedError

Node = tuple[str, tuple[int, ...]]
"""A name, and the numbers of its arguments' meanings; sorted where they have no order."""

COMMUTATIVE = frozenset({"intersection"})
"""Operators whose arguments have no order."""

# An apostrophe opens a quotation only where a name could start.
TOKEN = re.compile(r"[(),]|'[^']*'|[^\s(),']+(?:'[^\s(),]*)?|'")
_MARKS = frozenset("(),'")


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed program: a list of steps, so that depth costs no stack."""

    steps: list[tuple[str, int]]
    """In postfix order: an operator's or leaf's name, and how many of the values before it are its
    arguments."""
    extra_brackets: int
    """Pairs around a whole expression."""
    plain: bool
    """Its tokens are parted by one space each."""


@dataclass(slots=True)
class Bracket:
    """A bracket that is still open."""

    name: str | None
    """The operator before it; None where it only groups."""
    arguments: int = 0
    """Those that a comma has ended."""


@dataclass(slots=True)
class Reader:
    """The state of one left-to-right pass."""

    steps: list[tuple[str, int]] = field(default_factory=list)
    open: list[Bracket] = field(default_factory=list)
    name: str | None = None
    """A name that is read, and may still turn out to be an operator."""
    complete: bool = False
    """An expression has just ended, and no comma came since."""
    extra_brackets: int = 0


def parse(text: str) -> Expression:
    """Read a program.

    Args:
        text: The program, stripped.

    Raises:
        MalformedError: It is none.
    """
    tokens = TOKEN.findall(text)
    reader = read(tokens)
    _end_name(reader)
    if reader.open:
        raise MalformedError("not closed")
    if not reader.complete:
        raise MalformedError("arguments")
    return Expression(reader.steps, reader.extra_brackets, text == " ".join(tokens))


def read(tokens: list[str]) -> Reader:
    """Read the start of a program, as far as its tokens go.

    Raises:
        MalformedError: No program starts so.
    """
    reader = Reader()
    for token in tokens:
        match token:
            case "(":
                _open(reader)
            case ")":
                _close(reader)
            case ",":
                _comma(reader)
            case "'":
                raise MalformedError("quotes")
            case _:
                _name(reader, token)
    return reader


def differences(prediction: Expression, target: Expression) -> list[str] | None:
    """What sets two programs of one meaning apart.

    Args:
        prediction: A program.
        target: Another, whose text is not the same.

    Returns:
        The differences in the order of the table in `exact`, or None where the meanings differ.
    """
    numbers: dict[Node, int] = {}

    def number(node: Node) -> int:
        return numbers.setdefault(node, len(numbers))

    if number_values(prediction.steps, number) != number_values(target.steps, number):
        return None
    signs = {
        "argument order": prediction.steps != target.steps,
        "brackets": prediction.extra_brackets != target.extra_brackets,
        "spacing": prediction.plain != target.plain,
    }
    return [name for name, differs in signs.items() if differs] or ["spacing"]


def number_values(steps: list[tuple[str, int]], number: Callable[[Node], int]) -> list[int]:
    """The numbers of the expressions' meanings: equal meanings, and no others, share one.

    Args:
        steps: In postfix order; one expression for a whole program.
        number: Gives equal nodes, and no others, the same number.
    """
    values: list[int] = []
    for name, n_arguments in steps:
        cut = len(values) - n_arguments
        arguments = values[cut:]
        if name in COMMUTATIVE:
            arguments.sort()
        values[cut:] = [number((name, tuple(arguments)))]
    return values


def _name(reader: Reader, token: str) -> None:
    if reader.name is not None or reader.complete:
        outside = reader.complete and not reader.open
        raise MalformedError("text after the end" if outside else "names side by side")
    quoted = token.startswith("'")
    reader.name = f"'{' '.join(token[1:-1].split())}'" if quoted else token


def _end_name(reader: Reader) -> None:
    """Take a name without arguments as an expression of its own."""
    if reader.name is not None:
        reader.steps.append((reader.name, 0))
        reader.name = None
        reader.complete = True


def _open(reader: Reader) -> None:
    if reader.complete:
        raise MalformedError("arguments" if reader.open else "text after the end")
    reader.open.append(Bracket(reader.name))
    reader.name = None


def _comma(reader: Reader) -> None:
    _end_name(reader)
    if not reader.open:
        raise MalformedError("text after the end" if reader.complete else "arguments")
    if not reader.complete:
        raise MalformedError("arguments")
    reader.open[-1].arguments += 1
    reader.complete = False


def _close(reader: Reader) -> None:
    _end_name(reader)
    if not reader.open:
        raise MalformedError("text after the end" if reader.complete else "arguments")
    bracket = reader.open.pop()
    if not reader.complete:
        raise MalformedError("arguments")
    bracket.arguments += 1
    if bracket.name is not None:
        reader.steps.append((bracket.name, bracket.arguments))
    elif bracket.arguments == 1:
        reader.extra_brackets += 1
    else:
        raise MalformedError("arguments")

"""Parser of GeoQuery's FunQL.

The language is that of Kate et al. 2005, "Learning to transform natural to formal languages". An
expression is a name, or a name with arguments in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from icl_gap.programs.language import MalformedError

T = TypeVar("T")

Node = tuple[str, tuple[int, ...]]
"""Name and numbers of its arguments; the numbers are sorted if the arguments have no order."""

COMMUTATIVE = frozenset({"intersection"})
"""Operators whose arguments have no order."""

# An apostrophe opens a quotation only where a name could start.
TOKEN = re.compile(r"[(),]|'[^']*'|[^\s(),']+(?:'[^\s(),]*)?|'")


@dataclass(frozen=True, slots=True)
class FunqlProgram:
    """Parsed program: a list of steps, so that depth costs no stack."""

    steps: list[tuple[str, int]]
    """Names with their number of arguments, in postfix order: arguments come before operators."""
    extra_brackets: int
    """Pairs of brackets around whole expressions."""
    plain: bool
    """True if one space separates each two tokens."""


@dataclass(slots=True)
class Bracket:
    """Bracket that is still open."""

    name: str | None
    """Operator before it; None if it only groups."""
    arguments: int = 0
    """Number of arguments that a comma has ended."""


@dataclass(slots=True)
class FunqlReader:
    """State of one left-to-right pass over tokens."""

    steps: list[tuple[str, int]] = field(default_factory=list)
    open: list[Bracket] = field(default_factory=list)
    name: str | None = None
    """Last name, if it may still turn out to be an operator."""
    complete: bool = False
    """True if an expression has ended and no comma came since."""
    extra_brackets: int = 0


def parse_funql(text: str) -> FunqlProgram:
    """Parse a program.

    Args:
        text: The program, stripped.

    Raises:
        MalformedError: The text is not a program.
    """
    tokens = TOKEN.findall(text)
    reader = read_tokens(tokens)
    _end_name(reader)
    if reader.open:
        raise MalformedError("not closed")
    if not reader.complete:
        raise MalformedError("arguments")
    return FunqlProgram(reader.steps, reader.extra_brackets, text == " ".join(tokens))


def read_tokens(tokens: list[str]) -> FunqlReader:
    """Read the start of a program, as far as its tokens go.

    Raises:
        MalformedError: No program starts with these tokens.
    """
    reader = FunqlReader()
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


def fold(steps: list[tuple[str, int]], make: Callable[[str, list[T]], T]) -> T:
    """Build a value from a whole program, from its leaves up.

    Args:
        steps: `FunqlProgram.steps`.
        make: Makes the value of an expression from its name and its arguments' values.
    """
    values: list[T] = []
    for name, n_arguments in steps:
        cut = len(values) - n_arguments
        arguments = values[cut:]
        values[cut:] = [make(name, arguments)]
    (whole,) = values
    return whole


def number_values(steps: list[tuple[str, int]], number: Callable[[Node], int]) -> list[int]:
    """Return a number for each expression; canonically equal ones, and no others, share one.

    Args:
        steps: Steps in postfix order; a whole program is one expression.
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


def _name(reader: FunqlReader, token: str) -> None:
    if reader.name is not None or reader.complete:
        outside = reader.complete and not reader.open
        raise MalformedError("text after the end" if outside else "names side by side")
    quoted = token.startswith("'")
    reader.name = f"'{' '.join(token[1:-1].split())}'" if quoted else token


def _end_name(reader: FunqlReader) -> None:
    """Make the last name an expression of its own, without arguments."""
    if reader.name is not None:
        reader.steps.append((reader.name, 0))
        reader.name = None
        reader.complete = True


def _open(reader: FunqlReader) -> None:
    if reader.complete:
        raise MalformedError("arguments" if reader.open else "text after the end")
    reader.open.append(Bracket(reader.name))
    reader.name = None


def _comma(reader: FunqlReader) -> None:
    _end_name(reader)
    if not reader.open:
        raise MalformedError("text after the end" if reader.complete else "arguments")
    if not reader.complete:
        raise MalformedError("arguments")
    reader.open[-1].arguments += 1
    reader.complete = False


def _close(reader: FunqlReader) -> None:
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

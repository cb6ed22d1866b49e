"""FunQL in the form that Shaw et al. 2021 (arXiv 2010.12725, section 4.1) score on.

The corpus writes a set's type as a function of the set, `city(loc_2(X))`, and hides what a
superlative compares inside its argument, `largest_one(area_1(X))`. The normal form writes an
`intersection` of sets and gives a superlative its two or three arguments. Named entities can then
be replaced by placeholders `m0`, `m1`, on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

TYPES = frozenset({"capital", "city", "lake", "major", "mountain", "place", "river", "state"})
"""Sets that stand alone as `city(all)`, and narrow another set as `city(X)`."""

UNNESTED = {"largest_one": 1, "smallest_one": 1, "most": 2, "fewest": 2}
"""How many nested functions become arguments of their own."""

ENTITIES = frozenset({"cityid", "countryid", "placeid", "riverid", "stateid"})

USA = ("continental us", "united states", "america", "country", "usa", "us")
"""How questions name the only country."""


@dataclass(frozen=True, slots=True)
class Term:
    """A function with its arguments, or a constant without any."""

    name: str
    arguments: tuple[Term, ...] = ()

    @property
    def spelled(self) -> str:
        """Without any spaces; an entity is recognized by this text."""
        if not self.arguments:
            return self.name
        return f"{self.name}({','.join(argument.spelled for argument in self.arguments)})"


def parse(text: str) -> Term:
    """Read a FunQL expression.

    Args:
        text: As the corpus has it, with quotes around names and any spacing.

    Raises:
        ValueError: The brackets do not match, or something follows the expression.
    """
    tokens = [token.strip() for token in re.findall(r"[(),]|[^(),]+", text.replace("'", ""))]
    tokens = [token for token in tokens if token]
    term, rest = _parse(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"something follows the expression: {text}")
    return term


def _parse(tokens: Sequence[str], position: int) -> tuple[Term, int]:
    name = _token(tokens, position)
    if name in {"(", ")", ","}:
        raise ValueError(f"a name is missing before {name!r}")
    position += 1
    if position == len(tokens) or tokens[position] != "(":
        return Term(name), position
    arguments = []
    while True:
        argument, position = _parse(tokens, position + 1)
        arguments.append(argument)
        match _token(tokens, position):
            case ",":
                continue
            case ")":
                return Term(name, tuple(arguments)), position + 1
            case other:
                raise ValueError(f"expected ',' or ')', found {other!r}")


def _token(tokens: Sequence[str], position: int) -> str:
    if position == len(tokens):
        raise ValueError("a bracket is not closed")
    return tokens[position]


def normalize(term: Term) -> Term:
    """Write types as intersections and superlatives with all their arguments.

    Raises:
        ValueError: A type or a superlative lacks the argument that it needs.
    """
    if term.name in ENTITIES or not term.arguments:
        return term
    if term.name in TYPES:
        if len(term.arguments) != 1:
            raise ValueError(f"{term.name} takes one set")
        if term.arguments[0] == Term("all"):
            return Term(term.name)
        return Term("intersection", (Term(term.name), normalize(term.arguments[0])))
    names: list[Term] = []
    arguments = term.arguments
    for _ in range(UNNESTED.get(term.name, 0)):
        if len(arguments) != 1 or not arguments[0].arguments:
            raise ValueError(f"{term.name} has nothing to compare by")
        names.append(Term(arguments[0].name))
        arguments = arguments[0].arguments
    return Term(term.name, (*names, *(normalize(argument) for argument in arguments)))


def spaced(term: Term) -> str:
    """Write a term with spaces around brackets and commas."""
    return " ".join(_spell(term))


def _spell(term: Term) -> Iterator[str]:
    yield term.name
    for position, argument in enumerate(term.arguments):
        yield "," if position else "("
        yield from _spell(argument)
    if term.arguments:
        yield ")"


def question(text: str) -> str:
    """A question in lower case, without its end mark, with clitics joined to their word."""
    return re.sub(r"\s*[?.]*\s*$", "", text.lower()).replace(" '", "")


def with_placeholders(
    source: str, target: Term, states: Mapping[str, str]
) -> tuple[str, Term, dict[str, str]]:
    """Put `m0`, `m1` for the entities that the question names.

    Longer entities come first, since one's name may lie inside another's. An entity's first mention
    in the question is replaced, and each of its occurrences in the target; an entity that the
    question does not name stays as it is.

    Args:
        source: From `question`.
        target: From `normalize`.
        states: The name of each state by its abbreviation.

    Returns:
        The question, the target, and the entity behind each placeholder.
    """
    words = source.split(" ")
    behind: dict[str, str] = {}
    found = dict.fromkeys(_entities(target))
    for entity in sorted(found, key=lambda entity: -len(entity.spelled)):
        mention = f"m{len(behind)}"
        replaced = _mention(words, _names(entity, states), mention)
        if replaced is not None:
            words = replaced
            behind[mention] = entity.spelled
            target = _replace(target, entity, Term(mention))
    return " ".join(words), target, behind


def _entities(term: Term) -> Iterator[Term]:
    if term.name in ENTITIES:
        yield term
    else:
        for argument in term.arguments:
            yield from _entities(argument)


def _names(entity: Term, states: Mapping[str, str]) -> list[str]:
    """What a question may call an entity, longest first."""
    name, *rest = (argument.name for argument in entity.arguments)
    if entity.name == "countryid":
        return list(USA)
    if entity.name == "cityid" and rest and rest[0] != "_":
        names = [f"{name} {rest[0]}", f"{name} {states.get(rest[0], rest[0])}"]
        return sorted(names, key=len, reverse=True)
    return [name]


def _mention(words: list[str], names: list[str], mention: str) -> list[str] | None:
    """The words with the first mention of the first name that occurs replaced."""
    for name in names:
        parts = name.split(" ")
        for start in range(len(words) - len(parts) + 1):
            if words[start : start + len(parts)] == parts:
                return [*words[:start], mention, *words[start + len(parts) :]]
    return None


def _replace(term: Term, old: Term, new: Term) -> Term:
    if term == old:
        return new
    return Term(term.name, tuple(_replace(argument, old, new) for argument in term.arguments))

"""Conversion of GeoQuery's corpus to the form of Shaw et al. 2021, arXiv 2010.12725, section 4.1.

The corpus writes a set's type as a function of the set, `city(loc_2(X))`, and puts the measure of a
superlative around its argument, `largest_one(area_1(X))`. The converted form writes an
`intersection` of sets and gives a superlative its two or three arguments. Named entities can then
be replaced by placeholders `m0`, `m1`, on both sides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from icl_gap.programs.funql.funql_parser import fold, parse_funql
from icl_gap.programs.language import MalformedError

TYPES = frozenset({"capital", "city", "lake", "major", "mountain", "place", "river", "state"})
"""Sets that stand alone as `city(all)`, and narrow another set as `city(X)`."""

UNNESTED = {"largest_one": 1, "smallest_one": 1, "most": 2, "fewest": 2}
"""Superlatives, with the number of nested functions that become arguments of their own."""

ENTITIES = frozenset({"cityid", "countryid", "placeid", "riverid", "stateid"})

USA = ("continental us", "united states", "america", "country", "usa", "us")
"""Names of the only country in questions."""


@dataclass(frozen=True, slots=True)
class Term:
    """Function with its arguments, or a constant without any."""

    name: str
    arguments: tuple[Term, ...] = ()

    @property
    def spelled(self) -> str:
        """Text without spaces or quotes; entities are identified by it."""
        if not self.arguments:
            return self.name
        return f"{self.name}({','.join(argument.spelled for argument in self.arguments)})"


def parse_published(text: str) -> Term:
    """Parse a program of the corpus.

    Args:
        text: The program, with quotes around names.

    Raises:
        MalformedError: The text is not a program, or has brackets around a whole expression.
    """
    program = parse_funql(text.strip())
    if program.extra_brackets:
        raise MalformedError("brackets")
    return fold(program.steps, lambda name, terms: Term(name.replace("'", ""), tuple(terms)))


def convert(term: Term) -> Term:
    """Convert types to intersections, and give superlatives all their arguments.

    Raises:
        MalformedError: A type or a superlative lacks the argument that it needs.
    """
    if term.name in ENTITIES or not term.arguments:
        return term
    if term.name in TYPES:
        if len(term.arguments) != 1:
            raise MalformedError(f"{term.name} takes one set")
        if term.arguments[0] == Term("all"):
            return Term(term.name)
        return Term("intersection", (Term(term.name), convert(term.arguments[0])))
    names: list[Term] = []
    arguments = term.arguments
    for _ in range(UNNESTED.get(term.name, 0)):
        if len(arguments) != 1 or not arguments[0].arguments:
            raise MalformedError(f"{term.name} has nothing to compare by")
        names.append(Term(arguments[0].name))
        arguments = arguments[0].arguments
    return Term(term.name, (*names, *(convert(argument) for argument in arguments)))


def spaced(term: Term) -> str:
    """Return the text of a term with spaces around brackets and commas."""
    return " ".join(_spell(term))


def _spell(term: Term) -> Iterator[str]:
    yield term.name
    for position, argument in enumerate(term.arguments):
        yield "," if position else "("
        yield from _spell(argument)
    if term.arguments:
        yield ")"


def clean_question(text: str) -> str:
    """Return a question in lower case, without its end mark, with clitics joined to their word."""
    return re.sub(r"\s*[?.]*\s*$", "", text.lower()).replace(" '", "")


def with_placeholders(
    source: str, target: Term, states: Mapping[str, str]
) -> tuple[str, Term, dict[str, str]]:
    """Replace the entities that the question names by `m0`, `m1`.

    Longer entities come first, since one's name may lie inside another's. An entity's first mention
    in the question is replaced, and each of its occurrences in the target; an entity that the
    question does not name stays as it is.

    Args:
        source: Question, as `clean_question` returns it.
        target: Program, as `convert` returns it.
        states: Name of each state by its abbreviation.

    Returns:
        The question, the target, and the text of the entity behind each placeholder.
    """
    tokens = source.split(" ")
    bindings: dict[str, str] = {}
    found = dict.fromkeys(_entities(target))
    for entity in sorted(found, key=lambda entity: -len(entity.spelled)):
        placeholder = f"m{len(bindings)}"
        replaced = _replace_mention(tokens, _names(entity, states), placeholder)
        if replaced is not None:
            tokens = replaced
            bindings[placeholder] = entity.spelled
            target = _replace(target, entity, Term(placeholder))
    return " ".join(tokens), target, bindings


def _entities(term: Term) -> Iterator[Term]:
    if term.name in ENTITIES:
        yield term
    else:
        for argument in term.arguments:
            yield from _entities(argument)


def _names(entity: Term, states: Mapping[str, str]) -> list[str]:
    """Return the names that a question may give an entity, longest first."""
    name, *rest = (argument.name for argument in entity.arguments)
    if entity.name == "countryid":
        return list(USA)
    if entity.name == "cityid" and rest and rest[0] != "_":
        names = [f"{name} {rest[0]}", f"{name} {states.get(rest[0], rest[0])}"]
        return sorted(names, key=len, reverse=True)
    return [name]


def _replace_mention(tokens: list[str], names: list[str], placeholder: str) -> list[str] | None:
    """Replace the first mention of the first name that occurs; return None if none does."""
    for name in names:
        parts = name.split(" ")
        for start in range(len(tokens) - len(parts) + 1):
            if tokens[start : start + len(parts)] == parts:
                return [*tokens[:start], placeholder, *tokens[start + len(parts) :]]
    return None


def _replace(term: Term, old: Term, new: Term) -> Term:
    if term == old:
        return new
    return Term(term.name, tuple(_replace(argument, old, new) for argument in term.arguments))

"""The database that GeoQuery's programs are asked of, as relations.

Geobase is a file of Prolog facts on the geography of the USA. An entity is a tuple of its kind and
its name; a city has the abbreviation of its state as well, as names recur.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

Entity = tuple[str, ...]
Pairs = frozenset[tuple[Entity, Entity]]
Values = Mapping[Entity, float]

USA: Entity = ("countryid", "usa")
MAJOR_CITY, MAJOR_RIVER = 150_000, 750
"""A city is major with more people, a river with more kilometres."""

_FACT = re.compile(r"^(\w+)\((.*)\)\.\s*$", re.MULTILINE)
_TERM = re.compile(r"\[[^\]]*\]|'[^']*'|[^,\[\]]+")


@dataclass(frozen=True, slots=True)
class Geobase:
    """The relations that FunQL's operators stand for."""

    kinds: Mapping[str, frozenset[Entity]]
    """`state`, `city`, `river`, `place`, `mountain`, `lake`, `capital`, `major`, and `all`."""
    order: Mapping[Entity, int]
    """Where each comes first in the file: of equals, superlatives take the first."""
    within: Pairs
    """What lies in what."""
    borders: Pairs
    capitals: Pairs
    """A state and its capital."""
    high_points: Pairs
    low_points: Pairs
    area: Values
    population: Values
    density: Values
    elevation: Values
    length: Values


Facts = Mapping[str, list[list[str]]]
"""By their predicate, the arguments of each; lists as they are written."""


def read_geobase(text: str) -> Geobase:
    """Read the facts.

    Args:
        text: Of the file.

    Raises:
        ValueError: It holds no state.
    """
    facts: defaultdict[str, list[list[str]]] = defaultdict(list)
    for name, body in _FACT.findall(text):
        facts[name].append([_plain(term) for term in _TERM.findall(body)])
    if not facts["state"]:
        raise ValueError("there is no fact on any state in it")
    states: dict[str, Entity] = {row[0]: ("stateid", row[0]) for row in facts["state"]}
    cities: dict[Entity, float] = {_city(row[2], row[1]): float(row[3]) for row in facts["city"]}
    lengths: dict[Entity, float] = {("riverid", row[0]): float(row[1]) for row in facts["river"]}
    lakes: dict[Entity, float] = {("placeid", row[0]): float(row[1]) for row in facts["lake"]}
    people = {states[row[0]]: float(row[3]) for row in facts["state"]}
    area = {states[row[0]]: float(row[4]) for row in facts["state"]}
    capitals = [(states[row[0]], _city(row[2], row[1])) for row in facts["state"]]
    elevation = {_place(row, at): float(row[at + 1]) for row in facts["highlow"] for at in (2, 4)}
    within = _within(facts, states)
    major = [*_above(cities, MAJOR_CITY), *_above(lengths, MAJOR_RIVER)]
    kinds = {
        "state": frozenset(states.values()),
        "city": frozenset(cities),
        "capital": frozenset(city for _, city in capitals),
        "river": frozenset(lengths),
        "place": frozenset(elevation),
        "mountain": frozenset(_place(row, 2) for row in facts["highlow"]),
        "lake": frozenset(lakes),
        "major": frozenset(major),
    }
    named = (city for _, city in capitals)
    listed = chain(states.values(), cities, named, lengths, elevation, lakes)
    return Geobase(
        kinds={**kinds, "all": frozenset({USA}).union(*kinds.values())},
        order={entity: n for n, entity in enumerate(dict.fromkeys(listed))},
        within=within,
        borders=frozenset(_borders(facts, states)),
        capitals=frozenset(capitals),
        high_points=frozenset((states[row[0]], _place(row, 2)) for row in facts["highlow"]),
        low_points=frozenset((states[row[0]], _place(row, 4)) for row in facts["highlow"]),
        area=area | lakes,
        population=people | cities,
        density={state: people[state] / area[state] for state in people if area[state]},
        elevation=elevation,
        length=lengths,
    )


def _within(facts: Facts, states: Mapping[str, Entity]) -> Pairs:
    """What lies in which state, and in the country; that of lakes is not asked for."""
    inside: set[tuple[Entity, Entity]] = set()
    inside |= {(_city(row[2], row[1]), states[row[0]]) for row in facts["city"]}
    inside |= {(_place(row, at), states[row[0]]) for row in facts["highlow"] for at in (2, 4)}
    inside |= {
        (("riverid", row[0]), states[name])
        for row in facts["river"]
        for name in _listed(row[2])
        if name in states
    }
    things = {thing for thing, _ in inside}
    return frozenset(inside | {(thing, USA) for thing in things.union(states.values())})


def _borders(facts: Facts, states: Mapping[str, Entity]) -> Iterator[tuple[Entity, Entity]]:
    for row in facts["border"]:
        yield from ((states[row[0]], states[name]) for name in _listed(row[2]) if name in states)


def _above(numbers: Values, bound: float) -> list[Entity]:
    return [each for each, number in numbers.items() if number > bound]


def _city(name: str, state: str) -> Entity:
    return ("cityid", name, state)


def _place(row: list[str], at: int) -> Entity:
    return ("placeid", row[at])


def _plain(term: str) -> str:
    return term.strip().strip("'")


def _listed(term: str) -> list[str]:
    return [_plain(each) for each in term.strip("[]").split(",") if each.strip()]

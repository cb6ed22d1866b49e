"""Geobase, the database of GeoQuery, as relations.

Geobase is a file of Prolog facts on the geography of the USA. An entity is a tuple of its type and
its name; a city has the abbreviation of its state as well, as names recur.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

Entity = tuple[str, ...]
Pairs = frozenset[tuple[Entity, Entity]]
Values = Mapping[Entity, float]

USA: Entity = ("countryid", "usa")
MAJOR_CITY, MAJOR_RIVER = 150_000, 750
"""People of a city and kilometres of a river above which they are major."""

_FACT = re.compile(r"^(\w+)\((.*)\)\.\s*$", re.MULTILINE)
_TERM = re.compile(r"\[[^\]]*\]|'[^']*'|[^,\[\]]+")


@dataclass(frozen=True, slots=True)
class Geobase:
    """Relations that FunQL's operators stand for."""

    types: Mapping[str, frozenset[Entity]]
    """`state`, `city`, `river`, `place`, `mountain`, `lake`, `capital`, `major`, and `all`."""
    order: Mapping[Entity, int]
    """Rank of each entity by its first mention; superlatives take the first of equals."""
    within: Pairs
    """Pairs of an entity and a state or country that it lies in."""
    borders: Pairs
    capitals: Pairs
    """Pairs of a state and its capital."""
    high_points: Pairs
    low_points: Pairs
    area: Values
    population: Values
    density: Values
    elevation: Values
    length: Values


Facts = Mapping[str, list[list[str]]]
"""Arguments of the facts by predicate; lists are kept as text."""


@lru_cache(maxsize=4)
def read_geobase(text: str) -> Geobase:
    """Read the facts.

    Args:
        text: Content of the file.

    Raises:
        ValueError: No fact is about a state.
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
    types = {
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
        types={**types, "all": frozenset({USA}).union(*types.values())},
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
    """Return what lies in each state and in the country; no program needs the states of lakes."""
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

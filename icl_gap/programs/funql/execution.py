"""What a FunQL program answers: the program evaluated over geobase.

Operators mean what their names say. 815 of the 880 answers that come with the corpus are had so;
`tests/programs/funql/test_execution.py` lists why each other one differs. Of equals a superlative
takes the one that the database names first, as those answers do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from icl_gap.programs.funql import funql_parser as funql
from icl_gap.programs.funql.geobase import Entity, Geobase, Pairs, Values

Answer = frozenset[Entity] | tuple[float, ...]
"""Entities; or numbers, sorted, one for each entity that they are of."""


class NoAnswerError(Exception):
    """A program that has no meaning: wrong types, or a name that nothing has."""


def execute(program: str, database: Geobase, mentions: Mapping[str, Entity]) -> Answer:
    """Evaluate a program in normal form.

    Args:
        program: The program.
        database: What is asked.
        mentions: The entities that placeholders stand for.

    Raises:
        MalformedError: It is no program.
        NoAnswerError: It has no meaning.
    """
    values: list[Any] = []
    for name, arity in funql.parse(program.strip()).steps:
        arguments = values[len(values) - arity :] if arity else []
        del values[len(values) - arity :]
        if arity == 0:
            values.append(_Leaf(name, database, mentions))
            continue
        operator = _OPERATORS.get((name, arity))
        if operator is None:
            raise NoAnswerError(f"{name} of {arity}")
        values.append(operator(database, *arguments))
    (answer,) = values
    return _set(answer) if isinstance(answer, _Leaf) else answer


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A name without arguments: of a set, or of an operator that another takes."""

    name: str
    database: Geobase
    mentions: Mapping[str, Entity]

    @property
    def entities(self) -> frozenset[Entity]:
        """The set.

        Raises:
            NoAnswerError: It names none.
        """
        if self.name in self.mentions:
            return _named(self.database, self.mentions[self.name])
        if self.name in self.database.kinds:
            return self.database.kinds[self.name]
        raise NoAnswerError(f"nothing is called {self.name}")


def _named(database: Geobase, entity: Entity) -> frozenset[Entity]:
    """An entity; a city without its state is any of its name."""
    if entity[0] != "cityid" or entity[2:] not in {(), ("_",)}:
        return frozenset([entity])
    return frozenset(each for each in database.order if each[:2] == entity[:2])


def _name(value: Any) -> str:
    if isinstance(value, _Leaf):
        return value.name
    raise NoAnswerError("a set where a name is wanted")


def _set(value: Any) -> frozenset[Entity]:
    if isinstance(value, _Leaf):
        return value.entities
    if isinstance(value, frozenset):
        return value
    raise NoAnswerError("numbers where entities are wanted")


def _image(pairs: Callable[[Geobase], Pairs], *, back: bool) -> Callable[..., frozenset[Entity]]:
    """A relation as a function of sets: to what something of the set stands in it, or back."""

    def image(database: Geobase, value: Any) -> frozenset[Entity]:
        wanted = _set(value)
        if back:
            return frozenset(a for a, b in pairs(database) if b in wanted)
        return frozenset(b for a, b in pairs(database) if a in wanted)

    return image


def _traversed(database: Geobase) -> Pairs:
    rivers, states = database.kinds["river"], database.kinds["state"]
    return frozenset((a, b) for a, b in database.within if a in rivers and b in states)


_RELATIONS: Mapping[str, Callable[..., frozenset[Entity]]] = MappingProxyType(
    {
        "loc_1": _image(lambda d: d.within, back=False),
        "loc_2": _image(lambda d: d.within, back=True),
        "next_to_1": _image(lambda d: d.borders, back=False),
        "next_to_2": _image(lambda d: d.borders, back=True),
        "traverse_1": _image(_traversed, back=False),
        "traverse_2": _image(_traversed, back=True),
        "capital_1": _image(lambda d: d.capitals, back=False),
        "capital_2": _image(lambda d: d.capitals, back=True),
        "high_point_1": _image(lambda d: d.high_points, back=False),
        "high_point_2": _image(lambda d: d.high_points, back=True),
        "low_point_1": _image(lambda d: d.low_points, back=False),
        "low_point_2": _image(lambda d: d.low_points, back=True),
    }
)


def _size(database: Geobase) -> Values:
    """What large and small mean: people of a city, area of a state or a lake, length of a river."""
    cities = {city: database.population[city] for city in database.kinds["city"]}
    return {**database.area, **database.length, **cities}


_MEASURES: Mapping[str, Callable[[Geobase], Values]] = MappingProxyType(
    {
        "area_1": lambda d: d.area,
        "population_1": lambda d: d.population,
        "density_1": lambda d: d.density,
        "elevation_1": lambda d: d.elevation,
        "len": lambda d: d.length,
        "size": _size,
    }
)


def _numbers(measure: Callable[[Geobase], Values]) -> Callable[..., tuple[float, ...]]:
    def numbers(database: Geobase, value: Any) -> tuple[float, ...]:
        known = measure(database)
        return tuple(sorted(known[each] for each in _set(value) if each in known))

    return numbers


def _extreme(
    measure: Callable[[Geobase], Values], best: Callable[..., float]
) -> Callable[..., Answer]:
    """What of a set has the best measure; or the best of some numbers."""

    def extreme(database: Geobase, value: Any) -> Answer:
        if isinstance(value, tuple) and value:
            return (best(value),)
        known = measure(database)
        return _first(database, {each: known[each] for each in _set(value) if each in known}, best)

    return extreme


def _first(
    database: Geobase, numbers: Mapping[Entity, float], best: Callable[..., float]
) -> frozenset[Entity]:
    """The entity with the best number, the first of equals; none of none."""
    if not numbers:
        return frozenset()
    most = best(numbers.values())
    equals = [each for each, number in numbers.items() if number == most]
    return frozenset([min(equals, key=lambda each: database.order[each])])


def _extreme_one(best: Callable[..., float]) -> Callable[..., Answer]:
    """What of a set has the best of a measure that is named."""

    def extreme(database: Geobase, measure: Any, value: Any) -> Answer:
        name = _name(measure)
        if name not in _MEASURES:
            raise NoAnswerError(f"{name} is no measure")
        return _extreme(_MEASURES[name], best)(database, value)

    return extreme


def _extreme_count(best: Callable[..., int]) -> Callable[..., frozenset[Entity]]:
    """What of a kind is in a relation with the most things of a set, or the fewest, but some."""

    def extreme(database: Geobase, kind: Any, relation: Any, value: Any) -> frozenset[Entity]:
        name = _name(relation)
        if name not in _RELATIONS:
            raise NoAnswerError(f"{name} is no relation")
        counts = dict.fromkeys(_set(kind), 0)
        for each in _set(value):
            for other in _RELATIONS[name](database, frozenset([each])):
                if other in counts:
                    counts[other] += 1
        return _first(database, {each: n for each, n in counts.items() if n}, best)

    return extreme


def _beyond(
    measure: Callable[[Geobase], Values], *, above: bool
) -> Callable[..., frozenset[Entity]]:
    def beyond(database: Geobase, value: Any) -> frozenset[Entity]:
        known = measure(database)
        bounds = [known[each] for each in _set(value) if each in known]
        if not bounds:
            return frozenset()
        if above:
            return frozenset(e for e, number in known.items() if number > min(bounds))
        return frozenset(e for e, number in known.items() if number < max(bounds))

    return beyond


def _elevation_2(database: Geobase, value: Any) -> frozenset[Entity]:
    try:
        wanted = float(_name(value))
    except ValueError:
        raise NoAnswerError("no number") from None
    return frozenset(place for place, height in database.elevation.items() if height == wanted)


def _sum(_: Geobase, value: Any) -> tuple[float, ...]:
    if not isinstance(value, tuple):
        raise NoAnswerError("no numbers to add")
    return (sum(value),)


def _entity(kind: str) -> Callable[..., frozenset[Entity]]:
    def entity(database: Geobase, *names: Any) -> frozenset[Entity]:
        return _named(database, (kind, *(_name(each).strip("'") for each in names)))

    return entity


_ENTITIES = {"stateid": 1, "riverid": 1, "placeid": 1, "countryid": 1, "cityid": 2}
"""How entities are written, with how many names."""

_OPERATORS: Mapping[tuple[str, int], Callable[..., Any]] = MappingProxyType(
    {
        ("answer", 1): lambda _, value: value if isinstance(value, tuple) else _set(value),
        ("count", 1): lambda _, value: (float(len(_set(value))),),
        ("sum", 1): _sum,
        ("intersection", 2): lambda _, a, b: _set(a) & _set(b),
        ("exclude", 2): lambda _, a, b: _set(a) - _set(b),
        **{(name, 1): relation for name, relation in _RELATIONS.items()},
        **{(name, 1): _numbers(measure) for name, measure in _MEASURES.items()},
        ("largest", 1): _extreme(_size, max),
        ("smallest", 1): _extreme(_size, min),
        ("longest", 1): _extreme(lambda d: d.length, max),
        ("shortest", 1): _extreme(lambda d: d.length, min),
        ("highest", 1): _extreme(lambda d: d.elevation, max),
        ("lowest", 1): _extreme(lambda d: d.elevation, min),
        ("largest_one", 2): _extreme_one(max),
        ("smallest_one", 2): _extreme_one(min),
        ("most", 3): _extreme_count(max),
        ("fewest", 3): _extreme_count(min),
        ("higher_2", 1): _beyond(lambda d: d.elevation, above=True),
        ("lower_2", 1): _beyond(lambda d: d.elevation, above=False),
        ("longer", 1): _beyond(lambda d: d.length, above=True),
        ("elevation_2", 1): _elevation_2,
        **{
            (kind, n): _entity(kind)
            for kind in ("stateid", "cityid", "riverid", "placeid", "countryid")
            for n in (1, 2)
        },
    }
)

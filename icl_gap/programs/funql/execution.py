"""Interpreter of FunQL over geobase.

Operators mean what their names say. The results equal 815 of the 880 answers that come with the
corpus; `tests/programs/funql/test_execution.py` lists why the others differ. Among equals, a
superlative takes the one that the database names first, as those answers do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from icl_gap.programs.funql.funql_parser import fold, parse_funql
from icl_gap.programs.funql.geobase import Entity, Geobase, Pairs, Values
from icl_gap.programs.language import NoResultError

QueryResult = frozenset[Entity] | tuple[float, ...]
"""Entities; or numbers in order, one for each entity that has one."""


def run_funql(program: str, database: Geobase, bindings: Mapping[str, Entity]) -> QueryResult:
    """Run a program in the normal form of the corpus.

    Args:
        program: The program.
        database: The database.
        bindings: The entity behind each placeholder.

    Raises:
        MalformedError: The text is not a program.
        NoResultError: The program has no result.
    """

    def evaluate(name: str, arguments: list[Any]) -> Any:
        if not arguments:
            return _Leaf(name, database, bindings)
        operator = _OPERATORS.get((name, len(arguments)))
        if operator is None:
            raise NoResultError(f"`{name}` does not take {len(arguments)} arguments")
        return operator(database, *arguments)

    result: Any = fold(parse_funql(program.strip()).steps, evaluate)
    return _set(result) if isinstance(result, _Leaf) else result


@dataclass(frozen=True, slots=True)
class _Leaf:
    """Name without arguments: that of a set, or of an operator that another takes."""

    name: str
    database: Geobase
    bindings: Mapping[str, Entity]

    @property
    def entities(self) -> frozenset[Entity]:
        """Set of the name.

        Raises:
            NoResultError: Nothing has this name.
        """
        if self.name in self.bindings:
            return _named(self.database, self.bindings[self.name])
        if self.name in self.database.types:
            return self.database.types[self.name]
        raise NoResultError(f"nothing is called {self.name}")


def _named(database: Geobase, entity: Entity) -> frozenset[Entity]:
    """Return the set of an entity; a city without its state is any city of that name."""
    if entity[0] != "cityid" or entity[2:] not in {(), ("_",)}:
        return frozenset([entity])
    return frozenset(each for each in database.order if each[:2] == entity[:2])


def _name(value: Any) -> str:
    if isinstance(value, _Leaf):
        return value.name
    raise NoResultError("a set in the place of a name")


def _set(value: Any) -> frozenset[Entity]:
    if isinstance(value, _Leaf):
        return value.entities
    if isinstance(value, frozenset):
        return value
    raise NoResultError("numbers in the place of entities")


def _image(pairs: Callable[[Geobase], Pairs], *, back: bool) -> Callable[..., frozenset[Entity]]:
    """Return a relation as a function from a set to its image, or back to its preimage."""

    def image(database: Geobase, value: Any) -> frozenset[Entity]:
        wanted = _set(value)
        if back:
            return frozenset(a for a, b in pairs(database) if b in wanted)
        return frozenset(b for a, b in pairs(database) if a in wanted)

    return image


def _traversed(database: Geobase) -> Pairs:
    rivers, states = database.types["river"], database.types["state"]
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
    """Sizes: people of a city, area of a state or a lake, length of a river."""
    cities = {city: database.population[city] for city in database.types["city"]}
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
) -> Callable[..., QueryResult]:
    """Return the function from a set to its best entity, or from numbers to the best of them."""

    def extreme(database: Geobase, value: Any) -> QueryResult:
        if isinstance(value, tuple) and value:
            return (best(value),)
        known = measure(database)
        return _first(database, {each: known[each] for each in _set(value) if each in known}, best)

    return extreme


def _first(
    database: Geobase, numbers: Mapping[Entity, float], best: Callable[..., float]
) -> frozenset[Entity]:
    """Return the entity with the best number, the first of equals; none if there is none."""
    if not numbers:
        return frozenset()
    most = best(numbers.values())
    equals = [each for each, number in numbers.items() if number == most]
    return frozenset([min(equals, key=lambda each: database.order[each])])


def _extreme_one(best: Callable[..., float]) -> Callable[..., QueryResult]:
    """Return the function from a named measure and a set to the set's best entity."""

    def extreme(database: Geobase, measure: Any, value: Any) -> QueryResult:
        name = _name(measure)
        if name not in _MEASURES:
            raise NoResultError(f"`{name}` is not a measure")
        return _extreme(_MEASURES[name], best)(database, value)

    return extreme


def _extreme_count(best: Callable[..., int]) -> Callable[..., frozenset[Entity]]:
    """Return the function to the entity related to the most, or fewest but some, of a set."""

    def extreme(database: Geobase, kind: Any, relation: Any, value: Any) -> frozenset[Entity]:
        name = _name(relation)
        if name not in _RELATIONS:
            raise NoResultError(f"`{name}` is not a relation")
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
        raise NoResultError("not a number") from None
    return frozenset(place for place, height in database.elevation.items() if height == wanted)


def _sum(_: Geobase, value: Any) -> tuple[float, ...]:
    if not isinstance(value, tuple):
        raise NoResultError("no numbers to add")
    return (sum(value),)


def _entity(entity_type: str) -> Callable[..., frozenset[Entity]]:
    def entity(database: Geobase, *names: Any) -> frozenset[Entity]:
        return _named(database, (entity_type, *(_name(each).strip("'") for each in names)))

    return entity


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
            (entity_type, n): _entity(entity_type)
            for entity_type in ("stateid", "cityid", "riverid", "placeid", "countryid")
            for n in (1, 2)
        },
    }
)

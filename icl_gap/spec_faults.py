"""Errors for users from the reports of pydantic: the key, its line and the allowed values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from icl_gap.documents import Location, key_path
from icl_gap.errors import InputError, Place, did_you_mean, together


def faults_of(
    error: ValidationError,
    spec: type[BaseModel],
    value: object,
    place: Place,
    lines: Mapping[Location, int],
) -> InputError:
    """Return an `InputError` for all faults of a validation.

    A fault that follows from another is left out: a list with a bad entry that is too short, a key
    that is missing because its name is misspelt.

    Args:
        error: The error of pydantic.
        spec: The class that was validated. The JSON schemas of its models may have a table
            `renamed` (see `Spec.renamed`).
        value: The plain value that was validated.
        place: The place of the value.
        lines: The line number of each location in it.
    """
    reported = error.errors(include_url=False)
    causes = [f for f in reported if not any(_follows(f, g, spec) for g in reported)]
    found: dict[tuple[str, str], tuple[bool, float, InputError]] = {}
    for fault in causes:
        each = _input_error(fault, spec, value, place, lines)
        is_new = _renamed(fault, spec) is None  # an old name goes first, as it may explain others
        order = (is_new, each.place.line or math.inf, each)
        found.setdefault((str(each.place), each.problem), order)
    return together([each for *_, each in sorted(found.values(), key=lambda order: order[:2])])


def _input_error(
    fault: Any,
    spec: type[BaseModel],
    value: object,
    place: Place,
    lines: Mapping[Location, int],
) -> InputError:
    location = _location_in(value, fault["loc"], missing=fault["type"] == "missing")
    if (renamed := _renamed(fault, spec)) is not None:
        location += ("kind",) if fault["type"] == "union_tag_invalid" else ()
        line = nearest_line(location, lines)
        return InputError(renamed, place=Place(place.file, line, key_path(location)))
    problem, allowed = _explain(fault, spec)
    # For a missing key, pydantic reports the whole object around it; for the whole file, the value
    # would repeat the file.
    found = None if fault["type"] == "missing" or not location else fault["input"]
    line = nearest_line(location, lines)
    place = Place(place.file, line, key_path(location) or place.key)
    return InputError(problem, value=found, allowed=allowed, place=place)


def _follows(fault: Any, other: Any, spec: type[BaseModel]) -> bool:
    """Return whether a fault is a consequence of another."""
    if len(other["loc"]) > len(fault["loc"]) and _is_inside(other["loc"], fault["loc"]):
        return True
    if fault["type"] != "missing" or other["type"] != "extra_forbidden":
        return False
    if fault["loc"][:-1] != other["loc"][:-1]:
        return False
    name = str(fault["loc"][-1])
    renamed = _renamed(other, spec) or ""
    return f"`{name}`" in renamed or bool(did_you_mean(str(other["loc"][-1]), [name]))


def _is_inside(inner: Sequence[int | str], outer: Sequence[int | str]) -> bool:
    return tuple(inner[: len(outer)]) == tuple(outer)


def _location_in(value: Any, loc: Sequence[int | str], *, missing: bool) -> Location:
    """Return a location of pydantic without the tags of unions, which are not in the file."""
    location: list[int | str] = []
    for part in loc:
        inside_dict = isinstance(value, dict) and part in value
        inside_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if inside_dict or inside_list:
            location.append(part)
            value = value[part]
    return (*location, loc[-1]) if missing else tuple(location)


_ALLOWED = {
    "tuple_type": "a list, as [1, 5, 10]",
    "list_type": "a list, as [1, 5, 10]",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "byte_size": "a size, as 20GiB",
    "byte_size_unit": "a size, as 20GiB",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "too_short": "a list of at least {min_length}",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "string_pattern_mismatch": "text that matches {pattern}",
}
"""The allowed values by pydantic's type of a fault, with fields from its context."""


def _explain(fault: Any, spec: type[BaseModel]) -> tuple[str, str | None]:
    """Return the problem and the allowed values."""
    context = fault.get("ctx", {})
    match fault["type"]:
        case "extra_forbidden":
            known = _known_keys(spec, fault["loc"])
            hint = did_you_mean(str(fault["loc"][-1]), known)
            return f"unknown key{hint}", ", ".join(known) or None
        case "missing":
            return "this key is missing", None
        case "literal_error" | "enum":
            expected = str(context["expected"])
            hint = did_you_mean(str(fault["input"]), re.findall(r"'([^']*)'", expected))
            return f"not one of the possible values{hint}", expected
        case "union_tag_invalid":
            expected = str(context["expected_tags"])
            hint = did_you_mean(str(context["tag"]), re.findall(r"'([^']*)'", expected))
            return f"not one of the possible kinds{hint}", expected
        case "value_error":
            return str(context["error"]), None
        case kind:
            wanted = _ALLOWED.get(kind, str(fault["msg"]))
            return "wrong type or value", wanted.format(**context)


def _renamed(fault: Any, spec: type[BaseModel]) -> str | None:
    """Return the sentence that gives the new name of an old key or value, if it is one."""
    *around, last = fault["loc"] or ("",)
    match fault["type"]:
        case "extra_forbidden":
            old = str(last)
        case "literal_error" | "enum":
            while isinstance(last, int) and around:  # an entry of a list
                *around, last = around
            old = f"{last}: {fault['input']}"
        case "union_tag_invalid":
            around, old = list(fault["loc"]), f"kind: {fault['ctx']['tag']}"
        case _:
            return None
    for branch in _schemas_at(spec, around):
        if (new := branch.get("renamed", {}).get(old)) is not None:
            return f"`{old}` is now `{new}`"
    return None


def _known_keys(spec: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the keys that are possible in place of an unknown one."""
    keys: dict[str, None] = {}
    for branch in _schemas_at(spec, loc[:-1]):
        keys |= dict.fromkeys(branch.get("properties", {}))
    return list(keys)


@cache
def _json_schema(spec: type[BaseModel]) -> Any:
    return spec.model_json_schema()


def _schemas_at(spec: type[BaseModel], loc: Sequence[int | str]) -> list[dict[str, Any]]:
    """Return the JSON schemas of the variants that are possible at a location."""
    current = _json_schema(spec)
    definitions = current.get("$defs", {})
    for part in loc:
        current = _branch(_resolve(current, definitions), part, definitions)
    return _branches(_resolve(current, definitions), definitions)


def _branch(schema: dict[str, Any], part: int | str, definitions: dict[str, Any]) -> Any:
    """Return the schema one step below: of an item, of a key, or of a kind of a union."""
    if isinstance(part, int):
        return schema.get("items", {})
    for branch in _branches(schema, definitions):
        if _property(branch, "kind").get("const") == part:
            return branch
    return _property(schema, part)


def _branches(schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    options = schema.get("oneOf", schema.get("anyOf", [schema]))
    return [_resolve(option, definitions) for option in options]


def _property(schema: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema.get("properties", {}).get(name, {})
    return found


def _resolve(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = definitions[str(schema["$ref"]).rsplit("/", 1)[-1]]
    return schema


def nearest_line(location: Location, lines: Mapping[Location, int]) -> int | None:
    """Return the line of a location, or of the nearest location around it."""
    outer = (location[:length] for length in range(len(location), 0, -1))
    return next((lines[place] for place in outer if place in lines), None)

"""Errors for users from the reports of pydantic: the key, its line and the allowed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from icl_gap.documents import Location, key_path
from icl_gap.errors import InputError, Place


def first_fault(
    error: ValidationError,
    spec: type[BaseModel],
    value: object,
    place: Place,
    lines: Mapping[Location, int],
) -> InputError:
    """Return an `InputError` for the first fault of a validation.

    Args:
        error: The error of pydantic.
        spec: The class that was validated. The JSON schemas of its models may have a table
            `renamed` (see `Spec.renamed`).
        value: The plain value that was validated.
        place: The place of the value.
        lines: The line number of each location in it.
    """
    faults = error.errors(include_url=False)
    # A list with a bad entry is also reported as too short; the entry alone matters.
    faults = [f for f in faults if not any(_is_inside(g["loc"], f["loc"]) for g in faults)]
    # An old name also explains why the new one is missing.
    fault = next((f for f in faults if _renamed(f, spec) is not None), faults[0])
    location = _location_in(value, fault["loc"], missing=fault["type"] == "missing")
    if (renamed := _renamed(fault, spec)) is not None:
        location += ("kind",) if fault["type"] == "union_tag_invalid" else ()
        line = nearest_line(location, lines)
        return InputError(renamed, place=Place(place.file, line, key_path(location)))
    problem, allowed = _explain(fault, spec)
    if len(faults) > 1:
        problem += f" (and {len(faults) - 1} more)"
    # For a missing key, pydantic reports the whole object around it; for the whole file, the value
    # would repeat the file.
    found = None if fault["type"] == "missing" or not location else fault["input"]
    line = nearest_line(location, lines)
    place = Place(place.file, line, key_path(location) or place.key)
    return InputError(problem, value=found, allowed=allowed, place=place)


def _is_inside(inner: Sequence[int | str], outer: Sequence[int | str]) -> bool:
    return len(inner) > len(outer) and tuple(inner[: len(outer)]) == tuple(outer)


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
            return "unknown key", _known_keys(spec, fault["loc"])
        case "missing":
            return "this key is missing", None
        case "literal_error" | "enum":
            return "not one of the possible values", str(context["expected"])
        case "union_tag_invalid":
            return "not one of the possible kinds", str(context["expected_tags"])
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


def _known_keys(spec: type[BaseModel], loc: Sequence[int | str]) -> str | None:
    """Return the keys that are possible in place of an unknown one."""
    keys: dict[str, None] = {}
    for branch in _schemas_at(spec, loc[:-1]):
        keys |= dict.fromkeys(branch.get("properties", {}))
    return ", ".join(keys) or None


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

"""Specs: what a user writes, read from YAML and checked where it enters.

A `Spec` is frozen and refuses unknown keys. `read_spec` turns a YAML file into one, and turns every
fault in it into an `InputError` that names the file, the line, the place, the value and what is
allowed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from icl_gap.documents import Location, key_of, read_lines, read_yaml
from icl_gap.errors import InputError, Place


class Spec(BaseModel):
    """A frozen piece of configuration that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    renamed: ClassVar[Mapping[str, str]] = {}
    """Old keys and values with their new names, as a user writes them: `{"tries": "max_attempts",
    "kind: api": "kind: openai"}`. A file with an old name gets an error that gives the new one. An
    old `kind` of a union is looked up in all of its variants."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return pydantic's schema with `renamed` added, so that faults can look it up."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        handler.resolve_ref_schema(schema)["renamed"] = dict(cls.renamed)
        return schema


SpecT = TypeVar("SpecT", bound=Spec)


def read_spec(path: Path, spec: type[SpecT]) -> SpecT:
    """Read one spec from a YAML file.

    Args:
        path: The file.
        spec: The class to read.

    Returns:
        The checked spec.

    Raises:
        InputError: The file cannot be read, is larger than 1 MiB, is not YAML (tags are refused),
            repeats a key, or does not fit `spec`.
    """
    value, lines = read_yaml(path)
    if not isinstance(value, dict):
        raise InputError("expected keys and values", value=value, place=Place(path, 1))
    return check_spec(value, spec, place=Place(path), lines=lines)


def check_spec(
    value: object,
    spec: type[SpecT],
    *,
    place: Place | None = None,
    lines: dict[Location, int] | None = None,
) -> SpecT:
    """Check a plain value against a spec.

    Args:
        value: What YAML or a caller gave.
        spec: The class to make.
        place: Where the value comes from.
        lines: The line of each location in it.

    Raises:
        InputError: The value does not fit; the first fault is told in full, the others are counted.
    """
    try:
        return spec.model_validate(value)
    except ValidationError as error:
        raise _first_fault(error, spec, value, place or Place(), lines or {}) from None


def line_of(path: Path, key: str | None) -> int | None:
    """The line of a YAML file on which a place such as `models[2].dtype` stands.

    Args:
        path: A file that `read_spec` could read.
        key: The place; where it is not in the file, the nearest place around it counts.
    """
    if key is None:
        return None
    parts = re.findall(r"[^.\[\]]+", key)
    location = tuple(int(part) if part.isdecimal() else part for part in parts)
    return _nearest_line(location, read_lines(path))


@cache
def shipped(folder: str) -> Path:
    """The folder of files that ship with the package: `datasets`, `sweeps` or `plots`.

    In a checkout these lie at the top level; in an installed wheel, inside the package.
    """
    package = Path(__file__).parent
    installed = package / "_shipped" / folder
    return installed if installed.is_dir() else package.parent / folder


def user_path(text: str | Path) -> Path:
    """A path as a user writes it, `~` standing for a home folder.

    Raises:
        InputError: There is no such home folder, or no system has such a path.
    """
    check_path(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = str(text).partition("/")[0].removeprefix("~")
        problem = f"there is no user `{user}`" if user else "the home folder is not known"
        allowed = "a path without `~`" if user else "HOME set, or a path without `~`"
        raise InputError(problem, value=str(text), allowed=allowed) from None


def check_path(text: str | Path) -> None:
    """Check that a file system can have a path at all.

    Raises:
        InputError: It holds NUL, or a surrogate that stands for no byte.
    """
    try:
        impossible = b"\0" in os.fsencode(text)
    except UnicodeEncodeError:
        impossible = True
    if impossible:
        raise InputError("no file can have this name", value=str(text), allowed="a path")


def _first_fault(
    error: ValidationError,
    spec: type[Spec],
    value: object,
    place: Place,
    lines: dict[Location, int],
) -> InputError:
    """Pydantic's report, told as an `InputError`."""
    faults = error.errors(include_url=False)
    # A list with a bad entry is also reported as too short: the entry says it all.
    faults = [f for f in faults if not any(_is_inside(g["loc"], f["loc"]) for g in faults)]
    # An old name explains a missing new one.
    fault = next((f for f in faults if _renamed(f, spec) is not None), faults[0])
    location = _location_in(value, fault["loc"], missing=fault["type"] == "missing")
    if (renamed := _renamed(fault, spec)) is not None:
        location += ("kind",) if fault["type"] == "union_tag_invalid" else ()
        line = _nearest_line(location, lines)
        return InputError(renamed, place=Place(place.file, line, key_of(location)))
    problem, allowed = _explain(fault, spec)
    if len(faults) > 1:
        problem += f" (and {len(faults) - 1} more)"
    # A missing key has no value; pydantic reports the whole object around it. And a fault of the
    # whole file needs no repetition of it.
    found = None if fault["type"] == "missing" or not location else fault["input"]
    line = _nearest_line(location, lines)
    place = Place(place.file, line, key_of(location) or place.key)
    return InputError(problem, value=found, allowed=allowed, place=place)


def _is_inside(inner: Sequence[int | str], outer: Sequence[int | str]) -> bool:
    return len(inner) > len(outer) and tuple(inner[: len(outer)]) == tuple(outer)


def _location_in(value: Any, loc: Sequence[int | str], *, missing: bool) -> Location:
    """Pydantic's location without the tags of unions, which the user never wrote."""
    location: list[int | str] = []
    for part in loc:
        inside_dict = isinstance(value, dict) and part in value
        inside_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if inside_dict or inside_list:
            location.append(part)
            value = value[part]
    return (*location, loc[-1]) if missing else tuple(location)


_WANTED = {
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
"""What is allowed, by pydantic's name of a fault; the fields come from its context."""


def _explain(fault: Any, spec: type[Spec]) -> tuple[str, str | None]:
    """What is wrong, and what is allowed."""
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
            wanted = _WANTED.get(kind, str(fault["msg"]))
            return "wrong type or value", wanted.format(**context)


def _renamed(fault: Any, spec: type[Spec]) -> str | None:
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


def _known_keys(spec: type[Spec], loc: Sequence[int | str]) -> str | None:
    """The keys that stand beside an unknown one."""
    keys: dict[str, None] = {}
    for branch in _schemas_at(spec, loc[:-1]):
        keys |= dict.fromkeys(branch.get("properties", {}))
    return ", ".join(keys) or None


@cache
def _json_schema(spec: type[Spec]) -> Any:
    return spec.model_json_schema()


def _schemas_at(spec: type[Spec], loc: Sequence[int | str]) -> list[dict[str, Any]]:
    """The JSON schemas of the variants that may stand at a location."""
    current = _json_schema(spec)
    definitions = current.get("$defs", {})
    for part in loc:
        current = _branch(_resolve(current, definitions), part, definitions)
    return _branches(_resolve(current, definitions), definitions)


def _branch(schema: dict[str, Any], part: int | str, definitions: dict[str, Any]) -> Any:
    """One step down a schema: an item, a key's value, or a kind of a union."""
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


def _nearest_line(location: Location, lines: dict[Location, int]) -> int | None:
    around = (location[:length] for length in range(len(location), 0, -1))
    return next((lines[place] for place in around if place in lines), None)

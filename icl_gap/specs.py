"""Specs: the sweeps, cards and recipes that users write, read from YAML and checked.

A `Spec` is frozen and refuses unknown keys. `read_spec` reads one from a YAML file and raises an
`InputError` for a fault, with the file, the line, the key, the value and the allowed values.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from icl_gap.documents import Location, read_line_numbers, read_yaml
from icl_gap.errors import InputError, Place
from icl_gap.spec_faults import faults_of, nearest_line


class Spec(BaseModel):
    """A frozen model of a user's input that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    renamed: ClassVar[Mapping[str, str]] = {}
    """Old keys and values with their new names, as a user writes them: `{"tries": "max_attempts",
    "kind: api": "kind: openai"}`. A file with an old name gets an error that gives the new one. An
    old `kind` of a union is looked up in all of its variants."""
    path_fields: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that may hold paths; see `anchored`."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return pydantic's schema with `renamed` added, so that faults can look it up."""
        schema = super().__get_pydantic_json_schema__(core_schema, handler)
        handler.resolve_ref_schema(schema)["renamed"] = dict(cls.renamed)
        return schema


SpecT = TypeVar("SpecT", bound=Spec)
_ENDINGS = (".yaml", ".yml", ".jinja")


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
        value: A plain value, as from YAML.
        spec: The class to make.
        place: The place of the value.
        lines: The line number of each location in it.

    Raises:
        InputError: The value does not fit. It describes all faults.
    """
    try:
        return spec.model_validate(value)
    except ValidationError as error:
        raise faults_of(error, spec, value, place or Place(), lines or {}) from None


def anchored(spec: SpecT, folder: Path) -> SpecT:
    """Return a spec in which relative paths are those of a folder, as the one of its file.

    A text is a relative path if it begins with `./` or `../`, ends as a file of ours does, or has a
    slash and exists in the folder; any other may be a name on the hub or of something that ships.
    A `Path` is always one.

    Args:
        spec: The spec. Its `path_fields`, and those of specs within it, may hold paths.
        folder: The folder.
    """
    fields = {name: getattr(spec, name) for name in type(spec).model_fields}
    found = {
        name: _anchored(value, folder, is_path=name in spec.path_fields)
        for name, value in fields.items()
    }
    changed = {name: value for name, value in found.items() if value != fields[name]}
    return spec.model_copy(update=changed) if changed else spec


def _anchored(value: Any, folder: Path, *, is_path: bool) -> Any:
    match value:
        case Spec():
            return anchored(value, folder)
        case tuple():
            return tuple(_anchored(each, folder, is_path=is_path) for each in value)
        case Path() if is_path and not str(value).startswith(("~", "$")):
            return folder / value
        case str() if is_path and _is_relative_path(value, folder):
            return str(folder / value)
        case _:
            return value


def _is_relative_path(text: str, folder: Path) -> bool:
    if text.startswith(("/", "~", "$")):
        return False
    if text.startswith(("./", "../")) or text.endswith(_ENDINGS):
        return True
    try:
        return "/" in text and (folder / text).exists()
    except (OSError, ValueError):  # no file system can have such a path
        return False


def line_of(path: Path, key: str | None) -> int | None:
    """Return the line number of a key such as `models[2].dtype` in a YAML file.

    Args:
        path: A file that `read_spec` could read.
        key: The key; if it is not in the file, the nearest one around it counts.
    """
    if key is None:
        return None
    parts = re.findall(r"[^.\[\]]+", key)
    location = tuple(int(part) if part.isdecimal() else part for part in parts)
    return nearest_line(location, read_line_numbers(path))


@cache
def shipped(folder: str) -> Path:
    """Return the folder of files that ship with the package: `datasets`, `sweeps` or `plots`.

    In a checkout these are at the top level, in an installed wheel inside the package.
    """
    package = Path(__file__).parent
    installed = package / "_shipped" / folder
    return installed if installed.is_dir() else package.parent / folder


def user_path(text: str | Path) -> Path:
    """Return a path that a user wrote, with `~` and a variable at its start (`$NAME`) expanded.

    Raises:
        InputError: There is no such home folder, the variable is not set, or the path is
            impossible.
    """
    check_path(text)
    try:
        return Path(_with_variable(str(text))).expanduser()
    except RuntimeError:
        user = str(text).partition("/")[0].removeprefix("~")
        problem = f"there is no user `{user}`" if user else "the home folder is not known"
        allowed = "a path without `~`" if user else "HOME set, or a path without `~`"
        raise InputError(problem, value=str(text), allowed=allowed) from None


def _with_variable(text: str) -> str:
    """Return a path with the environment variable at its start replaced by its value."""
    first, slash, rest = text.partition("/")
    if not first.startswith("$"):
        return text
    name = first[1:].removeprefix("{").removesuffix("}")
    if not (value := os.environ.get(name)):
        raise InputError(
            f"the environment variable {name} is not set",
            value=text,
            allowed=f"{name} set to a folder, or a path without it",
        )
    return value + slash + rest


def check_path(text: str | Path) -> None:
    """Check that a path is possible.

    Raises:
        InputError: It holds NUL, or a surrogate that stands for no byte.
    """
    try:
        impossible = b"\0" in os.fsencode(text)
    except UnicodeEncodeError:
        impossible = True
    if impossible:
        raise InputError("no file can have this name", value=str(text), allowed="a path")

"""Files that users write: text of bounded size, and YAML with the line of each value.

Sweeps, cards, recipes and styles are small. A large or irregular file is refused before it is read,
and so is YAML that expands far beyond its size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from icl_gap.errors import InputError, Place
from icl_gap.files import IrregularError, open_regular

MOST_BYTES = 2**20
MOST_VALUES = 20_000
DEEPEST = 30
LONGEST_NUMBER = 100
"""The most characters of a number; Python reads thousands of digits and cannot print them."""
LARGEST = 2**63 - 1
"""The largest whole number that results can hold: 64 bits."""
_HALVES = re.compile("[\ud800-\udfff]")
_NUMBERS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}

Location = tuple[int | str, ...]


def read_document(path: Path) -> str:
    """Return the text of a file that a user wrote.

    Raises:
        InputError: It cannot be read, is not a regular file, is larger than `MOST_BYTES` or not
            UTF-8.
    """
    try:
        with open_regular(path, follow=True) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) <= MOST_BYTES:
            return content.decode()
    except IrregularError as error:
        raise InputError(
            f"cannot read the file: {error.strerror}",
            allowed="a regular file; save what a pipe or another process gives to one first",
            place=Place(path),
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or _reason(error)
        raise InputError(f"cannot read the file: {reason}", place=Place(path)) from error
    raise InputError(
        "the file is too large", allowed=f"at most {MOST_BYTES:,} bytes", place=Place(path)
    )


def read_yaml(path: Path) -> tuple[Any, dict[Location, int]]:
    """Read a YAML file.

    Returns:
        Its value, and the line number of each location in it.

    Raises:
        InputError: As for `read_document`; or it is not YAML, has tags, repeats a key, is too deep,
            or holds a number or a character that cannot be used.
    """
    text = read_document(path)
    try:
        _check_events(text, path)
        lines = _lines(text, path)
        return yaml.safe_load(text), lines
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # dates, depth
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error) or "not readable as text"
        raise _invalid(problem, path, None if mark is None else mark.line) from error


def read_line_numbers(path: Path) -> dict[Location, int]:
    """Return the line number of each location in a file that `read_yaml` could read."""
    return _lines(read_document(path), path)


def key_path(location: Sequence[int | str]) -> str:
    """Return a location as users write it: `models[2].dtype`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def _reason(error: Exception) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _invalid(problem: str, path: Path, line: int | None) -> InputError:
    return InputError(
        f"not valid YAML: {problem}",
        allowed="spaces; YAML takes no tabs before a key" if "'\\t'" in problem else None,
        place=Place(path, None if line is None else line + 1),
    )


def _check_events(text: str, path: Path) -> None:
    """Refuse tags, and documents that would take long to compose.

    The time to compose grows with the square of the depth.
    """
    depth = count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = None if event.start_mark is None else event.start_mark.line
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        count += isinstance(event, yaml.NodeEvent)
        if depth > DEEPEST or count > 2 * MOST_VALUES:  # a value and its key
            raise _too_large(path, line)
        if (tag := getattr(event, "tag", None)) is not None:
            raise _invalid(f"tags such as {tag} are not read", path, line)


def _too_large(path: Path, line: int | None) -> InputError:
    return InputError(
        "the file is too large or too deep, or its aliases repeat without end",
        allowed=f"at most {MOST_VALUES} values, {DEEPEST} deep",
        place=Place(path, None if line is None else line + 1),
    )


def _lines(text: str, path: Path) -> dict[Location, int]:
    lines: dict[Location, int] = {}
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None:
        _index_lines(node, (), lines, path)
    return lines


def _index_lines(
    node: yaml.Node, location: Location, lines: dict[Location, int], path: Path
) -> None:
    """Record the line on which every value starts, and refuse a repeated key."""
    if len(lines) > MOST_VALUES or len(location) > DEEPEST:
        raise _too_large(path, node.start_mark.line)
    if location in lines:  # an alias may visit a node again, never a location
        raise InputError(
            f"this key stands twice, first on line {lines[location]}",
            place=Place(path, _line(node), key_path(location)),
        )
    _check_scalar(node, location, path)
    lines[location] = _line(node)
    if isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            inner = (*location, str(key.value))
            _check_scalar(key, location, path)
            _index_lines(child, inner, lines, path)
            lines[inner] = _line(key)
    elif isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _index_lines(child, (*location, index), lines, path)


def _check_scalar(node: yaml.Node, location: Location, path: Path) -> None:
    place = Place(path, _line(node), key_path(location) or None)
    if isinstance(node, yaml.ScalarNode) and _HALVES.search(node.value):
        problem = "the text holds half of a surrogate pair, which is no character"
        raise InputError(problem, value=node.value, place=place)
    if node.tag not in _NUMBERS:
        return
    if len(node.value) > LONGEST_NUMBER:
        allowed = f"at most {LONGEST_NUMBER} characters, or text in quotes"
        raise InputError("the number is too long", value=node.value, allowed=allowed, place=place)
    number = yaml.safe_load(node.value)
    if isinstance(number, float) and not math.isfinite(number):
        allowed = "a finite number, or text in quotes"
        raise InputError("not a number", value=node.value, allowed=allowed, place=place)
    if isinstance(number, int) and not -LARGEST - 1 <= number <= LARGEST:
        allowed = f"from {-LARGEST - 1} to {LARGEST}, or text in quotes"
        raise InputError("the number is out of range", value=number, allowed=allowed, place=place)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1

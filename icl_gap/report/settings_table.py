"""Settings that differ between the sweeps, the software and the machines of two results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from icl_gap.results import Results

_INCIDENTAL = frozenset({"started"})
"""Provenance that differs in every run."""
_LONGEST = 400
"""Characters of a value that are shown."""


def setting_table(first: Results, second: Results) -> list[dict[str, str]]:
    """Return a row for each key of the sweeps and of the cells' provenance that differs."""
    sides = [_settings(results) for results in (first, second)]
    keys = dict.fromkeys([*sides[0], *sides[1]])
    return [
        {"setting": key, "A": _shown(sides[0].get(key)), "B": _shown(sides[1].get(key))}
        for key in keys
        if sides[0].get(key) != sides[1].get(key)
    ]


def _settings(results: Results) -> dict[str, str]:
    found = {f"sweep: {key}": value for key, value in _flat(results.sweep)}
    made: dict[str, dict[str, None]] = {}
    for info in results.infos:
        for key, value in _flat(info.provenance):
            if key not in _INCIDENTAL:
                made.setdefault(f"made with: {key}", {})[value] = None
    return found | {key: "; ".join(values) for key, values in made.items()}


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the entries of nested mappings and lists as texts, with their paths, but no nulls."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _flat(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str) and _is_nested(value):
        for number, each in enumerate(value, start=1):
            yield from _flat(each, f"{path} {number}")
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value, default=str)


def _is_nested(values: Sequence[Any]) -> bool:
    return any(isinstance(each, Mapping) for each in values)


def _shown(value: str | None) -> str:
    if value is None:
        return "not set"
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"

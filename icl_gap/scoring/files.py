"""Anyone's predictions, read from a file; and what their scores come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonlines

from icl_gap.errors import InputError, Place
from icl_gap.records import Score

_FORM = 'one JSON object a line, as {"prediction": "…", "target": "…"}, with an "id" if you like'


@dataclass(frozen=True, slots=True)
class Prediction:
    """One line of a file of predictions."""

    id: str
    """As the line gives it, or else the line's number, from 1."""
    prediction: str
    target: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a number of scores come to."""

    n: int
    raw: float
    """Share of equal strings, in [0, 1]."""
    canonical: float
    """Share of equal normal forms, in [0, 1]."""
    execution: float | None
    """Share of programs that do the same, in [0, 1], of those of which it is known; None where it
    is known of none."""
    n_executed: int
    """Of how many it is known."""
    reasons: dict[str, int]
    """How often each reason was given, the most frequent first, then by name."""


def read_predictions(path: Path) -> Iterator[Prediction]:
    """Read a JSONL file of predictions, line by line; empty lines are passed over.

    Other keys than `prediction`, `target` and `id` are left alone.

    Args:
        path: The file, UTF-8.

    Yields:
        One prediction a line, in order.

    Raises:
        InputError: The file cannot be read, or a line is no JSON object, lacks a key, or holds
            something else than text there. It names the file, the line and the key.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _read_line(line, Place(path, number))
    except OSError as error:
        problem = f"cannot read the predictions: {error.strerror or error}"
        raise InputError(problem, place=Place(path), allowed=_FORM) from error


def summarize(scores: Iterable[Score]) -> Summary:
    """Count scores.

    Args:
        scores: At least one.

    Raises:
        InputError: There is none.
    """
    scores = list(scores)
    if not scores:
        raise InputError("there is nothing to score", allowed="at least one prediction")
    counts = Counter(score.reason for score in scores if score.reason is not None)
    executed = [score.execution for score in scores if score.execution is not None]
    return Summary(
        n=len(scores),
        raw=sum(score.raw for score in scores) / len(scores),
        canonical=sum(score.canonical for score in scores) / len(scores),
        execution=sum(executed) / len(executed) if executed else None,
        n_executed=len(executed),
        reasons=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
    )


def _read_line(line: bytes, place: Place) -> Prediction:
    shown = line.decode("utf-8", "replace").strip()
    try:
        # A reader for each line, because a reader for the file would hide the lines' numbers.
        value = jsonlines.Reader([line]).read(type=dict)
    except (jsonlines.InvalidLineError, RecursionError) as error:
        raise InputError("not a JSON object", value=shown, allowed=_FORM, place=place) from error
    name = place.line if value.get("id") is None else value["id"]
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise InputError(
            "an id is text or a whole number", value=name, place=Place(place.file, place.line, "id")
        )
    return Prediction(
        str(name), _text_at("prediction", value, place), _text_at("target", value, place)
    )


def _text_at(key: str, value: dict[str, Any], place: Place) -> str:
    if key not in value:
        raise InputError(f"the key `{key}` is missing", value=value, allowed=_FORM, place=place)
    text = value[key]
    if not isinstance(text, str):
        here = Place(place.file, place.line, key)
        raise InputError(f"`{key}` is not text", value=text, allowed="a string", place=here)
    return text

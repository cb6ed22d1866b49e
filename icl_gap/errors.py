"""The exceptions of the package, in one tree.

Everything that the package raises on purpose is an `IclGapError`. An `InputError` is a fault in the
user's input: it names the file, the place in it, the value found and the allowed values, and the
command line ends with exit code 2. Every other `IclGapError` ends with exit code 1.

    IclGapError
    ├── InputError            a sweep, a card, a recipe, an argument
    │   ├── DataError         a benchmark that cannot be found, read or trusted
    │   ├── SamplingError     exemplars that cannot be drawn
    │   ├── PromptError       a prompt that does not fit the model's context
    │   └── ModelError        a model that cannot be loaded
    ├── InferenceError        a model that failed during inference
    ├── StoreError            a results folder that is damaged or inconsistent
    └── AnalysisError         results that cannot be compared
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a fault in the user's input; every field may be unknown."""

    file: Path | None = None
    line: int | None = None
    key: str | None = None
    """The path of keys, as `models[2].dtype`."""

    def __str__(self) -> str:
        file = "" if self.file is None else str(self.file)
        line = "" if self.line is None else f"line {self.line}"
        return ", ".join(part for part in (file, line, self.key) if part)


class IclGapError(Exception):
    """The base class of everything this package raises on purpose."""

    exit_code = 1


class InputError(IclGapError):
    """A fault in the user's input.

    Args:
        problem: The fault, in one sentence without a full stop.
        value: The value found, shown as `repr`.
        allowed: The allowed values: a sentence, or a list.
        place: The place of the value.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        value: object = None,
        allowed: str | Iterable[object] | None = None,
        place: Place | None = None,
    ) -> None:
        self.problem = problem
        self.value = value
        self.allowed = allowed if allowed is None or isinstance(allowed, str) else list(allowed)
        self.place = place or Place()
        super().__init__(problem)

    def at(self, **place: Any) -> Self:
        """Fill in the unknown fields of the place, and return the error itself.

        Args:
            **place: Fields of `Place`.
        """
        unknown = {k: v for k, v in place.items() if getattr(self.place, k) is None}
        self.place = replace(self.place, **unknown)
        return self

    def within(self, key: str) -> Self:
        """Prefix the key of the place with an entry of the input, and return the error itself.

        A fault in another file keeps the place in that file.

        Args:
            key: The entry, as `models[2]`.
        """
        if self.place.file is None:
            inner = "" if self.place.key is None else f".{self.place.key}"
            self.place = replace(self.place, key=f"{key}{inner}")
        return self

    def __str__(self) -> str:
        lines = [f"{self.place}: {self.problem}" if str(self.place) else self.problem]
        if self.value is not None:
            lines.append(f"  found:   {_clip(_shown(self.value))}")
        if self.allowed is not None:
            allowed = self.allowed if isinstance(self.allowed, str) else _enumerate(self.allowed)
            lines.append(f"  allowed: {allowed}")
        return "\n".join(lines)


class DataError(InputError):
    """A benchmark that cannot be found, read or trusted."""


class SamplingError(InputError):
    """Exemplars that cannot be drawn."""


class PromptError(InputError):
    """A prompt that does not fit the model's context."""


class ModelError(InputError):
    """A model that cannot be loaded."""


class InferenceError(IclGapError):
    """A model that failed during inference."""


class StoreError(IclGapError):
    """A results folder that is damaged or inconsistent."""


class AnalysisError(IclGapError):
    """Results that cannot be compared."""


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # Python prints no whole number of many thousands of digits
        return f"({type(value).__name__} that is too long to be shown)"


def _clip(text: str, width: int = 300) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _enumerate(values: list[object]) -> str:
    return _clip(", ".join(str(value) for value in values), 600)

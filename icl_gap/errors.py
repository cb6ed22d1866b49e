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

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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


_NUMBER = re.compile(r"\d+")
_MOST_FAULTS = 10
"""Number of faults that one error shows; the others are counted."""


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
        others: Further faults of the same input.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        value: object = None,
        allowed: str | Iterable[object] | None = None,
        place: Place | None = None,
        others: Iterable[InputError] = (),
    ) -> None:
        self.problem = problem
        self.value = value
        self.allowed = allowed if allowed is None or isinstance(allowed, str) else list(allowed)
        self.place = place or Place()
        self.others = tuple(others)
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
        for other in self.others:
            other.within(key)
        if self.place.file is None:
            inner = "" if self.place.key is None else f".{self.place.key}"
            self.place = replace(self.place, key=f"{key}{inner}")
        return self

    def __str__(self) -> str:
        shown = [self, *self.others][:_MOST_FAULTS]
        more = len(self.others) + 1 - len(shown)
        lines = [line for fault in shown for line in _lines_of(fault)]
        return "\n".join([*lines, f"and {more} more"] if more else lines)


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


def _lines_of(fault: InputError) -> list[str]:
    lines = [f"{fault.place}: {fault.problem}" if str(fault.place) else fault.problem]
    if fault.value is not None:
        lines.append(f"  found:   {_clip(_shown(fault.value))}")
    if isinstance(fault.allowed, str):
        lines.append(f"  allowed: {fault.allowed}")
    elif fault.allowed is not None:
        known = list(map(str, fault.allowed))
        hint = did_you_mean(fault.value, known) if isinstance(fault.value, str) else ""
        lines.append(f"  allowed: {_clip(', '.join(known), 600)}{hint}")
    return lines


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # Python prints no whole number of many thousands of digits
        return f"({type(value).__name__} that is too long to be shown)"


def _clip(text: str, width: int = 300) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


class Faults:
    """Errors of several steps that are raised together, so that a user sees all at once.

    Each step runs in a `with faults.caught():`; `raise_any` comes after all of them.
    """

    def __init__(self) -> None:
        self._found: list[InputError] = []

    @contextmanager
    def caught(self, key: str | None = None) -> Iterator[None]:
        """Keep an `InputError` for later, within an entry of the input where there is a key."""
        try:
            yield
        except InputError as error:
            self._found.append(error if key is None else error.within(key))

    def raise_any(self) -> None:
        """Raise the first error that was kept, with all others as its further faults.

        Raises:
            InputError: One was kept.
        """
        if self._found:
            raise together(self._found)


def together(errors: Sequence[InputError]) -> InputError:
    """Return the first of some errors, with all others as its further faults."""
    first, *others = (fault for error in errors for fault in (error, *error.others))
    first.others = tuple(others)
    return first


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return a question that offers the nearest of some known names; empty if none is near.

    A name that differs in its numbers alone, as another split or size does, is no misspelling.

    Args:
        found: The name that is not known.
        known: The known names.
    """
    possible = [name for name in known if not _differ_in_a_number(name, found)]
    near = difflib.get_close_matches(found, possible, n=1, cutoff=0.7)
    return f"; did you mean `{near[0]}`?" if near else ""


def _differ_in_a_number(known: str, found: str) -> bool:
    same = _NUMBER.sub("0", known) == _NUMBER.sub("0", found)
    return same and sorted(known) != sorted(found)  # `bm52` is `bm25` misspelt

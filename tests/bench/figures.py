"""What was measured, beside what it should be, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from textwrap import wrap
from typing import Any

ROW = "  {:<24}{:>6}{:>10}{:>10}{:>11}{:>9}"


@dataclass(frozen=True)
class Figure:
    """Something measured, and what it should be."""

    name: str
    value: float
    target: float | None = None
    most: bool = False
    """Whether the target is the most that it may be, not the least."""

    @property
    def missed(self) -> bool:
        if self.target is None:
            return False
        return self.value > self.target if self.most else self.value < self.target

    def __str__(self) -> str:
        if self.target is None:
            return f"         {self.value:8.2f}  {self.name}"
        mark = "MISSED" if self.missed else "ok    "
        bound = f"at {'most' if self.most else 'least'} {self.target:g}"
        return f"  {mark} {self.value:8.2f}  {self.name} (target: {bound})"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "missed": self.missed}


@dataclass(frozen=True)
class Timing:
    """How long one way took."""

    way: str
    seconds: float
    requests: int
    batch: int | None = None

    @property
    def each(self) -> float:
        """Seconds a request."""
        return self.seconds / self.requests


@dataclass(frozen=True)
class Report:
    """All ways on one model and one workload."""

    about: dict[str, str]
    queries: int
    facts: dict[str, Any]
    timings: Sequence[Timing]
    figures: Sequence[Figure]
    differences: Sequence[dict[str, Any]] = field(default_factory=tuple)

    def lines(self) -> Iterator[str]:
        facts = ", ".join(f"{name} {value:,}" for name, value in self.facts.items())
        yield from wrap(facts, 98, initial_indent="  ", subsequent_indent="  ")
        yield ROW.format("way", "batch", "requests", "seconds", "s/request", "s/query")
        per_query = max(timing.requests for timing in self.timings) / self.queries
        for timing in self.timings:
            each = timing.each
            numbers = (f"{timing.seconds:.1f}", f"{each:.3f}", f"{each * per_query:.3f}")
            yield ROW.format(timing.way, timing.batch or "", timing.requests, *numbers)
        yield from map(str, self.figures)
        for each in self.differences:
            yield f"         differs: {each}"

    def as_json(self) -> dict[str, Any]:
        return {
            **self.about,
            "queries": self.queries,
            **self.facts,
            "timings": [asdict(timing) for timing in self.timings],
            "figures": [figure.as_json() for figure in self.figures],
            "differences": list(self.differences),
        }

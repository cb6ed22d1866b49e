"""Rows of `make bench-peers`: what each measures, its goal, and how it is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RATE = 0.8
"""Of the rate of a matrix product, what per-query verdicts should reach."""
PLANNED_WITHIN = 2
"""The factor that the time of `icl-gap plan` should be within."""
TABLE = "{:<6} {:<17} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>6} {:>6} {:>6}  {}"
COLUMNS = (
    "model", "work", "requests", "plan", "ours", "vLLM", "generate", "harness", "ratio", "goal",
    "unlike", "flips", "",
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """A kind of sweep."""

    selection: str
    shots: tuple[int, ...]
    share: int
    """Queries, for each of a model's."""


WORKS = {
    "per-query": Work("oracle_coverage", (1, 5, 10), share=1),
    "shared": Work("shared", (10,), share=2),
}


@dataclass(frozen=True)
class Row:
    """A line of the table: how the engine is asked, and how many times as fast it should be."""

    name: str
    work: str
    goal: float
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the sweep or of its model. Those that this version does not have are left out."""
    dtype: str = "float32"
    """The peers' precision."""


ROWS = (
    Row("per-query", "per-query", 3.5),
    Row("shared", "shared", 12, {"likelihood": False}),
    Row("shared-likelihood", "shared", 5),
    Row(
        "adjudicated",
        "per-query",
        3,
        {"precision": "adjudicated", "dtype": "bfloat16"},
        "bfloat16",
    ),
    Row("full", "per-query", 1.5, {"predictions": "full"}),
)


@dataclass(frozen=True)
class Subject:
    """A model, and how many queries it is asked: as many as fit the time."""

    name: str
    queries: int
    folder: str | None = None
    """In `ICL_GAP_MODELS`; None for OPT's shape."""


MODELS = (
    Subject("opt", 32),
    Subject("gemma", 32, "gemma-3-270m"),
    Subject("qwen", 12, "qwen2.5-coder-0.5b"),
)


@dataclass(frozen=True)
class Outcome:
    """A row, measured."""

    model: str
    row: Row
    requests: int
    planned: float
    """Seconds that `icl-gap plan` states."""
    ours: float
    """Seconds."""
    peers: Mapping[str, float]
    """Seconds, by the name of the peer."""
    unlike: int
    """Verdicts unlike those of vLLM."""
    flips: int
    """Verdicts unlike ours in float32."""
    left_out: Sequence[str]
    rate: float | None = None
    """The share of the rate of a matrix product."""

    @property
    def ratio(self) -> float:
        return min(self.peers.values()) / self.ours

    @property
    def missed(self) -> list[str]:
        goals = {
            "the ratio": self.ratio < self.row.goal,
            "no flips": self.flips > 0,
            f"a plan within a factor {PLANNED_WITHIN}": not (
                1 / PLANNED_WITHIN <= self.planned / self.ours <= PLANNED_WITHIN
            ),
            f"{RATE:.0%} of the matrix rate": self.rate is not None and self.rate < RATE,
        }
        return [name for name, is_missed in goals.items() if is_missed]

    def line(self) -> str:
        rate = [] if self.rate is None else [f"{self.rate:.0%} of the matrix rate"]
        notes = [*rate, *(f"`{key}` left out" for key in self.left_out)]
        notes += [f"MISSED: {', '.join(self.missed)}"] if self.missed else []
        times = (self.peers.get(name) for name in ("vLLM", "generate", "harness"))
        return TABLE.format(
            self.model,
            self.row.name,
            self.requests,
            f"{self.planned:.1f}",
            f"{self.ours:.1f}",
            *("-" if each is None else f"{each:.1f}" for each in times),
            f"{self.ratio:.2f}",
            self.row.goal,
            self.unlike,
            self.flips,
            "; ".join(notes),
        )

    def fields(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            "model": self.model,
            "row": self.row.name,
            "requests": self.requests,
            "planned": self.planned,
            "ours": self.ours,
            "peers": dict(self.peers),
            "ratio": self.ratio,
            "goal": self.row.goal,
            "unlike": self.unlike,
            "flips": self.flips,
            "rate": self.rate,
            "missed": self.missed,
        }

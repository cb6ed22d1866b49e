"""Requests whose outcome differs between two results, and how many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from icl_gap.analysis import Analysis, GapPoint, Metric
from icl_gap.analysis.conclusion import with_interval
from icl_gap.report.request_data import outcome_of
from icl_gap.schema import CellInfo, CellResult, Condition, Record
from icl_gap.text import signed_number

Change = Literal["became right", "became wrong", "other"]
SHOWN: tuple[Change, ...] = ("became right", "became wrong")
"""Changes that tables count."""
Place = tuple[str, str, int, str]
"""Model, benchmark, shots and side, as the first results name them."""


@dataclass(slots=True)
class OutcomeChanges:
    """Counts of changes, collected pair by pair."""

    metric: Metric
    counts: Counter[tuple[Place, Condition, Change]] = field(default_factory=Counter)
    partners: dict[Place, Place] = field(default_factory=dict)
    """The place in the second results of each in the first."""
    both: int = 0
    """Number of requests that are in both results."""
    same_prompt: int = 0
    """Number of these with the same prompt."""

    def add(self, first: CellResult, second: CellResult) -> tuple[CellResult, CellResult]:
        """Add a pair of cells.

        Returns:
            Both with those records alone whose outcome differs, in the same order.
        """
        here = place_of(first.info)
        self.partners[here] = place_of(second.info)
        others = {record.query_id: record for record in second.records}
        before, after = [], []
        for record in first.records:
            other = others.get(record.query_id)
            if other is None:
                continue
            self.both += 1
            self.same_prompt += record.prompt_sha256 == other.prompt_sha256
            if (change := self._change(record, other)) is not None:
                self.counts[here, first.info.condition, change] += 1
                before.append(record)
                after.append(other)
        return CellResult(first.info, tuple(before)), CellResult(second.info, tuple(after))

    def total(self, change: Change) -> int:
        """Return the number of requests with a change."""
        return sum(n for (_, _, each), n in self.counts.items() if each == change)

    def _change(self, first: Record, second: Record) -> Change | None:
        before, after = (outcome_of(record, self.metric) for record in (first, second))
        if before == after:
            return None
        if after == "right":
            return "became right"
        return "became wrong" if before == "right" else "other"


def place_of(info: CellInfo) -> Place:
    """Return the place of a cell."""
    return info.model, f"{info.dataset}/{info.split}", info.shots, info.query_split


def change_table(
    changes: OutcomeChanges, first: Analysis, second: Analysis
) -> list[dict[str, str]]:
    """Return a row for each model, benchmark, side and number of shots: both gaps, and changes."""
    gaps = [_gaps(first.points), _gaps(second.points)]
    rows = []
    for here, there in changes.partners.items():
        before, after = gaps[0].get(here), gaps[1].get(there)
        rows.append(
            {
                **_named(here),
                "gap in A": _gap(before),
                "gap in B": _gap(after),
                "B less A": _difference(before, after),
                **_counted(changes, here),
            }
        )
    return rows


def _gaps(points: Sequence[GapPoint]) -> dict[Place, GapPoint]:
    return {(p.model, p.benchmark, p.shots, p.query_split): p for p in points}


def _named(place: Place) -> dict[str, str]:
    model, benchmark, shots, side = place
    return {"benchmark": benchmark, "model": model, "shots": str(shots), "queries": side}


def _gap(point: GapPoint | None) -> str:
    if point is None:
        return "-"
    return "unresolved" if point.gap is None else with_interval(point.gap)


def _difference(before: GapPoint | None, after: GapPoint | None) -> str:
    if before is None or after is None or before.gap is None or after.gap is None:
        return "-"
    return signed_number(after.gap.value - before.gap.value)


def _counted(changes: OutcomeChanges, place: Place) -> dict[str, str]:
    conditions = sorted({condition for _, condition, _ in changes.counts}) or ["id", "ood"]
    return {
        f"{condition.upper()} {change.replace('became', 'now')}": f"{n:,}"
        for condition in conditions
        for change in SHOWN
        for n in [changes.counts[place, condition, change]]
    }

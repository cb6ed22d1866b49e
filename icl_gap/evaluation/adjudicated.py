"""Shares of requests that adjudicated models asked again, and the bounds of the others."""

from __future__ import annotations

from dataclasses import dataclass

from icl_gap.results import Results
from icl_gap.text import brief


@dataclass(frozen=True, slots=True)
class AdjudicatedShare:
    """The scored requests of one model with `precision: adjudicated`."""

    model: str
    requests: int
    asked_again: int
    """Requests whose verdict is that of a run in float32."""
    rounding_bound: float
    """Largest bound of rounding errors that a verdict was accepted within, in logits."""

    def __str__(self) -> str:
        share = self.asked_again / self.requests
        return (
            f"adjudicated: {self.model}, {self.asked_again:,} of {self.requests:,} requests "
            f"({share:.1%}) asked again in float32, the others accepted with a rounding bound of "
            f"{self.rounding_bound:.3g} logits; likelihoods, the smooth gap and places of "
            "divergence are those of half precision"
        )

    def __repr__(self) -> str:
        return brief("AdjudicatedShare", self.model, f"{self.asked_again} of {self.requests}")


def count_adjudicated(results: Results) -> list[AdjudicatedShare]:
    """Count the requests of each adjudicated model of some results.

    A model none of whose verdicts was accepted in half precision is left out: its results are those
    of float32.

    Args:
        results: The results.

    Raises:
        StoreError: A file is damaged.
    """
    found = []
    for model, rows in results.scored_by_model("rounding_bound"):
        bounds = rows["rounding_bound"].dropna()
        if not bounds.empty:
            again = len(rows) - len(bounds)
            found.append(AdjudicatedShare(model, len(rows), again, float(bounds.max())))
    return found

"""Chat responses without an answer that counts, by model and condition.

Models ramble more often on some prompts than on others. Where a model is cut while it thinks more
often under OOD than under ID, part of its gap is due to the bound of tokens; the same holds of a
content filter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from icl_gap.schema import AnswerProblem, Condition, Metric

if TYPE_CHECKING:
    import pandas as pd

UNANSWERED_COLUMNS = ("condition", "query_id", "status", "reason", *get_args(Metric))
"""Columns of requests that are needed, beside those of cells."""
_PROBLEMS: tuple[AnswerProblem, ...] = get_args(AnswerProblem)
_CUT: tuple[AnswerProblem, ...] = ("truncated", "filtered")
"""Problems of responses that the model might have gone on to answer."""
_REQUEST = ["query_split", "shots", "seed", "query_id"]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Numbers of chat responses of one model on one benchmark that have no answer."""

    model: str
    benchmark: str
    n: Mapping[Condition, int]
    """Number of scored responses, by condition."""
    counts: Mapping[AnswerProblem, Mapping[Condition, int]]
    """Number of responses, by the reason for which they are wrong, and by condition."""
    gap: float | None
    """Relative gap of all queries together; None where it is not defined."""
    gap_without_cut: float | None
    """The same without the queries that have a truncated or filtered response, under any condition:
    their answers are not known."""

    def __str__(self) -> str:
        shown = [
            f"{problem} "
            + ", ".join(f"{each[c]} of {self.n[c]:,} {c.upper()}" for c in self.n if self.n[c])
            for problem, each in self.counts.items()
            if any(each.values())
        ]
        cut = " and ".join(p for p in _CUT if any(self.counts[p].values())) or _CUT[0]
        gaps = self.gap_texts
        return (
            f"{self.model} on {self.benchmark}: responses without an answer: {'; '.join(shown)}; "
            f"gap {gaps[0]} with {cut} ones as wrong, {gaps[1]} without their queries"
        )

    @property
    def gap_texts(self) -> tuple[str, str]:
        """Both gaps as text: with responses that were cut as wrong, and without their queries."""
        first, second = (
            "not defined" if gap is None else f"{gap:.3f}"
            for gap in (self.gap, self.gap_without_cut)
        )
        return first, second


def count_unanswered(frame: pd.DataFrame, metric: Metric) -> list[Unanswered]:
    """Count the chat responses without an answer, and show what cut ones do to the gap.

    Args:
        frame: Results with the `UNANSWERED_COLUMNS`; 0 shots are left out of gaps, as ID and OOD
            are one prompt there.
        metric: Metric of the gaps.

    Returns:
        One entry for each model and benchmark that has such responses.
    """
    scored = frame[frame["status"] == "scored"]
    found = []
    for (model, dataset, split), rows in scored.groupby(
        ["model", "dataset", "split"], observed=True
    ):
        if rows["reason"].isin(_PROBLEMS).any():
            found.append(_counted(str(model), f"{dataset}/{split}", rows, metric))
    return found


def _counted(model: str, benchmark: str, rows: pd.DataFrame, metric: Metric) -> Unanswered:
    conditions: tuple[Condition, ...] = get_args(Condition)
    of = {condition: rows[rows["condition"] == condition] for condition in conditions}
    cut = rows.loc[rows["reason"].isin(_CUT), _REQUEST].drop_duplicates()
    kept = rows.merge(cut, on=_REQUEST, how="left", indicator=True)
    kept = kept[kept["_merge"] == "left_only"]
    return Unanswered(
        model=model,
        benchmark=benchmark,
        n={condition: len(each) for condition, each in of.items()},
        counts={
            problem: {c: int((each["reason"] == problem).sum()) for c, each in of.items()}
            for problem in _PROBLEMS
        },
        gap=gap_of_rows(rows, metric),
        gap_without_cut=gap_of_rows(kept, metric),
    )


def unanswered_table(found: Sequence[Unanswered]) -> list[dict[str, str]]:
    """Return the counts as rows of a table, a condition each."""
    return [
        {
            "benchmark": each.benchmark,
            "model": each.model,
            "condition": condition.upper(),
            "responses": f"{n:,}",
            **{problem: f"{each.counts[problem][condition]:,}" for problem in _PROBLEMS},
            "gap, truncated wrong": gaps[0],
            "gap without truncated": gaps[1],
        }
        for each in found
        for gaps in [each.gap_texts]
        for condition, n in each.n.items()
        if n
    ]


def gap_of_rows(rows: pd.DataFrame, outcome: str) -> float | None:
    """Return the relative gap of some requests; None if A_id is 0 or a condition is missing.

    Args:
        rows: The requests; those with 0 shots are left out.
        outcome: The column that says which are right; missing values are left out.
    """
    shown = rows[rows["shots"] > 0]
    a_id, a_ood = (shown.loc[shown["condition"] == c, outcome].dropna() for c in ("id", "ood"))
    if a_id.empty or a_ood.empty or not a_id.any():
        return None
    return float(1 - a_ood.astype(float).mean() / a_id.astype(float).mean())

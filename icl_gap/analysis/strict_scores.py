"""Both scores of chat responses: of the extracted answer, which gaps are made of, and of all text.

A rule that finds the answer more often under ID than under OOD would make a gap, or hide one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from icl_gap.analysis.unanswered import gap_of_rows
from icl_gap.schema import Condition, Metric

if TYPE_CHECKING:
    import pandas as pd

_STRICT = "chat_strict_{}"
STRICT_COLUMNS = (
    "condition", "query_id", "status", *get_args(Metric),
    *(_STRICT.format(metric) for metric in get_args(Metric)),
)  # fmt: skip
"""Columns of requests that are needed, beside those of cells."""


@dataclass(frozen=True, slots=True)
class BothScores:
    """Both scores of one chat model on one benchmark, over all queries and shots above 0."""

    model: str
    benchmark: str
    extracted: Mapping[Condition, float]
    """Accuracy of the extracted answers, by condition."""
    whole: Mapping[Condition, float]
    """Accuracy of the whole responses, by condition."""
    gap: float | None
    """Relative gap of the extracted answers; None where it is not defined."""
    whole_gap: float | None
    """The same of the whole responses."""


def compare_scores(frame: pd.DataFrame, metric: Metric) -> list[BothScores]:
    """Compare both scores of each chat model.

    Args:
        frame: Results with the `STRICT_COLUMNS`.
        metric: Metric of the scores.

    Returns:
        One entry for each model and benchmark with chat responses.
    """
    strict = _STRICT.format(metric)
    rows = frame[(frame["status"] == "scored") & (frame["shots"] > 0)]
    rows = rows.dropna(subset=[metric, strict])
    found = []
    groups = rows.groupby(["model", "dataset", "split"], observed=True, sort=False)
    for (model, dataset, split), some in groups:
        by_condition = some.groupby("condition", observed=True)
        found.append(
            BothScores(
                model=str(model),
                benchmark=f"{dataset}/{split}",
                extracted=_means(by_condition[metric].mean()),
                whole=_means(by_condition[strict].mean()),
                gap=gap_of_rows(some, metric),
                whole_gap=gap_of_rows(some, strict),
            )
        )
    return found


def both_scores_table(found: Sequence[BothScores]) -> list[dict[str, str]]:
    """Return both scores as rows of a table, a condition each."""
    return [
        {
            "benchmark": each.benchmark,
            "model": each.model,
            "condition": condition.upper(),
            "extracted answer": f"{each.extracted[condition]:.3f}",
            "whole response": f"{each.whole[condition]:.3f}",
            "gap, extracted": _text(each.gap),
            "gap, whole": _text(each.whole_gap),
        }
        for each in found
        for condition in each.extracted
    ]


def _means(means: pd.Series[float]) -> dict[Condition, float]:
    conditions: tuple[Condition, ...] = get_args(Condition)
    return {each: float(means[each]) for each in conditions if each in means.index}


def _text(gap: float | None) -> str:
    return "not defined" if gap is None else f"{gap:.3f}"

"""The cells of a frame of results, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icl_gap.analysis.points import Subject
from icl_gap.errors import AnalysisError, InputError
from icl_gap.metrics import METRICS
from icl_gap.results import OUTCOMES
from icl_gap.sampling import SHARING
from icl_gap.schema import Condition, Metric, Split
from icl_gap.text import brief, shots_text

Floats: TypeAlias = NDArray[np.float64]
_SUBJECT = tuple(field.name for field in fields(Subject))
_REST = ("cell", "query_split", "condition", "seed", "selection")


@dataclass(frozen=True, slots=True)
class Cell:
    """The outcomes of one cell's requests, sorted by their queries; all arrays are (Q,)."""

    key: str
    subject: Subject
    query_split: Split
    condition: Condition
    seed: int
    crossed: bool
    """Whether all its queries share their exemplars."""
    queries: NDArray[np.int64]
    """Where the query's id stands among all ids, sorted."""
    answered: NDArray[np.bool_]
    """False where the request was skipped or failed."""
    failed: NDArray[np.bool_]
    shots: Floats
    """Effective."""
    coverage: Floats
    scores: Mapping[Metric, Floats]
    """1, 0, or NaN where it is not known."""
    logprob: Floats
    """The gold answer's mean log-likelihood, nats a token; NaN where it is not known."""

    @property
    def asked(self) -> NDArray[np.bool_]:
        """False where the request was skipped."""
        return self.answered | self.failed

    @property
    def name(self) -> str:
        """Which cell it is, for a message."""
        of = self.subject
        return (
            f"{of.benchmark} {of.model}, {shots_text(of.shots)}, {self.query_split} queries,"
            f" {self.condition.upper()}, seed {self.seed} (cell {self.key[:12]})"
        )

    def __repr__(self) -> str:
        return brief("Cell", f"{len(self.queries):,} requests", self.name)


def cells_of(results: pd.DataFrame) -> tuple[list[Cell], NDArray[np.object_]]:
    """Take a frame apart.

    Args:
        results: As `load_results` gives them, whole or some of its rows, in any order.

    Returns:
        Its cells, and the ids of all queries, sorted, to which their `queries` point.

    Raises:
        InputError: The frame lacks a column.
        AnalysisError: A query stands twice in a cell.
    """
    needed = (*_SUBJECT, *_REST, *OUTCOMES)
    if missing := [name for name in needed if name not in results.columns]:
        raise InputError(
            "not a frame of results",
            value=f"no column `{missing[0]}`",
            allowed="what load_results gives",
        )
    codes, ids = _ranks(results["query_id"].astype("category"))
    keys, _ = pd.factorize(results["cell"])
    order = np.lexsort((codes, keys))
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    heads = results.iloc[order[starts]]
    arrays = _arrays(results, codes)
    told = heads.astype(object).where(heads.notna(), None).to_dict("records")
    cells = [
        _cell(
            cast("dict[str, Any]", head), {name: array[rows] for name, array in arrays.items()}, ids
        )
        for head, rows in zip(told, np.split(order, starts[1:]), strict=True)
    ]
    return cells, ids


def _ranks(column: pd.Series[Any]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Where each value stands among all values, sorted; and these."""
    values = np.asarray(column.cat.categories, dtype=object)
    order = np.argsort(values)
    return np.argsort(order)[column.cat.codes], values[order]


def _arrays(results: pd.DataFrame, codes: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """The columns of requests; what is not known is NaN."""

    def floats(name: str) -> Floats:
        return results[name].to_numpy(dtype=np.float64, na_value=np.nan)

    return {
        "queries": codes,
        "answered": (results["status"] == "scored").to_numpy(dtype=np.bool_),
        "failed": (results["status"] == "failed").to_numpy(dtype=np.bool_),
        "shots": floats("shots_effective"),
        "coverage": floats("coverage"),
        **{metric: floats(metric) for metric in METRICS},
        "logprob": floats("gold_logprob"),
    }


def _cell(head: dict[str, Any], arrays: dict[str, NDArray[Any]], ids: NDArray[np.object_]) -> Cell:
    cell = Cell(
        key=head["cell"],
        subject=Subject(**{name: head[name] for name in _SUBJECT}),
        query_split=head["query_split"],
        condition=head["condition"],
        seed=head["seed"],
        crossed=head["selection"] in SHARING,
        scores={metric: arrays.pop(metric) for metric in METRICS},
        **arrays,
    )
    if (twice := np.diff(cell.queries) == 0).any():
        query = ids[cell.queries[twice.argmax()]]
        raise AnalysisError(f"query `{query}` stands twice in a cell\n  {cell.name}")
    return cell

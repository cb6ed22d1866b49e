"""A frame of results as arrays, one set for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icl_gap.analysis.points import Setting
from icl_gap.errors import AnalysisError, InputError
from icl_gap.metrics import METRICS
from icl_gap.results import OUTCOMES
from icl_gap.sampling import SHARING
from icl_gap.schema import Condition, Metric, Split
from icl_gap.text import brief, shots_text

Floats: TypeAlias = NDArray[np.float64]
_SETTING_FIELDS = tuple(field.name for field in fields(Setting))
_CELL_FIELDS = ("cell", "query_split", "condition", "seed", "selection")


@dataclass(frozen=True, slots=True)
class CellOutcomes:
    """Outcomes of one cell's requests, sorted by query; all arrays have shape (Q,)."""

    key: str
    setting: Setting
    query_split: Split
    condition: Condition
    seed: int
    crossed: bool
    """True if all queries of the cell see the same exemplars, so that seeds are resampled too."""
    queries: NDArray[np.int64]
    """Index of the query's id among all sorted ids."""
    answered: NDArray[np.bool_]
    """False if the request was skipped or failed."""
    failed: NDArray[np.bool_]
    shots: Floats
    """Effective number of shots."""
    coverage: Floats
    scores: Mapping[Metric, Floats]
    """1, 0, or NaN if unknown, by metric."""
    logprob: Floats
    """Mean log-likelihood of the gold target's tokens, in nats; NaN if unknown."""
    clusters: NDArray[np.int64] | None = None
    """Number of the query's cluster; None if queries are independent."""

    @property
    def sent(self) -> NDArray[np.bool_]:
        """False if the request was skipped."""
        return self.answered | self.failed

    @property
    def name(self) -> str:
        """Description of the cell for a message."""
        of = self.setting
        return (
            f"{of.benchmark} {of.model}, {shots_text(of.shots)}, {self.query_split} queries,"
            f" {self.condition.upper()}, seed {self.seed} (cell {self.key[:12]})"
        )

    def __repr__(self) -> str:
        return brief("CellOutcomes", f"{len(self.queries):,} requests", self.name)


def read_outcomes(
    results: pd.DataFrame, cluster: str | None = None
) -> tuple[list[CellOutcomes], NDArray[np.object_]]:
    """Split a frame of results into cells.

    Args:
        results: Frame as returned by `load_results`, all of its rows or some, in any order.
        cluster: Column that names each query's cluster; None if queries are independent.

    Returns:
        The cells, and the sorted ids of all queries, to which their `queries` are indices.

    Raises:
        InputError: The frame lacks a column.
        AnalysisError: A cell holds a query twice, or a query has no cluster.
    """
    needed = (*_SETTING_FIELDS, *_CELL_FIELDS, *OUTCOMES)
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
    if cluster is not None:
        arrays["clusters"] = _cluster_codes(results, cluster)
    described = heads.astype(object).where(heads.notna(), None).to_dict("records")
    cells = [
        _cell(
            cast("dict[str, Any]", head), {name: array[rows] for name, array in arrays.items()}, ids
        )
        for head, rows in zip(described, np.split(order, starts[1:]), strict=True)
    ]
    return cells, ids


def _ranks(column: pd.Series[Any]) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Return the rank of each value among the sorted distinct values, and these values."""
    values = np.asarray(column.cat.categories, dtype=object)
    order = np.argsort(values)
    return np.argsort(order)[column.cat.codes], values[order]


def _cluster_codes(results: pd.DataFrame, cluster: str) -> NDArray[np.int64]:
    """Return the number of each row's cluster, the same in any order of rows."""
    if cluster not in results.columns:
        raise InputError(
            "the results have no such field to cluster queries by",
            value=cluster,
            allowed="a column of the frame; for an opened results folder also `template`, `target` "
            "and `source`",
        )
    codes, _ = pd.factorize(results[cluster].astype("string"), sort=True)
    if (unknown := codes < 0).any():
        query = results["query_id"].iloc[int(unknown.argmax())]
        raise AnalysisError(f"query `{query}` has no `{cluster}`, so it is in no cluster")
    return np.asarray(codes, dtype=np.int64)


def _arrays(results: pd.DataFrame, codes: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the columns of requests as arrays; unknown numbers are NaN."""

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


def _cell(
    head: dict[str, Any], arrays: dict[str, NDArray[Any]], ids: NDArray[np.object_]
) -> CellOutcomes:
    cell = CellOutcomes(
        key=head["cell"],
        setting=Setting(**{name: head[name] for name in _SETTING_FIELDS}),
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

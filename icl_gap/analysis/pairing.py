"""Pairs of requests: the same query with ID and with OOD exemplars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icl_gap.analysis.comparability import check_models, check_pair
from icl_gap.analysis.outcomes import CellOutcomes, Floats, read_outcomes
from icl_gap.analysis.points import Setting
from icl_gap.errors import AnalysisError
from icl_gap.metrics import METRICS
from icl_gap.schema import Condition, Metric, Split
from icl_gap.text import brief

CellPairs: TypeAlias = Mapping[tuple[Condition, int], CellOutcomes]
"""Cells of one setting and query split, by condition and seed."""
Remarks: TypeAlias = list[tuple[str, str]]
"""Remarks for the reader, as (text, what it concerns); `analyze` merges them into notes."""


@dataclass(frozen=True, slots=True)
class PairedOutcomes:
    """Paired outcomes in one setting, on one side of its benchmark, for S seeds and Q queries."""

    setting: Setting
    query_split: Split
    seeds: tuple[int, ...]
    query_ids: tuple[str, ...]
    """Sorted ids of all queries, unanswered ones included."""
    crossed: bool
    """True if all queries of a cell see the same exemplars, so that seeds are resampled too."""
    matches: Mapping[Metric, Floats]
    """(S, 2): number of matches ID and OOD over the answered queries, by metric; NaN if some are
    unknown."""
    hits_id: Floats
    """(S, Q): 1 where the ID answer is right, else 0."""
    hits_ood: Floats
    answered: Floats
    """(S, Q): 1 where the request was answered under both conditions, else 0."""
    logprob_id: Floats
    """(S, Q): mean log-likelihood of the gold target's tokens, in nats; 0 where unknown."""
    logprob_ood: Floats
    has_logprob: Floats
    """(S, Q): 1 where it is known under both conditions, else 0."""
    skipped: Floats
    """(S,): number of queries skipped, always under both conditions."""
    failed: Floats
    """(S,): number of queries left out because the request failed under a condition."""
    unpaired_hits_id: Floats
    """(S,): number of queries left out whose ID answer is right nevertheless."""
    unpaired_hits_ood: Floats
    unanswered_id: Floats
    """(S,): number of queries left out that have no ID answer."""
    unanswered_ood: Floats
    shots: Floats
    """(S,): sum of the effective shots over the answered queries."""
    coverage_id: Floats
    """(S,): sum of the coverage over the answered queries."""
    coverage_ood: Floats
    clusters: NDArray[np.int64] | None = field(default=None, kw_only=True)
    """(Q,): number of each query's cluster, from 0; None if queries are independent."""

    @property
    def n_clusters(self) -> int:
        """Number of clusters, C; that of queries if they are independent."""
        return len(self.query_ids) if self.clusters is None else int(self.clusters.max()) + 1

    def by_cluster(self, values: Floats) -> Floats:
        """Return (..., C) sums over each cluster of (..., Q) values."""
        if self.clusters is None:
            return values
        order = np.argsort(self.clusters, kind="stable")
        starts = np.searchsorted(self.clusters[order], np.arange(self.n_clusters))
        sums: Floats = np.add.reduceat(values[..., order], starts, axis=-1)
        return sums

    def under(self, seeds: Sequence[int]) -> PairedOutcomes:
        """Return the outcomes under some of the seeds."""
        rows = [self.seeds.index(seed) for seed in seeds]
        matrices = (f.name for f in fields(self) if f.name not in _DESCRIPTION)
        return replace(
            self,
            seeds=tuple(seeds),
            matches={metric: each[rows] for metric, each in self.matches.items()},
            **{name: getattr(self, name)[rows] for name in matrices},
        )

    def __repr__(self) -> str:
        size = f"{len(self.seeds)} seeds, {len(self.query_ids):,} {self.query_split} queries"
        return brief("PairedOutcomes", size, self.setting.label)


_DESCRIPTION = {"setting", "query_split", "seeds", "query_ids", "crossed", "matches", "clusters"}


def pair(
    results: pd.DataFrame, metric: Metric, cluster: str | None = None
) -> tuple[list[PairedOutcomes], Remarks]:
    """Pair the ID and OOD outcomes of every setting, query split and seed, by query id.

    Args:
        results: Frame as returned by `load_results`, in any order.
        metric: The match that counts as a hit.
        cluster: Column that names each query's cluster; None if queries are independent.

    Returns:
        The outcomes of each setting and query split that has both conditions under at least one
        seed, sorted; and remarks on what is left out.

    Raises:
        AnalysisError: Two cells have the same coordinates, describe their model differently,
            cannot be compared query by query, or have no usable clusters.
    """
    cells, queries = read_outcomes(results, cluster)
    groups: dict[tuple[Setting, Split], dict[tuple[Condition, int], CellOutcomes]] = defaultdict(
        dict
    )
    for cell in cells:
        group = groups[cell.setting, cell.query_split]
        twin = group.setdefault((cell.condition, cell.seed), cell)
        if twin is not cell:
            raise AnalysisError(
                "two cells have the same coordinates; keep one of them, or analyze them apart\n"
                f"  {twin.name}\n  {cell.name}"
            )
    check_models(cells)
    remarks: Remarks = []
    paired = [
        _paired(found, seeds, metric, queries)
        for (setting, query_split), found in sorted(groups.items(), key=_order)
        if (seeds := _common_seeds(found, f"{setting.label}, {query_split} queries", remarks))
    ]
    return paired, remarks


def _order(group: tuple[tuple[Setting, Split], object]) -> tuple[str | int, ...]:
    """Return the sort key of a group: benchmark, model by size, shots, selection, query split."""
    setting, query_split = group[0]
    size = -1 if setting.n_params is None else setting.n_params
    return (
        setting.dataset,
        setting.split,
        setting.family,
        size,
        setting.model,
        setting.shots,
        setting.selection or "",
        query_split,
    )


def _common_seeds(cells: CellPairs, where: str, remarks: Remarks) -> tuple[int, ...]:
    """Return the seeds that both conditions have; add what is missing to the remarks."""
    seeds = {c: {seed for condition, seed in cells if condition == c} for c in ("id", "ood")}
    for condition, other in (("id", "ood"), ("ood", "id")):
        alone = sorted(seeds[condition] - seeds[other])
        if not seeds[other]:
            remarks.append((f"no gap: the {other.upper()} cells are missing", where))
        elif alone:
            listed = ", ".join(map(str, alone))
            text = f"seeds left out, as the {other.upper()} cells are missing: {listed}"
            remarks.append((text, where))
    if seeds["id"] and seeds["ood"] and not seeds["id"] & seeds["ood"]:
        remarks.append(("no gap: the ID and OOD cells have no seed in common", where))
    return tuple(sorted(seeds["id"] & seeds["ood"]))


def _paired(
    cells: CellPairs, seeds: tuple[int, ...], metric: Metric, names: NDArray[np.object_]
) -> PairedOutcomes:
    pairs = [(cells["id", seed], cells["ood", seed]) for seed in seeds]
    for inside, outside in pairs:
        check_pair(inside, outside, names)
    queries = np.unique(np.concatenate([inside.queries for inside, _ in pairs]))
    cube = np.zeros((6, len(seeds), len(queries)))
    sums = []
    for s, (inside, outside) in enumerate(pairs):
        kept = inside.answered & outside.answered
        hits = [_hits(cell, metric, names) for cell in (inside, outside)]
        logprobs = np.array([inside.logprob[kept], outside.logprob[kept]])
        has_logprob = ~np.isnan(logprobs).any(axis=0)
        columns = np.searchsorted(queries, inside.queries[kept])
        found = (each[kept] for each in hits)
        cube[:, s, columns] = (
            *found,
            np.ones(len(columns)),
            *np.where(has_logprob, logprobs, 0),
            has_logprob,
        )
        sums.append(_sums(inside, outside, kept, hits))
    first = pairs[0][0]
    clusters = _clusters([cell for both in pairs for cell in both], queries, names)
    return PairedOutcomes(
        first.setting,
        first.query_split,
        seeds,
        tuple(names[queries]),
        any(cell.crossed for cell in cells.values()),
        _matches(pairs),
        *cube,
        **{name: np.array([each[name] for each in sums]) for name in sums[0]},
        clusters=clusters,
    )


def _clusters(
    cells: Sequence[CellOutcomes], queries: NDArray[np.int64], names: NDArray[np.object_]
) -> NDArray[np.int64] | None:
    """Return (Q,) numbers of the queries' clusters, from 0; None if cells have none."""
    found = np.full(len(queries), -1)
    for cell in cells:
        if cell.clusters is None:
            return None
        columns = np.searchsorted(queries, cell.queries)
        if (apart := (found[columns] >= 0) & (found[columns] != cell.clusters)).any():
            raise AnalysisError(
                f"query `{names[cell.queries[apart.argmax()]]}` is in two clusters; cluster by "
                f"a field of queries, not of requests or cells\n  {cells[0].name}\n  {cell.name}"
            )
        found[columns] = cell.clusters
    distinct, numbers = np.unique(found, return_inverse=True)
    if len(distinct) < 2:
        raise AnalysisError(
            "all queries are in one cluster, so there is nothing to resample; cluster by a field "
            f"that differs between queries\n  {cells[0].name}"
        )
    return numbers


def _matches(pairs: Sequence[tuple[CellOutcomes, CellOutcomes]]) -> dict[Metric, Floats]:
    """Return the (S, 2) matches of each metric over the queries that both cells answered."""
    answered = [inside.answered & outside.answered for inside, outside in pairs]
    return {
        metric: np.array(
            [
                [cell.scores[metric][kept].sum() for cell in cells]
                for cells, kept in zip(pairs, answered, strict=True)
            ]
        )
        for metric in METRICS
    }


def _sums(
    inside: CellOutcomes, outside: CellOutcomes, kept: NDArray[np.bool_], hits: Sequence[Floats]
) -> dict[str, float]:
    """Return the counts and sums over the queries of one seed.

    Args:
        inside: The ID cell.
        outside: The OOD cell.
        kept: (Q,): True where both have an answer.
        hits: Two arrays of shape (Q,), ID and OOD; NaN without an answer.
    """
    failed = inside.failed | outside.failed
    found = {
        "skipped": np.count_nonzero(~kept & ~failed),
        "failed": np.count_nonzero(failed),
        "shots": inside.shots[kept].sum(),
    }
    for condition, cell, right in zip(("id", "ood"), (inside, outside), hits, strict=True):
        found[f"unpaired_hits_{condition}"] = np.nansum(right[~kept])
        found[f"unanswered_{condition}"] = np.count_nonzero(~cell.answered)
        found[f"coverage_{condition}"] = cell.coverage[kept].sum()
    return {name: float(value) for name, value in found.items()}


def _hits(cell: CellOutcomes, metric: Metric, names: NDArray[np.object_]) -> Floats:
    """Return (Q,) hits, 0 or 1; NaN where there is no answer."""
    hits: Floats = np.where(cell.answered, cell.scores[metric], np.nan)
    if (unknown := np.isnan(hits) & cell.answered).any():
        query = names[cell.queries[unknown.argmax()]]
        raise AnalysisError(
            f"query `{query}` counts as scored and has no {metric} score: "
            f"{METRICS[metric].remedy}\n  {cell.name}"
        )
    return hits

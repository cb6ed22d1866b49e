"""From cells to pairs: the same query, asked once with ID and once with OOD exemplars."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from icl_gap.analysis.outcomes import Cell, Floats, cells_of
from icl_gap.analysis.points import Subject
from icl_gap.errors import AnalysisError
from icl_gap.metrics import METRICS
from icl_gap.schema import Condition, Metric, Split
from icl_gap.text import brief

Cells: TypeAlias = Mapping[tuple[Condition, int], Cell]
"""The cells of one subject and query split, by condition and seed."""
Remarks: TypeAlias = list[tuple[str, str]]
"""Text and place of what must be said; see `points.merge_notes`."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The paired outcomes of one subject on one side of its benchmark; S seeds, Q queries."""

    subject: Subject
    query_split: Split
    seeds: tuple[int, ...]
    query_ids: tuple[str, ...]
    """Sorted; those that have no answer are among them."""
    crossed: bool
    """Whether seeds are crossed with queries: all queries of a cell share their exemplars."""
    matches: Mapping[Metric, Floats]
    """(S, 2): matches ID and OOD over the answered queries, by metric; NaN where some are not
    known."""
    hits_id: Floats
    """(S, Q): 1 where the request was answered right, else 0."""
    hits_ood: Floats
    answered: Floats
    """(S, Q): 1 where both conditions answered, 0 where one did not or the query was not asked."""
    logprob_id: Floats
    """(S, Q): the gold answer's mean log-likelihood, nats a token; 0 where it is not known."""
    logprob_ood: Floats
    likely: Floats
    """(S, Q): 1 where that is known under both conditions, else 0."""
    skipped: Floats
    """(S,): queries skipped, which they are under both conditions alike."""
    failed: Floats
    """(S,): queries left out as a request of theirs failed."""
    left_id: Floats
    """(S,): of the queries left out, those answered right ID all the same."""
    left_ood: Floats
    open_id: Floats
    """(S,): of the queries left out, those that have no answer ID."""
    open_ood: Floats
    shots: Floats
    """(S,): effective shots, summed over the answered queries."""
    coverage_id: Floats
    """(S,): as `shots`."""
    coverage_ood: Floats

    def under(self, seeds: Sequence[int]) -> Paired:
        """The same under some of its seeds."""
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
        return brief("Paired", size, self.subject.place)


_DESCRIPTION = {"subject", "query_split", "seeds", "query_ids", "crossed", "matches"}


def pair(results: pd.DataFrame, metric: Metric) -> tuple[list[Paired], Remarks]:
    """Pair the ID and OOD outcomes of every subject, query split and seed, by query id.

    Args:
        results: As `load_results` gives them; rows in any order.
        metric: Which match counts as a hit.

    Returns:
        One `Paired` for each subject and query split that has both conditions under at least one
        seed, sorted; and what had to be left out.

    Raises:
        AnalysisError: Two cells have the same coordinates, describe their model differently, or
            cannot be compared query by query.
    """
    cells, queries = cells_of(results)
    groups: dict[tuple[Subject, Split], dict[tuple[Condition, int], Cell]] = defaultdict(dict)
    for cell in cells:
        group = groups[cell.subject, cell.query_split]
        twin = group.setdefault((cell.condition, cell.seed), cell)
        if twin is not cell:
            raise AnalysisError(
                "two cells have the same coordinates; keep one of them, or analyze them apart\n"
                f"  {twin.name}\n  {cell.name}"
            )
    _check_subjects(cells)
    remarks: Remarks = []
    paired = [
        _paired(found, seeds, metric, queries)
        for (subject, query_split), found in sorted(groups.items(), key=_order)
        if (seeds := _common_seeds(found, f"{subject.place}, {query_split} queries", remarks))
    ]
    return paired, remarks


def _order(group: tuple[tuple[Subject, Split], object]) -> tuple[str | int, ...]:
    subject, query_split = group[0]
    size = -1 if subject.n_params is None else subject.n_params
    return (
        subject.dataset,
        subject.split,
        subject.family,
        size,
        subject.model,
        subject.shots,
        query_split,
    )


_ALIKE = (
    "family",
    "n_params",
    "n_params_non_embedding",
    "size_source",
    "training_tokens",
    "trained",
    "partial",
)


def _check_subjects(cells: Sequence[Cell]) -> None:
    """The cells of one model on one benchmark must agree about what these are."""
    seen: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        first = seen.setdefault((cell.subject.model, cell.subject.benchmark), cell)
        for name in _ALIKE:
            mine, other = getattr(cell.subject, name), getattr(first.subject, name)
            if mine != other:
                raise AnalysisError(
                    f"two cells that belong together differ in `{name}`: {other!r} and {mine!r}\n"
                    f"  {first.name}\n  {cell.name}"
                )


def _common_seeds(cells: Cells, where: str, remarks: Remarks) -> tuple[int, ...]:
    """The seeds under which both conditions ran; what is missing goes to `remarks`."""
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
    cells: Cells, seeds: tuple[int, ...], metric: Metric, names: NDArray[np.object_]
) -> Paired:
    pairs = [(cells["id", seed], cells["ood", seed]) for seed in seeds]
    for inside, outside in pairs:
        _check_pair(inside, outside, names)
    queries = np.unique(np.concatenate([inside.queries for inside, _ in pairs]))
    cube = np.zeros((6, len(seeds), len(queries)))
    sums = []
    for s, (inside, outside) in enumerate(pairs):
        kept = inside.answered & outside.answered
        hits = [_hits(cell, metric, names) for cell in (inside, outside)]
        logprobs = np.array([inside.logprob[kept], outside.logprob[kept]])
        likely = ~np.isnan(logprobs).any(axis=0)
        columns = np.searchsorted(queries, inside.queries[kept])
        found = (each[kept] for each in hits)
        cube[:, s, columns] = (
            *found,
            np.ones(len(columns)),
            *np.where(likely, logprobs, 0),
            likely,
        )
        sums.append(_sums(inside, outside, kept, hits))
    first = pairs[0][0]
    return Paired(
        first.subject,
        first.query_split,
        seeds,
        tuple(names[queries]),
        any(cell.crossed for cell in cells.values()),
        _matches(pairs),
        *cube,
        **{name: np.array([each[name] for each in sums]) for name in sums[0]},
    )


def _matches(pairs: Sequence[tuple[Cell, Cell]]) -> dict[Metric, Floats]:
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
    inside: Cell, outside: Cell, kept: NDArray[np.bool_], hits: Sequence[Floats]
) -> dict[str, float]:
    """What is counted over the queries of one seed.

    Args:
        inside: The ID cell.
        outside: The OOD cell.
        kept: (Q,): whether both have an answer.
        hits: (Q,) of each.
    """
    failed = inside.failed | outside.failed
    found = {
        "skipped": np.count_nonzero(~kept & ~failed),
        "failed": np.count_nonzero(failed),
        "shots": inside.shots[kept].sum(),
    }
    for condition, cell, right in zip(("id", "ood"), (inside, outside), hits, strict=True):
        found[f"left_{condition}"] = np.nansum(right[~kept])
        found[f"open_{condition}"] = np.count_nonzero(~cell.answered)
        found[f"coverage_{condition}"] = cell.coverage[kept].sum()
    return {name: float(value) for name, value in found.items()}


def _check_pair(inside: Cell, outside: Cell, names: NDArray[np.object_]) -> None:
    """Check that two cells hold the same queries, asked in the same way.

    Raises:
        AnalysisError: One lacks a query, or skipped one that the other asked, or the effective
            shots of a query differ.
    """
    problem = None
    if len(odd := np.setxor1d(inside.queries, outside.queries)):
        missing = "OOD" if odd[0] in inside.queries else "ID"
        problem = f"the {missing} cell lacks query `{names[odd[0]]}`"
    elif (apart := inside.asked != outside.asked).any():
        n = int(apart.argmax())
        skipper = "OOD" if inside.asked[n] else "ID"
        problem = f"query `{names[inside.queries[n]]}` was skipped in the {skipper} cell alone"
    elif (apart := inside.asked & (inside.shots != outside.shots)).any():
        n = int(apart.argmax())
        problem = (
            f"query `{names[inside.queries[n]]}` has {inside.shots[n]:.0f} effective shots ID"
            f" and {outside.shots[n]:.0f} OOD"
        )
    if problem:
        raise AnalysisError(
            f"ID and OOD cannot be compared: {problem}; run both cells again under one sweep\n"
            f"  {inside.name}\n  {outside.name}"
        )


def _hits(cell: Cell, metric: Metric, names: NDArray[np.object_]) -> Floats:
    """(Q,): NaN where there is no answer."""
    hits: Floats = np.where(cell.answered, cell.scores[metric], np.nan)
    if (unknown := np.isnan(hits) & cell.answered).any():
        query = names[cell.queries[unknown.argmax()]]
        raise AnalysisError(
            f"query `{query}` counts as scored and has no {metric} score: "
            f"{METRICS[metric].remedy}\n  {cell.name}"
        )
    return hits

"""From cells to pairs: the same query, asked once with ID and once with OOD exemplars."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from icl_gap.analysis.points import Metric, Subject
from icl_gap.errors import AnalysisError
from icl_gap.records import CellInfo, CellResult, Condition, Record, Split

Floats: TypeAlias = NDArray[np.float64]
Cells: TypeAlias = Mapping[tuple[Condition, int], CellResult]
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
    """Sorted; those that were skipped are among them."""
    crossed: bool
    """Whether seeds are crossed with queries: all queries of a cell share their exemplars."""
    hits_id: Floats
    """(S, Q): 1 where the request was answered right, else 0."""
    hits_ood: Floats
    answered: Floats
    """(S, Q): 1 where both conditions answered, 0 where the query was skipped or not asked."""
    logprob_id: Floats
    """(S, Q): the gold answer's mean log-likelihood, nats a token; 0 where it is not known."""
    logprob_ood: Floats
    likely: Floats
    """(S, Q): 1 where that is known under both conditions, else 0."""
    skipped: Floats
    """(S,): requests skipped."""
    shots: Floats
    """(S,): effective shots, summed over the answered queries."""
    coverage_id: Floats
    """(S,): as `shots`."""
    coverage_ood: Floats
    raw_id: Floats
    """(S,): exact matches of strings."""
    raw_ood: Floats
    canonical_id: Floats
    """(S,): exact matches of normal forms; NaN where some are not known."""
    canonical_ood: Floats

    def under(self, seeds: Sequence[int]) -> Paired:
        """The same under some of its seeds."""
        rows = [self.seeds.index(seed) for seed in seeds]
        matrices = (f.name for f in fields(self) if f.name not in _DESCRIPTION)
        return replace(
            self, seeds=tuple(seeds), **{name: getattr(self, name)[rows] for name in matrices}
        )


_DESCRIPTION = {"subject", "query_split", "seeds", "query_ids", "crossed"}


def pair(results: Sequence[CellResult], metric: Metric) -> tuple[list[Paired], Remarks]:
    """Pair the ID and OOD outcomes of every subject, query split and seed, by query id.

    Args:
        results: Finished cells, in any order.
        metric: Which exact match counts as a hit.

    Returns:
        One `Paired` for each subject and query split that has both conditions under at least one
        seed, sorted; and what had to be left out.

    Raises:
        AnalysisError: Two cells have the same coordinates, describe their model differently, or
            cannot be compared query by query.
    """
    groups: dict[tuple[Subject, Split], dict[tuple[Condition, int], CellResult]] = defaultdict(dict)
    for result in results:
        cells = groups[_subject(result.info), result.info.query_split]
        twin = cells.setdefault((result.info.condition, result.info.seed), result)
        if twin is not result:
            raise AnalysisError(
                "two cells have the same coordinates; keep one of them, or analyze them apart\n"
                f"  {_name(twin.info)}\n  {_name(result.info)}"
            )
    _check_subjects(results)
    remarks: Remarks = []
    paired = [
        _paired(subject, query_split, cells, seeds, metric)
        for (subject, query_split), cells in sorted(groups.items(), key=_order)
        if (seeds := _common_seeds(cells, f"{subject.place}, {query_split} queries", remarks))
    ]
    return paired, remarks


def _subject(info: CellInfo) -> Subject:
    return Subject(**{field.name: getattr(info, field.name) for field in fields(Subject)})


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


def _check_subjects(results: Sequence[CellResult]) -> None:
    """The cells of one model on one benchmark must agree about what these are."""
    seen: dict[tuple[str, str, str], CellInfo] = {}
    for info in (result.info for result in results):
        first = seen.setdefault((info.model, info.dataset, info.split), info)
        for name in ("family", "n_params", "n_params_non_embedding", "trained", "partial"):
            if getattr(first, name) != getattr(info, name):
                raise AnalysisError(
                    f"two cells that belong together differ in `{name}`:"
                    f" {getattr(first, name)!r} and {getattr(info, name)!r}\n"
                    f"  {_name(first)}\n  {_name(info)}"
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
    subject: Subject, query_split: Split, cells: Cells, seeds: tuple[int, ...], metric: Metric
) -> Paired:
    pairs = [list(_pairs(cells["id", seed], cells["ood", seed])) for seed in seeds]
    query_ids = tuple(sorted({inside.query_id for row in pairs for inside, _ in row}))
    column = {query_id: n for n, query_id in enumerate(query_ids)}
    cube = np.zeros((6, len(seeds), len(query_ids)))
    sums = np.zeros((8, len(seeds)))
    for s, row in enumerate(pairs):
        for inside, outside in row:
            if inside.status == "skipped":
                sums[0, s] += 1
                continue
            cube[:, s, column[inside.query_id]] = (
                _hit(inside, metric, cells["id", seeds[s]]),
                _hit(outside, metric, cells["ood", seeds[s]]),
                1,
                *_logprobs(inside, outside),
            )
            sums[1:, s] += (
                inside.shots,
                inside.coverage,
                outside.coverage,
                *(np.nan if hit is None else hit for hit in _hits(inside, outside)),
            )
    shared = {cell.info.spec.get("sampler", {}).get("selection") for cell in cells.values()}
    crossed = "shared" in shared
    return Paired(subject, query_split, seeds, query_ids, crossed, *cube, *sums)


def _logprobs(inside: Record, outside: Record) -> tuple[float, float, float]:
    if inside.gold_logprob is None or outside.gold_logprob is None:
        return 0.0, 0.0, 0.0
    return inside.gold_logprob, outside.gold_logprob, 1.0


def _hits(inside: Record, outside: Record) -> tuple[bool | None, ...]:
    return inside.raw, outside.raw, inside.canonical, outside.canonical


def _pairs(inside: CellResult, outside: CellResult) -> Iterator[tuple[Record, Record]]:
    """The two records of each query, sorted by its id.

    Raises:
        AnalysisError: The cells do not hold the same queries, one of them skipped a query that the
            other answered, or the effective shots of a query differ.
    """
    left, right = _by_query(inside), _by_query(outside)
    if odd := sorted(left.keys() ^ right.keys()):
        missing = "OOD" if odd[0] in left else "ID"
        raise _incomparable(f"the {missing} cell lacks query `{odd[0]}`", inside, outside)
    for query_id in sorted(left):
        a, b = left[query_id], right[query_id]
        if a.status != b.status:
            skipper = "ID" if a.status == "skipped" else "OOD"
            raise _incomparable(
                f"query `{query_id}` was skipped in the {skipper} cell alone", inside, outside
            )
        if a.status == "scored" and a.shots != b.shots:
            raise _incomparable(
                f"query `{query_id}` has {a.shots} effective shots ID and {b.shots} OOD",
                inside,
                outside,
            )
        yield a, b


def _by_query(cell: CellResult) -> dict[str, Record]:
    records = {record.query_id: record for record in cell.records}
    if len(records) < len(cell.records):
        twice = Counter(record.query_id for record in cell.records).most_common(1)[0][0]
        raise AnalysisError(f"query `{twice}` stands twice in a cell\n  {_name(cell.info)}")
    return records


def _hit(record: Record, metric: Metric, cell: CellResult) -> bool:
    hit = record.raw if metric == "raw" else record.canonical
    if hit is None:
        raise AnalysisError(
            f"query `{record.query_id}` counts as scored and has no {metric} score\n"
            f"  {_name(cell.info)}"
        )
    return hit


def _incomparable(problem: str, inside: CellResult, outside: CellResult) -> AnalysisError:
    return AnalysisError(
        f"ID and OOD cannot be compared: {problem}; run both cells again under one sweep\n"
        f"  {_name(inside.info)}\n  {_name(outside.info)}"
    )


def _name(info: CellInfo) -> str:
    return (
        f"{info.dataset}/{info.split} {info.model}, {info.shots} shots, {info.query_split} queries,"
        f" {info.condition.upper()}, seed {info.seed} (cell {info.key[:12]})"
    )

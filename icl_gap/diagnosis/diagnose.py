"""The audit of a results folder: cell by cell, then group by group."""

from __future__ import annotations

from codecs import getwriter
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from csv import writer
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from icl_gap.diagnosis.coverage import MEASURES, Ruler
from icl_gap.diagnosis.decomposition import RESAMPLES, Explained, Pairs, explain
from icl_gap.diagnosis.error_types import kind_of
from icl_gap.errors import AnalysisError, InputError
from icl_gap.evaluation.texts import Texts, fingerprint, read_texts
from icl_gap.files import replacing
from icl_gap.programs.divergence import atom_divergence, compound_divergence, trees
from icl_gap.progress import Progress, no_progress
from icl_gap.results import Results
from icl_gap.schema import CellInfo, Condition, Metric, Record
from icl_gap.text import brief

COLUMNS = (
    "model",
    "benchmark",
    "query_split",
    "shots",
    "condition",
    "seed",
    "query_id",
    *MEASURES,
    "kind",
    "diverged",
)
"""Of the file of requests: `kind` is `right`, or one of `KINDS`; `diverged`, where an answer leaves
the gold one, by its length."""


class Place(NamedTuple):
    """What is compared: a side of a benchmark at one number of shots."""

    benchmark: str
    query_split: str
    shots: int


Means = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found."""

    coverage: Mapping[tuple[Place, Condition], Means]
    """The mean of each measure, over the requests of all models."""
    divergences: Mapping[tuple[str, str, Condition], tuple[float, float]]
    """Of atoms and compounds, between the pool and the queries of a benchmark and query split."""
    explained: Mapping[tuple[str, Place], Explained]
    """By model."""
    kinds: Mapping[tuple[str, Place, Condition], Mapping[str, int]]
    """How many wrong answers are of each kind, by model."""
    diverged: Mapping[tuple[str, Place, Condition], float]
    """The median place at which wrong answers leave the gold one, by its length: from 0, at once,
    to 1."""
    notes: tuple[str, ...]
    """What had to be left out, and why."""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON has it: a list of rows for each table."""
        return {
            "coverage": [
                {**at._asdict(), "condition": condition, **means}
                for (at, condition), means in self.coverage.items()
            ],
            "divergences": [
                {"benchmark": name, "query_split": split, "condition": condition}
                | {"atoms": atoms, "compounds": compounds}
                for (name, split, condition), (atoms, compounds) in self.divergences.items()
            ],
            "explained": [
                {"model": model, **at._asdict(), **asdict(found)}
                for (model, at), found in self.explained.items()
            ],
            "kinds": [
                {"model": key[0], **key[1]._asdict(), "condition": key[2], "kinds": dict(kinds)}
                | {"diverged": self.diverged.get(key)}
                for key, kinds in self.kinds.items()
            ],
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        sizes = f"{len(self.coverage)} means of coverage, {len(self.explained)} gaps explained"
        return brief("Audit", sizes, f"{len(self.notes)} notes")


@dataclass(slots=True)
class _Gathered:
    """What the cells come to."""

    measured: dict[tuple[Place, Condition], list[list[float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    requests: dict[tuple[str, Place], dict[Condition, dict[tuple[str, int], _Asked]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(dict))
    )
    kinds: dict[tuple[str, Place, Condition], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    diverged: dict[tuple[str, Place, Condition], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    queries: dict[tuple[str, str, Condition], tuple[CellInfo, dict[str, None]]] = field(
        default_factory=dict
    )


class _Asked(NamedTuple):
    right: bool
    measures: list[float]


def audit(
    results: Results,
    *,
    metric: Metric = "raw",
    csv: Path | None = None,
    resamples: int = RESAMPLES,
    progress: Progress = no_progress,
) -> Audit:
    """Audit a study.

    Args:
        results: Its cells; they are read one at a time.
        metric: Which match makes an answer right.
        csv: A file to write what was measured of each request to, a row each: `COLUMNS`.
        resamples: Of all intervals.
        progress: Shows progress.

    Raises:
        AnalysisError: The benchmarks that it was made from are not at hand, or the match is not
            known of some answers.
        InputError: The file cannot be written.
    """
    with _sheet(csv) as write:
        return _audit(results, metric, write, resamples, progress)


Write = Callable[[Sequence[object]], object]


@contextmanager
def _sheet(path: Path | None) -> Iterator[Write]:
    """Rows go to a file, or nowhere."""
    if path is None:
        yield lambda _: None
        return
    try:
        with replacing(path) as file:
            write = writer(getwriter("utf-8")(file), lineterminator="\n").writerow
            write(COLUMNS)
            yield write
    except OSError as error:
        problem = f"cannot write what was measured: {error.strerror}"
        raise InputError(problem, value=str(path)) from error


def _audit(
    results: Results, metric: Metric, write: Write, resamples: int, progress: Progress
) -> Audit:
    texts = read_texts(results.sweep)
    gathered, missing, rulers = _Gathered(), dict[str, None](), dict[str, Ruler]()
    for number in progress(range(len(results)), "measuring", len(results)):
        info = results.infos[number]
        if why := texts.why_not(info):
            missing[why] = None
            continue
        ruler = rulers.setdefault(fingerprint(info), Ruler(texts.form(info)))
        for row in _gather(gathered, info, results[number].records, texts, ruler, metric=metric):
            write(row)
    if not gathered.measured:
        raise AnalysisError(
            "nothing can be audited:\n" + "\n".join(missing or ["no finished cell"])
        )
    return Audit(
        coverage={
            at: dict(zip(MEASURES, map(float, np.mean(rows, axis=0)), strict=True))
            for at, rows in gathered.measured.items()
        },
        divergences=dict(_divergences(gathered, texts)),
        explained={
            at: explain(pairs, resamples=resamples)
            for at, requests in progress(
                gathered.requests.items(), "resampling", len(gathered.requests)
            )
            if (pairs := _pairs(requests)) is not None
        },
        kinds=gathered.kinds,
        diverged={at: float(np.median(found)) for at, found in gathered.diverged.items()},
        notes=tuple(missing),
    )


def _gather(
    gathered: _Gathered,
    info: CellInfo,
    records: Sequence[Record],
    texts: Texts,
    ruler: Ruler,
    *,
    metric: Metric,
) -> Iterator[list[object]]:
    """Take a cell, and give a row of `COLUMNS` for each of its requests."""
    examples = texts.of(info)
    at = Place(f"{info.dataset}/{info.split}", info.query_split, info.shots)
    asked = gathered.queries.setdefault((at.benchmark, at.query_split, info.condition), (info, {}))
    scored = [record for record in records if record.status == "scored"]
    for record, shown in zip(scored, texts.shown(info, scored), strict=True):
        query = examples[record.query_id]
        measures = [float(value) for value in asdict(ruler.measure(query, shown)).values()]
        gathered.measured[at, info.condition].append(measures)
        place = (record.query_id, info.seed)
        right: bool | None = getattr(record, metric)
        if right is None:
            raise AnalysisError(
                f"{at.benchmark} {info.model}: query `{record.query_id}` has no {metric} score; "
                "audit another metric, or run the sweep with `predictions: full`"
            )
        found = _Asked(right, measures)
        gathered.requests[info.model, at][info.condition][place] = found
        asked[1][query.target] = None
        kind, diverged = "right", None
        if not right:
            key = (info.model, at, info.condition)
            targets = [each.target for each in shown]
            kind = kind_of(record.prediction, query.target, targets, texts.form(info))
            gathered.kinds[key][kind] += 1
            if record.divergence is not None and record.gold_tokens:
                diverged = record.divergence.position / record.gold_tokens
                gathered.diverged[key].append(diverged)
        told = [info.model, *at, info.condition, info.seed, record.query_id]
        yield [*told, *measures, kind, diverged]


def _pairs(requests: Mapping[Condition, Mapping[tuple[str, int], _Asked]]) -> Pairs | None:
    """Those requests that were answered under both conditions; None where there are none."""
    both = sorted(requests.get("id", {}).keys() & requests.get("ood", {}).keys())
    if not both:
        return None
    numbers = {query: number for number, query in enumerate(dict.fromkeys(q for q, _ in both))}
    sides = [[requests[condition][place] for place in both] for condition in ("id", "ood")]
    return Pairs(
        right=np.array([[each.right for each in side] for side in sides], float),
        measures=np.array([[each.measures for each in side] for side in sides]),
        query=np.array([numbers[query] for query, _ in both]),
    )


def _divergences(
    gathered: _Gathered, texts: Texts
) -> Iterator[tuple[tuple[str, str, Condition], tuple[float, float]]]:
    for at, (info, targets) in gathered.queries.items():
        form = texts.form(info)
        pool = trees((each.target for each in texts.pool(info)), form)
        queries = trees(targets, form)
        if pool and queries:
            yield at, (atom_divergence(pool, queries), compound_divergence(pool, queries))

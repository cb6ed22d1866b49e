"""`diagnose`: coverage, divergence, explained gaps and error types of a results folder."""

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

from icl_gap.analysis.matched import matched_contrasts
from icl_gap.analysis.points import MatchedContrast
from icl_gap.diagnosis.coverage import MEASURES, CoverageMeter
from icl_gap.diagnosis.decomposition import (
    RESAMPLES,
    GapDecomposition,
    RequestPairs,
    decompose_gap,
)
from icl_gap.diagnosis.error_types import error_type, wrong_text
from icl_gap.diagnosis.explanation import CONFIDENCE
from icl_gap.errors import AnalysisError, InputError
from icl_gap.evaluation.texts import SweepTexts, cell_fingerprint, read_texts
from icl_gap.files import replacing
from icl_gap.programs.divergence import atom_divergence, compound_divergence, trees_of
from icl_gap.progress import Progress
from icl_gap.progress_bars import interactive_progress
from icl_gap.results import OUTCOMES, Results, open_results
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
    "outcome",
    "diverged",
)
"""Columns of the CSV file, one row a request. `outcome` is `right` or one of `ERROR_TYPES`;
`diverged` is the position at which the answer leaves the gold program, as a share of the program's
length in tokens."""


class RequestGroup(NamedTuple):
    """One side of a benchmark with one number of shots."""

    benchmark: str
    query_split: str
    shots: int


Means = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Coverage, divergence, explained gaps and error types of a set of results."""

    coverage: Mapping[tuple[RequestGroup, Condition], Means]
    """Mean of each measure over the requests of all models."""
    divergences: Mapping[tuple[str, str, Condition], tuple[float, float]]
    """Atom and compound divergence between the pool and the queries, in [0, 1], by benchmark, query
    split and condition."""
    explained: Mapping[tuple[str, RequestGroup], GapDecomposition]
    """Decomposition of each model's gap, by model and group."""
    error_types: Mapping[tuple[str, RequestGroup, Condition], Mapping[str, int]]
    """Number of wrong answers of each error type, by model, group and condition."""
    diverged: Mapping[tuple[str, RequestGroup, Condition], float]
    """Median position at which wrong answers leave the gold program, as a share of its length: 0 at
    its first token, 1 at its end."""
    matched: tuple[MatchedContrast, ...]
    """Gaps that remain under `ood_matched`, for sweeps with that condition."""
    notes: tuple[str, ...]
    """Cells that are left out, and why."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `json.dumps`: a list of rows for each table."""
        return {
            "coverage": [
                {**group._asdict(), "condition": condition, **means}
                for (group, condition), means in self.coverage.items()
            ],
            "divergences": [
                {"benchmark": name, "query_split": split, "condition": condition}
                | {"atoms": atoms, "compounds": compounds}
                for (name, split, condition), (atoms, compounds) in self.divergences.items()
            ],
            "explained": [
                {"model": model, **group._asdict(), **asdict(found)}
                for (model, group), found in self.explained.items()
            ],
            "error_types": [
                {"model": key[0], **key[1]._asdict(), "condition": key[2], "counts": dict(counts)}
                | {"diverged": self.diverged.get(key)}
                for key, counts in self.error_types.items()
            ],
            "matched": [asdict(each) for each in self.matched],
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        sizes = f"{len(self.coverage)} means of coverage, {len(self.explained)} gaps explained"
        return brief("Diagnosis", sizes, f"{len(self.notes)} notes")

    def _repr_html_(self) -> str:
        from icl_gap.diagnosis.diagnosis_html import diagnosis_html

        return diagnosis_html(self)


class _Outcome(NamedTuple):
    """Correctness and coverage of one request."""

    right: bool
    measures: list[float]


@dataclass(slots=True)
class _Collected:
    """Values of all cells read so far."""

    coverage: dict[tuple[RequestGroup, Condition], list[list[float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    outcomes: dict[tuple[str, RequestGroup], dict[Condition, dict[tuple[str, int], _Outcome]]] = (
        field(default_factory=lambda: defaultdict(lambda: defaultdict(dict)))
    )
    """By model and group, condition, and (query id, seed)."""
    error_types: dict[tuple[str, RequestGroup, Condition], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    diverged: dict[tuple[str, RequestGroup, Condition], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    targets: dict[tuple[str, str, Condition], tuple[CellInfo, dict[str, None]]] = field(
        default_factory=dict
    )
    """A cell and the distinct targets of the queries, by benchmark, query split and condition."""


def diagnose(
    results: Results | str | Path,
    *,
    metric: Metric = "raw",
    csv: str | Path | None = None,
    resamples: int = RESAMPLES,
    progress: Progress = interactive_progress,
) -> Diagnosis:
    """Diagnose the gaps of a results folder.

    Args:
        results: The folder, opened, or its path; its cells are read one at a time.
        metric: The match that makes an answer right.
        csv: File to write one row a request to, with the columns `COLUMNS`; None writes none.
        resamples: Number of bootstrap resamples of all intervals.
        progress: Shows progress; by default in a notebook and at a prompt.

    Raises:
        AnalysisError: The benchmarks of the run are not available, or some answers have no score
            under `metric`.
        InputError: The CSV file cannot be written.
    """
    with _csv_rows(None if csv is None else Path(csv)) as write:
        return _diagnose(open_results(results), metric, write, resamples, progress)


WriteRow = Callable[[Sequence[object]], object]


@contextmanager
def _csv_rows(path: Path | None) -> Iterator[WriteRow]:
    """Open a CSV file; yield a function that writes a row, or drops it if there is no path."""
    if path is None:
        yield lambda _: None
        return
    try:
        with replacing(path) as file:
            write = writer(getwriter("utf-8")(file), lineterminator="\n").writerow
            write(COLUMNS)
            yield write
    except OSError as error:
        problem = f"cannot write the CSV file of requests: {error.strerror}"
        raise InputError(problem, value=str(path)) from error


def _diagnose(
    results: Results, metric: Metric, write: WriteRow, resamples: int, progress: Progress
) -> Diagnosis:
    texts = read_texts(results.sweep)
    collected, missing, meters = _Collected(), dict[str, None](), dict[str, CoverageMeter]()
    for number in progress(range(len(results)), "measuring", len(results)):
        info = results.infos[number]
        if why := texts.why_not(info):
            missing[why] = None
            continue
        meter = meters.setdefault(cell_fingerprint(info), CoverageMeter(texts.language(info)))
        for row in _collect(collected, info, results[number].records, texts, meter, metric=metric):
            write(row)
    if not collected.coverage:
        raise AnalysisError(
            "there is nothing to diagnose:\n" + "\n".join(missing or ["no finished cell"])
        )
    return Diagnosis(
        coverage={
            key: dict(zip(MEASURES, map(float, np.mean(rows, axis=0)), strict=True))
            for key, rows in collected.coverage.items()
        },
        divergences=dict(_divergences(collected, texts)),
        explained={
            key: decompose_gap(pairs, resamples=resamples)
            for key, outcomes in progress(
                collected.outcomes.items(), "resampling", len(collected.outcomes)
            )
            if (pairs := _pairs(outcomes)) is not None
        },
        error_types=collected.error_types,
        diverged={key: float(np.median(found)) for key, found in collected.diverged.items()},
        matched=_contrasts(results, metric, resamples),
        notes=tuple(missing),
    )


def _contrasts(results: Results, metric: Metric, resamples: int) -> tuple[MatchedContrast, ...]:
    if not any(info.condition == "ood_matched" for info in results.infos):
        return ()
    frame = results.frame(OUTCOMES)
    bootstrap = {"resamples": resamples, "seed": 0}
    return matched_contrasts(frame, metric, **bootstrap, confidence=CONFIDENCE)[0]


def _collect(
    collected: _Collected,
    info: CellInfo,
    records: Sequence[Record],
    texts: SweepTexts,
    meter: CoverageMeter,
    *,
    metric: Metric,
) -> Iterator[list[object]]:
    """Add a cell, and yield a row of `COLUMNS` for each of its scored requests."""
    examples = texts.of(info)
    group = RequestGroup(f"{info.dataset}/{info.split}", info.query_split, info.shots)
    where = (group.benchmark, group.query_split, info.condition)
    _, targets = collected.targets.setdefault(where, (info, {}))
    scored = [record for record in records if record.status == "scored"]
    for record, shown in zip(scored, texts.shown(info, scored), strict=True):
        query = examples[record.query_id]
        measures = [float(value) for value in asdict(meter.measure(query, shown)).values()]
        collected.coverage[group, info.condition].append(measures)
        right = record.scores.get(metric)
        if right is None:
            raise AnalysisError(
                f"{group.benchmark} {info.model}: query `{record.query_id}` has no {metric} score; "
                "choose another metric, or run the sweep with `predictions: full`"
            )
        outcomes = collected.outcomes[info.model, group][info.condition]
        outcomes[record.query_id, info.seed] = _Outcome(right, measures)
        targets[query.target] = None
        outcome, diverged = "right", None
        if not right:
            key = (info.model, group, info.condition)
            programs = [each.target for each in shown]
            outcome = error_type(wrong_text(record), query.target, programs, texts.language(info))
            collected.error_types[key][outcome] += 1
            if record.divergence is not None and record.gold_tokens:
                diverged = record.divergence.position / record.gold_tokens
                collected.diverged[key].append(diverged)
        described = [info.model, *group, info.condition, info.seed, record.query_id]
        yield [*described, *measures, outcome, diverged]


def _pairs(
    outcomes: Mapping[Condition, Mapping[tuple[str, int], _Outcome]],
) -> RequestPairs | None:
    """Pair the requests answered under both conditions; None if there are none."""
    both = sorted(outcomes.get("id", {}).keys() & outcomes.get("ood", {}).keys())
    if not both:
        return None
    numbers = {query: number for number, query in enumerate(dict.fromkeys(q for q, _ in both))}
    sides = [[outcomes[condition][key] for key in both] for condition in ("id", "ood")]
    return RequestPairs(
        right=np.array([[each.right for each in side] for side in sides], float),
        measures=np.array([[each.measures for each in side] for side in sides]),
        query=np.array([numbers[query] for query, _ in both]),
    )


def _divergences(
    collected: _Collected, texts: SweepTexts
) -> Iterator[tuple[tuple[str, str, Condition], tuple[float, float]]]:
    """Yield the divergences of each benchmark, query split and condition whose programs parse."""
    for where, (info, targets) in collected.targets.items():
        language = texts.language(info)
        pool = trees_of((each.target for each in texts.pool(info)), language)
        queries = trees_of(targets, language)
        if pool and queries:
            yield where, (atom_divergence(pool, queries), compound_divergence(pool, queries))

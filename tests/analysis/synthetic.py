"""Made-up cells, for the tests of analysis and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from icl_gap import analysis
from icl_gap.analysis import Analysis
from icl_gap.results import frame_of
from icl_gap.schema import CellInfo, CellResult, Condition, Record, Split

Hit = bool | Literal["failed"] | None
Model = tuple[str, str, int | None, bool]
"""Name, family, parameters, trained."""


def analyze(cells: Iterable[CellResult], **options: Any) -> Analysis:
    """What `icl_gap.analyze` makes of cells."""
    return analysis.analyze(frame_of(cells), **options)


def record(query_id: str, hit: Hit, **changes: Any) -> Record:
    """One outcome; a hit of None is a skipped request, one of "failed" has no answer."""
    made = Record(
        query_id=query_id,
        exemplar_ids=(),
        shots=5,
        coverage=0.5,
        prompt_sha256="0" * 64,
        prompt_tokens=None,
        status="skipped" if hit is None else "failed" if hit == "failed" else "scored",
        scores={} if hit in {None, "failed"} else {"raw": bool(hit), "canonical": bool(hit)},
    )
    return replace(made, **changes)


def cell(condition: Condition, hits: Iterable[Hit], **changes: Any) -> CellResult:
    """A cell of which the query ids count up; `changes` go to its description."""
    info = CellInfo(
        key="",
        model="opt-350m",
        family="opt",
        n_params=350_000_000,
        n_params_non_embedding=300_000_000,
        trained=True,
        dataset="scan",
        split="mcd1",
        partial=None,
        query_split="test",
        condition=condition,
        shots=5,
        seed=0,
        n_queries=0,
        spec={},
    )
    info = replace(info, **changes)
    info = replace(info, key=info.key or sha256(repr(info).encode()).hexdigest())
    records = tuple(
        record(f"{info.query_split}-{n}", hit, shots=info.shots) for n, hit in enumerate(hits)
    )
    return CellResult(replace(info, n_queries=len(records)), records)


def sweep(
    models: Sequence[Model],
    chance: Callable[[str, int, Condition], float],
    *,
    seeds: int = 3,
    queries: int = 40,
    shots: Sequence[int] = (5,),
    splits: Sequence[Split] = ("test", "train"),
    **changes: Any,
) -> list[CellResult]:
    """All cells of a small grid; `chance` gives the odds of a hit of model, shots and condition."""
    rng = np.random.default_rng(7)
    return [
        cell(
            condition,
            (rng.random(queries) < chance(name, k, condition)).tolist(),
            model=name,
            family=family,
            n_params=n_params,
            n_params_non_embedding=None if n_params is None else n_params * 9 // 10,
            trained=trained,
            query_split=query_split,
            shots=k,
            seed=seed,
            **changes,
        )
        for name, family, n_params, trained in models
        for k in shots
        for query_split in splits
        for seed in range(seeds)
        for condition in ("id", "ood")
    ]

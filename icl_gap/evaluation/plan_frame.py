"""The cells of a plan as a pandas frame, and as the HTML table that a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from icl_gap.evaluation.grid import Cell
from icl_gap.html_table import html_table

if TYPE_CHECKING:
    import pandas as pd

    from icl_gap.evaluation.planning import Plan

_CELL = (
    "model", "family", "n_params", "trained", "dataset", "split", "partial", "query_split",
    "condition", "shots", "seed",
)  # fmt: skip
"""Columns that are fields of `CellInfo`."""
_GROUP = ("model", "dataset", "split", "shots")
_WHOLE = ("n_params", "requests", "prompt_tokens", "longest_prompt", "fewer_shots", "left_out")


def plan_frame(plan: Plan) -> pd.DataFrame:
    """Return the cells to run as a frame, one row a cell; see `Plan.to_frame` for its columns."""
    import pandas as pd

    frame = pd.DataFrame([_row(plan, cell) for cell in plan.mine], columns=[*_CELL, *_WHOLE[1:]])
    return frame.astype(dict.fromkeys(_WHOLE, "Int64") | {"partial": "str"})


def _row(plan: Plan, cell: Cell) -> Mapping[str, Any]:
    sizes, info = plan.sizes(cell), asdict(cell.info)
    tokens = sizes.prompt_tokens
    return {name: info[name] for name in _CELL} | {
        "requests": cell.info.n_queries,
        "prompt_tokens": sum(tokens) if tokens else None,
        "longest_prompt": max(tokens, default=None),
        "fewer_shots": sizes.shortened,
        "left_out": sizes.skipped,
    }


def plan_html(plan: Plan) -> str:
    """Return a table of a plan: the requests of each model, benchmark and number of shots."""
    frame = plan_frame(plan)
    requests = int(frame.requests.sum())
    caption = f"{plan.sweep.name}: {len(frame):,} cells, {requests:,} requests"
    groups = frame.groupby(list(_GROUP), sort=False)
    rows = [_group_row(key, group) for key, group in groups]
    return html_table(caption, rows, left=("model", "benchmark"))


def _group_row(key: Iterable[Any], group: pd.DataFrame) -> Mapping[str, str]:
    model, dataset, split, shots = key
    row = {
        "model": str(model) + ("" if group.trained.all() else " (untrained)"),
        "benchmark": f"{dataset}/{split}" + ("" if group.partial.isna().all() else " (partial)"),
        "shots": str(shots),
        "cells": f"{len(group):,}",
        "requests": f"{group.requests.sum():,}",
    }
    if group.prompt_tokens.isna().any():  # the model has no tokenizer
        return row | {"prompt tokens": "-", "longest": "-"}
    longest = f"{group.longest_prompt.max():,}"
    return row | {"prompt tokens": f"{group.prompt_tokens.sum():,}", "longest": longest}

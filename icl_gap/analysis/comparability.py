"""Checks that cells of results can be compared: one description of a model, the same queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from icl_gap.analysis.outcomes import CellOutcomes
from icl_gap.errors import AnalysisError

_MODEL_FIELDS = (
    "family",
    "n_params",
    "n_params_non_embedding",
    "size_source",
    "training_tokens",
    "training_seed",
    "trained",
    "partial",
)


def check_models(cells: Sequence[CellOutcomes]) -> None:
    """Check that the cells of one model on one benchmark describe both in the same way."""
    seen: dict[tuple[str, str], CellOutcomes] = {}
    for cell in cells:
        first = seen.setdefault((cell.setting.model, cell.setting.benchmark), cell)
        for name in _MODEL_FIELDS:
            mine, other = getattr(cell.setting, name), getattr(first.setting, name)
            if mine != other:
                raise AnalysisError(
                    f"two cells that belong together differ in `{name}`: {other!r} and {mine!r}\n"
                    f"  {first.name}\n  {cell.name}"
                )


def check_pair(inside: CellOutcomes, outside: CellOutcomes, names: NDArray[np.object_]) -> None:
    """Check that two cells hold the same queries with the same effective shots.

    Args:
        inside: The ID cell.
        outside: The OOD cell.
        names: The ids of all queries.

    Raises:
        AnalysisError: A query is missing or skipped in one cell alone, or its effective shots
            differ.
    """
    problem = None
    if len(odd := np.setxor1d(inside.queries, outside.queries)):
        missing = "OOD" if odd[0] in inside.queries else "ID"
        problem = f"the {missing} cell lacks query `{names[odd[0]]}`"
    elif (apart := inside.sent != outside.sent).any():
        n = int(apart.argmax())
        skipper = "OOD" if inside.sent[n] else "ID"
        problem = f"query `{names[inside.queries[n]]}` was skipped in the {skipper} cell alone"
    elif (apart := inside.sent & (inside.shots != outside.shots)).any():
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

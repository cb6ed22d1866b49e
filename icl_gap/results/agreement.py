"""Agreement of the cells of one model on its description, which comparisons need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain

from icl_gap.schema import CellInfo

DESCRIPTION = (
    "n_params",
    "n_params_non_embedding",
    "size_source",
    "training_tokens",
    "training_seed",
    "trained",
    "partial",
)
"""Fields of `CellInfo` in which the cells of one model on one benchmark agree."""


def same_description(one: CellInfo, other: CellInfo) -> bool:
    """Return whether two cells of one model on one benchmark describe both in the same way."""
    return all(getattr(one, name) == getattr(other, name) for name in DESCRIPTION)


def disagreements(cells: Iterable[CellInfo]) -> dict[str, str]:
    """Find the cells whose descriptions must be written again.

    Where a cell lacks a value that others have, it is that cell. Where two cells have different
    values, only the model can tell which is right, so it is all cells of the model.

    Args:
        cells: Settled cells of one sweep, under their labels.

    Returns:
        The problem of each such cell, by its key.
    """
    groups: defaultdict[tuple[str, str, str], list[CellInfo]] = defaultdict(list)
    for info in cells:
        groups[info.model, info.dataset, info.split].append(info)
    return dict(chain.from_iterable(map(_disagreements, groups.values())))


def _disagreements(group: Sequence[CellInfo]) -> Iterable[tuple[str, str]]:
    best = max(group, key=_known)
    odd = [
        (info, name)
        for info in group
        for name in DESCRIPTION
        if getattr(info, name) != getattr(best, name)
    ]
    known = next(((info, name) for info, name in odd if getattr(info, name) is not None), None)
    if known is None:
        return [(info.key, _problem(name, info, best)) for info, name in odd]
    other, name = known
    agrees = getattr(best, name)
    return [
        (i.key, _problem(name, i, other if getattr(i, name) == agrees else best)) for i in group
    ]


def _known(info: CellInfo) -> int:
    """Return how many values a cell has."""
    return sum(getattr(info, name) is not None for name in DESCRIPTION)


def _problem(name: str, info: CellInfo, other: CellInfo) -> str:
    return (
        f"its {name} is {getattr(info, name)!r}, and cell {other.key[:12]} of the same model says "
        f"{getattr(other, name)!r}; run the sweep again, which describes it again"
    )

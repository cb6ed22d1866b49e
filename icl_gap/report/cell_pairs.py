"""Cells of two results that ask the same: their pairs, and the cells that have none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from icl_gap.evaluation.texts import cell_fingerprint
from icl_gap.results import Results
from icl_gap.schema import CellInfo
from icl_gap.text import shots_text

FREE = ("model", "dataset", "split", "shots", "seed")
"""Fields that pairs may differ in, where each of the results has one value of it."""
FIXED = ("query_split", "condition")
"""Fields that pairs have in common."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs of two results."""

    pairs: tuple[tuple[int, int], ...]
    """Numbers of two cells, one of each results, in the order of the first."""
    differing: tuple[tuple[str, str, str], ...]
    """Fields in which all pairs differ, with the value of each results."""
    only_first: tuple[str, ...]
    """Cells of the first results without a partner."""
    only_second: tuple[str, ...]


def pair_cells(first: Results, second: Results) -> Pairing:
    """Pair the cells that differ in nothing but what was changed between two results.

    Partners have the same model, benchmark, side, condition, shots and seed. A field of which each
    of the results has one value, and not the same, does not keep cells apart: that is what was
    changed. Cells whose benchmarks have other texts have no partner.
    """
    differing = tuple(_differing(first.infos, second.infos))
    free = {name for name, *_ in differing}
    fields = [name for name in (*FREE, *FIXED) if name not in free]
    waiting: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, info in enumerate(second.infos):
        waiting[_identity(info, fields)].append(number)
    pairs, alone = [], []
    for number, info in enumerate(first.infos):
        partners = waiting[_identity(info, fields)]
        if partners:
            pairs.append((number, partners.pop(0)))
        else:
            alone.append(describe_cell(info))
    left = sorted(number for numbers in waiting.values() for number in numbers)
    others = tuple(describe_cell(second.infos[number]) for number in left)
    return Pairing(tuple(pairs), differing, tuple(alone), others)


def describe_cell(info: CellInfo) -> str:
    """Return a cell in words."""
    return (
        f"{info.dataset}/{info.split} {info.model}, {shots_text(info.shots)}, {info.query_split} "
        f"queries, {info.condition.upper()}, seed {info.seed}"
    )


def _differing(first: Sequence[CellInfo], second: Sequence[CellInfo]) -> list[tuple[str, str, str]]:
    found = []
    for name in FREE:
        values = [{str(getattr(info, name)) for info in infos} for infos in (first, second)]
        if len(values[0]) == len(values[1]) == 1 and values[0] != values[1]:
            found.append((name, values[0].pop(), values[1].pop()))
    return found


def _identity(info: CellInfo, fields: Sequence[str]) -> tuple[object, ...]:
    return (cell_fingerprint(info), *(getattr(info, name) for name in fields))

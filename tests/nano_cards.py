"""Exact match of the nano models, as their cards tell it."""

from __future__ import annotations

import re

from icl_gap.analysis import format_count
from icl_gap.models.shipped import shipped_folder
from icl_gap.models.zoo import ZooModel, members, zoo

SHOWN = (("simple", "ID"), ("mcd1", "ID"), ("mcd1", "OOD"))
"""Splits and conditions of the table, of test queries."""


def exact_match_table() -> str:
    """Return exact match at the most shots as a Markdown table, a row for each size."""
    rows = [
        "| size | parameters outside embeddings | simple, te→te | MCD1, te→te | MCD1, tr→te |",
        "| --- | --- | --- | --- | --- |",
    ]
    families = [name for name in zoo() if name.startswith("nano-")]
    rows += [_row(each) for family in families for each in members(family)]
    return "\n".join(rows) + "\n"


def exact_match(name: str, split: str, condition: str) -> float:
    """Return the exact match of a model on test queries, at the most shots of its card."""
    folder = shipped_folder(name)
    assert folder is not None
    card = (folder / "README.md").read_text(encoding="utf-8")
    row = rf"^\| {split}, test queries \| {condition} \|.* (\S+) \|$"
    found = re.search(row, card, re.MULTILINE)
    assert found is not None, (name, split, condition)
    return float(found[1])


def trainings(each: ZooModel) -> dict[int | None, str]:
    """Return the names of a size's models by their training seeds; None for one training."""
    return {seed: each.named(seed) for seed in each.training_seeds or (None,)}


def _row(each: ZooModel) -> str:
    names = trainings(each).values()
    numbers = ("/".join(f"{exact_match(name, *at):.2f}" for name in names) for at in SHOWN)
    size = format_count(each.n_params_non_embedding)
    return f"| `{each.listed_name}` | {size} | {' | '.join(numbers)} |"

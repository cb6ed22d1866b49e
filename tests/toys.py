"""A small sweep on a small benchmark, for tests of whatever plans and runs sweeps."""

from __future__ import annotations

from pathlib import Path

from icl_gap.evaluation.config import SweepSpec
from icl_gap.specs import check_spec


def sweep(card: str | dict[str, str], **changes: object) -> SweepSpec:
    """Sixteen cells of four requests on the benchmark of a card, of `nearest` unless changed.

    Args:
        card: A benchmark, as sweeps name it.
        changes: Of the sweep's fields.
    """
    fields = {
        "name": "s",
        "datasets": [card],
        "models": ["nearest"],
        "shots": [0, 2],
        "seeds": [0, 1],
        "limit": 4,
    }
    return check_spec({**fields, **changes}, SweepSpec)


def write_toy(place: Path) -> str:
    """Write the benchmark of `toy_card`, and return its card's path."""
    folder = place / "toy"
    folder.mkdir()
    for side, verbs in (("train", "abc"), ("test", "def")):
        rows = [f"{verb} {n}\t{verb.upper()} {n}" for verb in verbs for n in range(10)]
        (folder / f"{side}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    card = place / "toy.yaml"
    card.write_text(TOY_CARD, encoding="utf-8")
    return str(card)


TOY_CARD = """\
name: toy
title: A toy
licence: CC0
citation: none
language: tokens
template: {instruction: Answer., source_label: "Q:", target_label: "A:"}
loader: tsv
sources: [{kind: local, folder: toy}]
default_split: plain
splits:
  plain: {train: 30, test: 30, files: {train: train.tsv, test: test.tsv}}
"""

"""Write the cards of nano models: `python -m icl_gap.nano.model_cards results/nano`.

A card gives a model's training data, its training run and its exact match, which comes from a run
of `sweeps/nano.yaml`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from icl_gap.analysis import GapPoint, analyze
from icl_gap.models.shipped import shipped_folder, shipped_models
from icl_gap.nano.patterns import HELD_OUT_SPLITS, held_out, patterns
from icl_gap.nano.training_recipe import TRAINING, Recipe, curriculum
from icl_gap.results import OUTCOMES, open_results
from icl_gap.text import shots_text

_CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [in-context-learning, compositional-generalization, scan]
---

# {name}

A {family} of {layers} layers and width {width} that carries out SCAN's commands, in the template of
SCAN's card and in no other text. It was trained to learn what verbs and directions mean from the
exemplars of its prompt: every training episode had a lexicon of its own, six out of 64 words and
six out of 16 actions, in which at most one word meant what it means in SCAN.

{seen}

|  |  |
| --- | --- |
| parameters | {parameters:,}, of these {outside:,} outside the embeddings |
| data | episodes drawn as training went on; {tokens:,} tokens, in rows of at most {length} |
| steps | {steps:,}, {warm_up:,} of them on repeated sequences alone |
| learning rate | {rate:.2g}, falling to zero over the last {decay:.0%} of the steps |
| weight decay | {weight_decay:g} (AdamW) |
| training seed | {seed} |
| time | {minutes:.0f} minutes |
| machine | {machine}; {precision}; torch {torch} |

Exact match with exemplars from the query's own split (ID) and from the other split (OOD), as
`sweeps/nano.yaml` measures it ({requests} requests a number):

{table}

Made by `python -m icl_gap.nano.train {arguments}`.{earlier}
"""

_EARLIER = """ The levels
of its curriculum were those of an earlier recipe, which `training_args.json` tells; today's command
makes another model of the same kind."""
_DEFAULT = """\
**Default family.** Of SCAN's {all} command patterns (commands with their verbs and directions left
open) it never saw, under any lexicon, the {held_out} that occur only in the test sets of {splits}.
What it gets right on these it owes to its exemplars or to generalization."""

_CONTROL = """\
**Control family.** It saw all of SCAN's {all} command patterns, those of the test sets too (under
other lexicons): nothing about a test set is new to it but what its words mean."""


def model_card(training: dict[str, Any], points: Sequence[GapPoint]) -> str:
    """Return the text of a model's card.

    Args:
        training: The content of `training_args.json`.
        points: The gaps of the model.
    """
    recipe, progress = Recipe(**training["recipe"]), training["progress"]
    seen = _CONTROL if recipe.control else _DEFAULT
    return _CARD.format(
        name=recipe.name,
        family={"codegen": "CodeGen", "bloom": "BLOOM", "opt": "OPT"}[recipe.family],
        layers=recipe.shape.layers,
        width=recipe.shape.width,
        seen=seen.format(
            all=len(patterns()), held_out=len(held_out()), splits=" and ".join(HELD_OUT_SPLITS)
        ),
        parameters=points[0].n_params,
        outside=points[0].n_params_non_embedding,
        tokens=progress["tokens"],
        length=max(level["length"] for level in training["levels"]),
        steps=recipe.steps,
        warm_up=recipe.warm_up,
        rate=recipe.peak,
        decay=recipe.decay,
        weight_decay=recipe.weight_decay,
        seed=recipe.seed,
        minutes=progress["seconds"] / 60,
        machine=training["machine"],
        precision=training["precision"],
        torch=training["torch"],
        requests=points[0].n_queries * points[0].n_seeds,
        table="\n".join(_table(points)),
        arguments=recipe.arguments,
        earlier="" if training["levels"] == curriculum() else _EARLIER,
    )


def _table(points: Sequence[GapPoint]) -> Iterable[str]:
    shots = sorted({point.shots for point in points})
    yield "| split | exemplars | " + " | ".join(map(shots_text, shots)) + " |"
    yield "| --- | --- |" + " --- |" * len(shots)
    rows = sorted({(point.split, point.query_split) for point in points})
    for split, side in rows:
        measured = {p.shots: p for p in points if (p.split, p.query_split) == (split, side)}
        for condition in ("id", "ood"):
            values = [getattr(measured[n], f"a_{condition}").value for n in shots]
            cells = " | ".join(f"{value:.3f}" for value in values)
            yield f"| {split}, {side} queries | {condition.upper()} | {cells} |"


def write_model_cards(arguments: Sequence[str] | None = None) -> None:
    """Write the card of each model beside its weights, from the command line."""
    parser = argparse.ArgumentParser(prog="python -m icl_gap.nano.model_cards", description=__doc__)
    parser.add_argument("results", type=Path, help="of sweeps/nano.yaml")
    given = parser.parse_args(arguments)
    points = [
        point
        for point in analyze(open_results(given.results).frame(OUTCOMES), resamples=100).points
        if point.query_split != "pooled"
    ]
    measured = {
        name: [point for point in points if point.model == name] for name in shipped_models()
    }
    if missing := [name for name, own in measured.items() if not own]:
        parser.error(f"the results lack {', '.join(missing)}")
    for name, own in measured.items():
        if (folder := shipped_folder(name)) is not None:
            training = json.loads((folder / TRAINING).read_text(encoding="utf-8"))
            (folder / "README.md").write_text(model_card(training, own), encoding="utf-8")


if __name__ == "__main__":
    write_model_cards()

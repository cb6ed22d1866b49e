"""Results on disk, made without a model: real exemplars and prompts, and answers as told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from icl_gap import data, prompts
from icl_gap.data import load_card
from icl_gap.results import CellFile, Results, StoreWriter, open_results, open_store
from icl_gap.sampling import sample_exemplars
from icl_gap.schema import CellInfo, Condition, Exemplars, Record, Split

ROWS = [f"{verb} {n}\t{verb.upper()} {n}" for verb in "abcdef" for n in range(10)]
CARD = {
    "name": "toy",
    "title": "A toy",
    "licence": "CC0",
    "citation": "none",
    "language": "tokens",
    "template": {"instruction": "Answer.", "source_label": "Q:", "target_label": "A:"},
    "loader": "tsv",
    "sources": [{"kind": "local", "folder": "toy"}],
    "default_split": "plain",
    "splits": {"plain": {"files": {"train": "train.tsv", "test": "test.tsv"}}},
}


@dataclass(frozen=True)
class Asked:
    """One request, to be answered."""

    n: int
    condition: Condition
    model: str
    shown: Exemplars

    @property
    def gold(self) -> str:
        return self.shown.query.target


Answers = Callable[[Asked], dict[str, Any]]
"""What a record of a request holds besides its prompt."""


def right_or_wrong(asked: Asked) -> dict[str, Any]:
    """Every query right under ID; under OOD, those of odd number wrong, and not followed."""
    if asked.condition == "id" or asked.n % 2 == 0:
        return {"scores": {"raw": True, "canonical": True}, "prediction": f" {asked.gold}"}
    first, _, rest = asked.gold.partition(" ")
    left = {"position": 1, "expected": f" {rest}", "actual": " X", "text": f" {first}"}
    return {"scores": {"raw": False, "canonical": False}, "reason": "diverged", "divergence": left}


def save_card(folder: Path, rows: Sequence[str] = ROWS, **changes: Any) -> str:
    """Write a benchmark's rows, half on each side, and its card; return the card's path."""
    (folder / "toy").mkdir(parents=True)
    for side, some in (("train", rows[: len(rows) // 2]), ("test", rows[len(rows) // 2 :])):
        (folder / "toy" / f"{side}.tsv").write_text("\n".join(some) + "\n", encoding="utf-8")
    path = folder / "toy.yaml"
    path.write_text(json.dumps(CARD | changes), encoding="utf-8")
    return str(path)


def save_study(
    folder: Path,
    benchmark: str,
    answers: Answers = right_or_wrong,
    *,
    models: Sequence[str] = ("small", "large"),
    shots: Sequence[int] = (2,),
    seeds: Sequence[int] = (0,),
    limit: int = 6,
    conditions: Sequence[Condition] = ("id", "ood"),
    more: Sequence[str] = (),
) -> Results:
    """Write the finished cells of a sweep.

    Args:
        folder: Where to.
        benchmark: A card's name or path.
        answers: What is answered.
        models: All of one family; the n-th has 10 ** (6 + n) parameters.
        shots: As in a sweep.
        seeds: As in a sweep.
        limit: As in a sweep.
        conditions: As in a sweep.
        more: Models whose cells are not finished.
    """
    card = load_card(benchmark)
    loaded = data.load_split(card, card.default_split, None)
    drawn = {
        at: sample_exemplars(
            loaded, query_split=at[0], condition=at[1], shots=at[2], seed=at[3], limit=limit
        )
        for at in product(_SPLITS, conditions, shots, seeds)
    }
    template = prompts.Template(**card.template)
    about = {"fingerprint": loaded.fingerprint}
    infos = [
        (_info(model, len(some), at, 10 ** (6 + n), template, (card, about)), at, some)
        for n, model in enumerate((*models, *more))
        for at, some in drawn.items()
    ]
    sweep = {"name": folder.name, "datasets": [{"name": benchmark, "split": card.default_split}]}
    with open_store(folder, sweep, [info for info, _, _ in infos]):
        for info, at, some in infos:
            if info.model not in more:
                _write(folder, info, at[1], some, template, answers)
    return open_results(folder)


_SPLITS: tuple[Split, ...] = ("test", "train")
_At = tuple[Split, Condition, int, int]


def _info(
    model: str,
    n_queries: int,
    at: _At,
    n_params: int,
    template: prompts.Template,
    benchmark: tuple[data.DatasetCard, dict[str, str]],
) -> CellInfo:
    card, about = benchmark
    query_split, condition, shots, seed = at
    spec = {
        "dataset": about,
        "model": {"kind": "told", "files": {model: "0" * 64}},
        "template": template.model_dump(mode="json"),
        "condition": condition,
    }
    return CellInfo(
        key=hashlib.sha256(repr((model, at)).encode()).hexdigest(),
        model=model,
        family="told",
        n_params=n_params,
        n_params_non_embedding=n_params,
        trained=True,
        dataset=card.name,
        split=card.default_split,
        partial=None,
        query_split=query_split,
        condition=condition,
        shots=shots,
        seed=seed,
        n_queries=n_queries,
        spec=spec,
        provenance={"device": "cpu", "git_commit": None, "started": "2026-01-01T00:00:00+00:00"},
    )


def _write(
    folder: Path,
    info: CellInfo,
    condition: Condition,
    some: Sequence[Exemplars],
    template: prompts.Template,
    answers: Answers,
) -> None:
    with StoreWriter(folder, [CellFile(info, [shown.query.id for shown in some])]) as writer:
        for n, shown in enumerate(some):
            prompt = prompts.render(template, shown)
            record = {
                "query_id": shown.query.id,
                "exemplar_ids": tuple(example.id for example in shown.examples),
                "shots": len(shown.examples),
                "coverage": shown.coverage[-1],
                "matched": None if shown.matched is None else shown.matched[-1],
                "prompt_sha256": prompt.sha256,
                "prompt_tokens": None,
                "status": "scored",
                **answers(Asked(n, condition, info.model, shown)),
            }
            writer.append(info.key, Record(**record))

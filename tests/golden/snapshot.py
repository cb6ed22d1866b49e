"""Digests of results and an inventory of names, which a change of structure must leave alone.

`python tests/golden/snapshot.py` writes both anew, after a change that means to move them; what
moved then shows in the diff of `results.json` and `inventory.json`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

import icl_gap
from icl_gap import errors
from icl_gap.analysis import Analysis, analyze
from icl_gap.cli import app
from icl_gap.data.cards import DatasetCard
from icl_gap.evaluation.config import SweepSpec, read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.plots import CurveRecipe, HeatmapRecipe, nothing_to_draw, plot, shipped_recipes
from icl_gap.specs import check_spec, shipped

HERE = Path(__file__).parent
RESULTS, INVENTORY = HERE / "results.json", HERE / "inventory.json"

RANDOM = {"kind": "random_init", "family": "opt", "hidden_size": 16, "layers": 1}
"""A model with a tokenizer of bytes, which tells how prompts are measured."""
SMALL: dict[str, Any] = {
    "models": ["nearest", RANDOM],
    "shots": [1, 3],
    "seeds": [0],
    "limit": 12,
    "overflow": "drop_shots",
}
BARE: dict[str, dict[str, Any]] = {
    "scan": {
        **SMALL,
        "datasets": [{"name": "scan", "split": "mcd1"}, {"name": "scan", "split": "simple"}],
    },
    "nano": {
        **SMALL,
        "datasets": [{"name": "scan", "split": "length"}],
        "models": ["nano-codegen-m"],
        "shots": [1, 5],
        "limit": 30,
    },
    "listops": {**SMALL, "datasets": ["listops"]},
    "logic": {**SMALL, "datasets": ["logic"]},
    "controls": {**SMALL, "datasets": ["listops"], "control": "shuffled_targets"},
    "covering": {**SMALL, "datasets": ["logic"], "selection": "bm25", "order": "nearest_last"},
    "shared": {**SMALL, "datasets": ["logic"], "selection": "shared"},
}
"""Sweeps that need no file, by name."""
PUBLISHED: dict[str, dict[str, Any]] = {
    "cfq": {**SMALL, "datasets": ["cfq"], "limit": 6},
    "geoquery": {**SMALL, "datasets": [{"name": "geoquery", "split": "template"}]},
    "cogs": {**SMALL, "datasets": ["cogs"], "limit": 6},
    "gsm": {**SMALL, "datasets": ["gsm"], "limit": 6},
}
"""Sweeps that need the published benchmark files, by name."""

EXEMPLARS = ["cell", "query_id", "exemplar_ids", "coverage"]
PROMPTS = ["query_id", "prompt_sha256", "prompt_tokens", "shots_effective", "gold_tokens"]
OUTCOMES = ["query_id", "status", "raw", "canonical", "execution"]
ANSWERS = ["query_id", "prediction", "reason"]
CELL = ["model", "dataset", "split", "query_split", "condition", "shots", "seed"]
FIGURES = ("accuracy_vs_shots", "cells", "gap_vs_scale")


def quickstart() -> SweepSpec:
    """Return the sweep of `make quickstart`."""
    return read_sweep(shipped("sweeps") / "quickstart.yaml")


def small(name: str, fields: dict[str, Any]) -> SweepSpec:
    """Return one of the small sweeps above."""
    return check_spec({"name": name, **fields}, SweepSpec)


def digest_of_run(sweep: SweepSpec, folder: Path) -> dict[str, Any]:
    """Run a sweep, and digest what came of it.

    Args:
        sweep: The sweep.
        folder: Where results and figures go.

    Returns:
        The number of requests, a digest of each cell's key, and digests of exemplars, prompts,
        outcomes, answers (of models without weights, which no processor's rounding can move) and
        the points of figures.
    """
    frame = evaluate_sweep(sweep, folder / "results").frame().sort_values([*CELL, "query_id"])
    found = {
        "requests": len(frame),
        "keys": _digest(sorted(frame["cell"].unique())),
        "exemplars": _rows(frame, [*CELL, *EXEMPLARS[1:]]),
        "prompts": _rows(frame, [*CELL, *PROMPTS]),
        "outcomes": _rows(frame, [*CELL, *OUTCOMES]),
        "answers": _rows(frame[frame["n_params"].isna()], [*CELL, *ANSWERS]),
    }
    analysis = analyze(frame)
    return found | {"figures": dict(_figures(analysis, folder / "figures"))}


def _figures(analysis: Analysis, folder: Path) -> Iterable[tuple[str, str]]:
    """Yield each figure's name with a digest of its points."""
    for recipe in shipped_recipes():
        if recipe.name in FIGURES and nothing_to_draw(analysis, recipe) is None:
            plot(analysis, recipe.model_copy(update={"formats": ("svg",)}), folder)
            yield recipe.name, _digest((folder / f"{recipe.name}.csv").read_text("utf-8"))


def _rows(frame: pd.DataFrame, columns: list[str]) -> str:
    plain = frame[columns].astype(object)
    plain = plain.where(plain.notna(), None)
    return _digest([[_plain(value) for value in row] for row in plain.itertuples(index=False)])


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return value if isinstance(value, str | int | bool | None) else [str(each) for each in value]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def inventory() -> dict[str, Any]:
    """List what users name: commands, YAML keys, public names, columns, recipes, errors."""
    import typer

    return {
        "public names": sorted(icl_gap.__all__),
        "commands": _commands("icl-gap", typer.main.get_command(app)),
        "sweep keys": _keys(SweepSpec.model_json_schema()),
        "card keys": _keys(DatasetCard.model_json_schema()),
        "recipe keys": _keys(CurveRecipe.model_json_schema())
        | _keys(HeatmapRecipe.model_json_schema()),
        "recipes": sorted(recipe.name for recipe in shipped_recipes()),
        "sweeps": sorted(path.stem for path in shipped("sweeps").glob("*.yaml")),
        "errors": _errors(),
    }


def _commands(name: str, command: Any) -> dict[str, list[str]]:
    """Return the options and arguments of a command and of those below it."""
    inner = getattr(command, "commands", {})
    found = {name: sorted("/".join(sorted(p.opts)) for p in command.params)}
    for word, each in inner.items():
        found |= _commands(f"{name} {word}", each)
    return found


def _keys(schema: dict[str, Any]) -> dict[str, list[str]]:
    """Return the keys of a specification and of all that stand inside it."""
    parts = {schema["title"]: schema, **schema.get("$defs", {})}
    return {
        name: sorted(part["properties"])
        for name, part in sorted(parts.items())
        if "properties" in part
    }


def _errors() -> dict[str, int]:
    """Return the exit code of each error of the package."""
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    return {kind.__name__: kind.exit_code for kind in kinds if issubclass(kind, errors.IclGapError)}


def columns_of(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a frame of results."""
    return sorted(frame.columns)


def write(path: Path, value: Any) -> None:
    """Write a golden file."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> None:
    """Write both golden files anew."""
    write(INVENTORY, inventory())
    found = {}
    sweeps = {name: small(name, fields) for name, fields in {**BARE, **PUBLISHED}.items()}
    for name, sweep in {"quickstart": quickstart(), **sweeps}.items():
        with tempfile.TemporaryDirectory() as folder:
            found[name] = digest_of_run(sweep, Path(folder))
        print(name, found[name]["requests"], file=sys.stderr)
    write(RESULTS, found)


if __name__ == "__main__":
    main()

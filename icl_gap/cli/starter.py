"""`icl-gap init` and `icl-gap schema`: help to write a sweep file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from icl_gap.cli.console import say
from icl_gap.errors import InputError, Place


def init(
    path: Annotated[
        Path, typer.Argument(metavar="SWEEP.yaml", help="File to write; it must not exist.")
    ] = Path("sweep.yaml"),
) -> None:
    """Write a commented sweep of the benchmarks and models at hand."""
    from icl_gap.data import list_cards
    from icl_gap.data.locations import find_sources

    cards = list_cards()
    here = [card.name for card in cards if any(find_sources(card, None))]
    text = starter_sweep(
        name=path.stem,
        here=here,
        elsewhere=[card.name for card in cards if card.name not in here],
        files=_gguf_files(),
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(
            "the file exists", allowed="the path of a new file", place=Place(path)
        ) from None
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", place=Place(path)) from None
    say(f"{path} is written: edit it, then `icl-gap plan {path}` shows what it would take")


def schema() -> None:
    """Print the JSON schema of sweep files, for an editor."""
    from icl_gap.evaluation.sweep_schema import sweep_schema

    say(json.dumps(sweep_schema(), indent=1))


def starter_sweep(
    *, name: str, here: Sequence[str], elsewhere: Sequence[str], files: Sequence[str]
) -> str:
    """Return the text of a sweep file, in which what is at hand runs and the rest is a comment.

    Args:
        name: The sweep's name.
        here: Names of the benchmarks whose data is at hand.
        elsewhere: Names of the others.
        files: Names of the GGUF files in the folder that ICL_GAP_MODELS names.
    """
    datasets = ["  - scan # which the models below were trained for, and which needs no files"]
    datasets += [f"  # - {each}" for each in here if each != "scan"]
    datasets += [f"  # - {each} # first: `icl-gap data fetch {each}`" for each in elsewhere]
    models = [f"  # - {{model: $ICL_GAP_MODELS, gguf: {each}}}" for each in files]
    return _TEXT.format(
        name=name, datasets="\n".join(datasets), models="".join(f"{each}\n" for each in models)
    )


def _gguf_files() -> list[str]:
    folder = os.environ.get("ICL_GAP_MODELS")
    return sorted(each.name for each in Path(folder).glob("*.gguf")) if folder else []


_TEXT = """\
# A sweep: every combination of the lists below is a cell, and each cell asks `limit` queries.
# `icl-gap plan` counts them and `icl-gap run` asks them. After `icl-gap schema > schema.json`, an
# editor completes the keys of a file with this line:
# yaml-language-server: $schema=schema.json
name: {name}

# Benchmarks. `icl-gap data list` shows all with their splits; your own is a card, a YAML file.
datasets:
{datasets}

# Models: small ones that ship, which are good for trying things out. Others are repositories on the
# Hugging Face hub, folders, GGUF files, servers, and families by name (`icl-gap models`).
models:
  - nano-codegen-xs
  - nano-codegen-m
{models}  # - facebook/opt-350m
  # - {{family: qwen-3, sizes: [0.6b, 1.7b]}}
  # - {{kind: openai, model: NAME, base_url: "http://localhost:8000/v1"}}

# Exemplars come from the query's own side of the split (id) or from the other side (ood).
conditions: [id, ood]
query_splits: [test, train]
selection: oracle_coverage
shots: [1, 5]
seeds: [0, 1]
limit: 50 # queries of a side; the paper's is 1045
"""

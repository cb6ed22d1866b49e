"""`datasets/README.md`: its examples run; its table is held by `tests/test_readme.py`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from icl_gap.cli import app
from icl_gap.data import load_card, load_split
from icl_gap.data import loaders as package
from icl_gap.data.loaders import loader_names
from icl_gap.errors import DataError
from icl_gap.evaluation.config import read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.specs import shipped

README = (shipped("datasets") / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


CARD, SWEEP, CHANGES = blocks("yaml")
(LOADER,) = blocks("python")


def test_it_is_short() -> None:
    assert len(README.split()) < 900


def test_a_card_and_two_files_make_a_benchmark(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("colours").mkdir()
    Path("colours.yaml").write_text(CARD)
    Path("sweep.yaml").write_text(SWEEP)
    Path("colours/train.tsv").write_text("red\tR\nblue\tB\n")
    Path("colours/test.tsv").write_text("red blue\tR B\nblue red\tB R\n")
    results = evaluate_sweep(read_sweep("sweep.yaml"), tmp_path / "results")
    assert len(results.frame()) == 5 * 2 * 4  # seeds, conditions, queries of both sides


@pytest.fixture
def own_loader(tmp_path: Path, monkeypatch) -> Iterator[None]:
    """The README's loader as a module of the package."""
    folder = tmp_path / "loaders"
    folder.mkdir()
    (folder / "colour_rows.py").write_text(LOADER)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    loader_names.cache_clear()
    yield
    loader_names.cache_clear()


@pytest.mark.usefixtures("own_loader")
def test_a_card_and_a_loader_make_a_benchmark(tmp_path: Path) -> None:
    card = {**yaml.safe_load(CARD), **yaml.safe_load(CHANGES)}
    (tmp_path / "colour_rows.yaml").write_text(yaml.safe_dump(card))
    (tmp_path / "colours").mkdir()
    for side, rows in {
        "train": [("Red", "R"), ("blue", "B")],
        "test": [("red blue", "R B")],
    }.items():
        lines = [json.dumps({"words": words, "letters": letters}) + "\n" for words, letters in rows]
        (tmp_path / "colours" / f"{side}.jsonl").write_text("".join(lines))
    found = load_card(tmp_path / "colour_rows.yaml")
    benchmark = load_split(found, lower_case=True)
    assert [(each.source, each.target) for each in benchmark.train] == [("red", "R"), ("blue", "B")]
    assert load_split(found).train[0].source == "Red"
    (tmp_path / "colours" / "test.jsonl").write_text("{}\n")
    with pytest.raises(DataError, match="not a row"):
        load_split(found)


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_commands_are_understood(line: str) -> None:
    from typer.main import get_command

    arguments = [part for part in shlex.split(line, comments=True) if "=" not in part]
    assert arguments.pop(0) == "icl-gap"
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    command.make_context(command.name, arguments)


def test_the_split_that_is_shown_is_made(tmp_path: Path, monkeypatch) -> None:
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    line = "split listops --method random --out splits"
    assert CliRunner().invoke(app, line.split()).exit_code == 0
    assert Path("splits/listops-random.yaml").exists()

"""The page of estimators: its commands exist, its code runs, and it stays short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from studies import save_card, save_study
from typer.main import get_command

from icl_gap.cli import app

README = Path(__file__).parents[2] / "icl_gap" / "analysis" / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_it_is_short() -> None:
    assert len(TEXT.split()) < 3600


def test_its_code_runs(tmp_path, monkeypatch, capsys) -> None:
    models = ("small", "middle", "large")
    save_study(tmp_path / "results" / "quickstart", save_card(tmp_path / "data"), models=models)
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(code, {})  # noqa: S102 (the page's own code)
    assert "toy/plain small" in capsys.readouterr().out


def test_its_commands_exist() -> None:
    known = get_command(app).commands
    shell = "\n".join(blocks("sh"))
    for command, options in re.findall(r"^icl-gap (\w+)([^#\n]*)", shell, re.MULTILINE):
        accepted = {name for option in known[command].params for name in option.opts}
        assert set(re.findall(r"--[a-z-]+", options)) <= accepted
    for path in re.findall(r"pytest (\S+)", shell):
        assert (README.parents[2] / path).exists()


@pytest.mark.parametrize("module", re.findall(r"`(\w+\.py)`", TEXT))
def test_the_modules_that_it_names_are_there(module) -> None:
    here = Path(__file__).parent
    folders = (README.parent, README.parent / "scaling", here)
    assert any((folder / module).is_file() for folder in folders)

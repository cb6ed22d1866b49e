"""`plots/README.md`: its blocks run, and its tables are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from readme_tables import ROOT
from typer.testing import CliRunner

from icl_gap.cli import app
from icl_gap.evaluation.config import read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import expand
from icl_gap.plots import read_recipe, shipped_recipes
from icl_gap.specs import shipped

TEXT = (ROOT / "plots" / "README.md").read_text(encoding="utf-8")


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the results of a small quickstart in it."""
    monkeypatch.chdir(tmp_path)
    quick = read_sweep(shipped("sweeps") / "quickstart.yaml")
    changes = {"models": expand(quick.models[0])[:1], "limit": 10, "seeds": (0,), "figures": ()}
    evaluate_sweep(quick.model_copy(update=changes))
    return tmp_path


def test_the_figures_that_ship_are_listed() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", TEXT.partition("## Drawing")[0], re.MULTILINE)
    assert sorted(listed) == [recipe.name for recipe in shipped_recipes()]


def test_it_is_short() -> None:
    assert len(TEXT.split()) < 800
    assert set(re.findall(r"```(\w+)", TEXT)) == {"yaml", "python", "sh"}


def test_the_recipes_are_recipes(tmp_path: Path) -> None:
    for text in fenced("yaml"):
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        assert read_recipe(tmp_path / "own.yaml").name == "my_gaps"


@pytest.mark.slow
def test_the_commands_and_the_python_run(folder: Path) -> None:
    for line in "".join(fenced("sh")).splitlines():
        program, *arguments = shlex.split(line)
        assert program == "icl-gap"
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert (folder / "results/quickstart/figures/cells.svg").is_file()
    for code in fenced("python"):
        exec(code, names := {})  # noqa: S102 (the README's own code)
        found = [str(path) for path in names["files"]]
        assert found == ["figures/both_accuracies.svg", "figures/both_accuracies.csv"]
    for suffix in ("png", "pdf", "svg", "csv"):
        assert (folder / f"figures/accuracy_vs_shots.{suffix}").is_file()

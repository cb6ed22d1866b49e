"""What the README shows is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import icl_gap
from icl_gap.data import load_card, load_split
from icl_gap.evaluation.config import SweepSpec, read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.specs import check_spec, shipped

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


SWEEP, MODELS, CARD = blocks("yaml")


def test_the_sweep_of_ten_lines_is_one() -> None:
    assert check_spec(yaml.safe_load(SWEEP), SweepSpec).name == "opt-on-scan"
    assert len(SWEEP.splitlines()) == 10


def test_the_models_are_some() -> None:
    fields = {"name": "s", "datasets": ["scan"], **yaml.safe_load(MODELS)}
    assert len(check_spec(fields, SweepSpec).models) == 3


def test_the_card_is_all_that_a_benchmark_needs(tmp_path) -> None:
    path = tmp_path / "colours.yaml"
    path.write_text(CARD)
    folder = tmp_path / "colours"
    folder.mkdir()
    (folder / "train.tsv").write_text("red\tR\nblue\tB\n")
    (folder / "test.tsv").write_text("red blue\tR B\n")
    benchmark = load_split(load_card(path), "plain")
    assert (len(benchmark.train), len(benchmark.test)) == (2, 1)
    spec = check_spec(
        {
            "name": "c",
            "datasets": [str(path)],
            "models": ["nearest"],
            "shots": [1],
            "query_splits": ["test"],
            "conditions": ["ood"],
            "seeds": [0],
        },
        SweepSpec,
    )
    assert len(evaluate_sweep(spec, tmp_path / "results")) == 1


def test_the_python_runs_as_shown(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    quick = read_sweep(shipped("sweeps") / "quickstart.yaml")
    small = quick.model_copy(update={"models": quick.models[:1], "limit": 10, "seeds": (0,)})
    evaluate_sweep(small)
    scorer, study = blocks("python")
    exec(scorer, {})  # noqa: S102 (the README's own code)
    exec(study, {})  # noqa: S102
    shown = capsys.readouterr().out
    assert f"{small.models[0].model} 10 pooled" in shown
    assert "condition" in shown
    assert (tmp_path / "figures" / "accuracy_vs_shots.png").exists()


def test_the_scorer_answers_as_shown() -> None:
    call, shown = re.search(r"(icl_gap\.exact_match\(.*?\))\n# (.*)", README).groups()
    assert repr(eval(call, {"icl_gap": icl_gap})) == shown  # noqa: S307


def test_the_commands_exist() -> None:
    from typer.main import get_command

    from icl_gap.cli import app

    known = get_command(app).commands
    named = set(re.findall(r"icl-gap (\w+)", README))
    assert named == set(known)
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"`?make ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_what_is_linked_is_there(path) -> None:
    assert (ROOT / path).exists()


@pytest.mark.slow
def test_the_figure_is_what_the_quickstart_draws(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = read_sweep(shipped("sweeps") / "quickstart.yaml")
    results = evaluate_sweep(sweep)
    svg, *_ = (
        path
        for path in icl_gap.plot(results.frame(), icl_gap.read_recipe(sweep.figures[0]), tmp_path)
        if path.suffix == ".svg"
    )
    assert svg.read_bytes() == (shipped("plots") / "quickstart.svg").read_bytes()

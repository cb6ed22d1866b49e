"""`icl-gap init` and `icl-gap schema`."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from icl_gap.cli.starter import starter_sweep
from icl_gap.evaluation.config import read_sweep
from icl_gap.evaluation.planning import outline_sweep


def test_the_starter_can_be_planned_as_it_is(cli, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ICL_GAP_DATA", raising=False)
    monkeypatch.delenv("ICL_GAP_MODELS", raising=False)
    path = tmp_path / "mine.yaml"
    outcome = cli("init", path)
    assert outcome.code == 0
    assert f"icl-gap plan {path}" in outcome.out
    spec = read_sweep(path)
    assert spec.name == "mine"
    assert len(outline_sweep(spec).cells) == 2 * 2 * 2 * 2 * 2


def test_the_starter_names_what_is_at_hand(cli, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny.gguf").touch()
    (tmp_path / "data" / "cogs").mkdir(parents=True)
    monkeypatch.setenv("ICL_GAP_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("ICL_GAP_DATA", str(tmp_path / "data"))
    assert cli("init", tmp_path / "mine.yaml").code == 0
    lines = (tmp_path / "mine.yaml").read_text(encoding="utf-8").splitlines()
    assert "  # - cogs" in lines
    assert "  # - cfq # first: `icl-gap data fetch cfq`" in lines
    assert "  # - {model: $ICL_GAP_MODELS, gguf: tiny.gguf}" in lines
    assert max(map(len, lines)) <= 100


def test_all_that_the_starter_offers_is_valid() -> None:
    text = starter_sweep(name="a", here=["scan", "cogs"], elsewhere=["cfq"], files=["m.gguf"])
    every = text.replace("  # - ", "  - ").replace("sizes: [0.6b, 1.7b]", "sizes: [0.6b]")
    sweep = read_sweep(yaml.safe_load(every))
    assert [entry.name for entry in sweep.datasets] == ["scan", "cogs", "cfq"]
    assert len(sweep.models) == 6


def test_no_file_is_overwritten(cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    outcome = cli("init", path)
    assert (outcome.code, path.read_text()) == (2, "mine")
    assert "the file exists" in outcome.err
    assert cli("init", tmp_path / "none" / "mine.yaml").code == 2


def test_the_schema_is_json(cli) -> None:
    outcome = cli("schema")
    assert outcome.code == 0
    assert json.loads(outcome.out)["title"] == "A sweep of icl_gap"

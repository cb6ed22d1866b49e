"""The sweeps that ship, on small parts of what they ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icl_gap.analysis import analyze
from icl_gap.evaluation.config import read_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.specs import shipped

SWEEPS = sorted(shipped("sweeps").rglob("*.yaml"))


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_sweep_is_one_and_named_as_its_file(path: Path) -> None:
    assert read_sweep(path).name == path.stem


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_sweep_names_the_schema_for_editors(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    _, named = first.split("$schema=")
    assert (path.parent / named).resolve() == (shipped("sweeps") / "schema.json").resolve()


def check_baseline(names: set[str], out: Path) -> None:
    """Run `sweeps/more.yaml` on one split of each of these benchmarks."""
    sweep = read_sweep(shipped("sweeps") / "more.yaml")
    splits = {"deep_nest", "depth", "length"}  # of COGS, one: each reads 24,155 rows
    entries = tuple(e for e in sweep.datasets if e.split in splits and e.name in names)
    few = sweep.model_copy(update={"datasets": entries, "limit": 20, "seeds": (0,), "shots": (1,)})
    found = analyze(evaluate_sweep(few, out).frame(), resamples=100)
    assert {point.dataset for point in found.points} == names
    assert {point.n_queries for point in found.points if point.query_split == "test"} == {20}


def test_the_baseline_runs_on_the_benchmarks_that_are_generated(tmp_path: Path) -> None:
    check_baseline({"listops", "logic"}, tmp_path / "more")


def test_the_baseline_runs_on_cogs(data_root: Path, tmp_path: Path) -> None:
    assert data_root.is_dir()
    check_baseline({"cogs"}, tmp_path / "more")


def save_gsm(folder: Path) -> None:
    """Sums of two numbers, in the form of GSM8K."""
    folder.mkdir()
    for side, start in (("train", 5), ("test", 7)):
        rows = [
            {
                "question": f"{n} boxes and {start} more?",
                "answer": f"{n}+{start}=<<{n}+{start}={n + start}>>{n + start}.\n#### {n + start}",
            }
            for n in range(20, 60)
        ]
        (folder / f"{side}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


def test_composed_questions_have_a_reasoning_gap(monkeypatch, tmp_path: Path) -> None:
    save_gsm(tmp_path / "gsm8k")
    monkeypatch.setenv("ICL_GAP_DATA", str(tmp_path))
    sweep = read_sweep(shipped("sweeps") / "gsm.yaml")
    results = evaluate_sweep(sweep, tmp_path / "results")
    found = analyze(results.frame(), metric="canonical", resamples=100)
    asked = {(gap.query_split, gap.condition, gap.shots) for gap in found.reasoning}
    assert len(asked) == len(found.reasoning) == 2 * 2 * 3
    assert all(gap.n_pairs > 5 for gap in found.reasoning)

"""The main job on the published benchmarks: from a sweep file to a table and a figure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from icl_gap.cli import main
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import RandomInitSpec, save_random_init
from icl_gap.results import open_results
from icl_gap.specs import check_spec

FAMILIES = ("opt", "bloom", "codegen")


@pytest.fixture
def models(data_root: Path, tmp_path: Path) -> dict[str, Path]:
    """Folders of one small model a family: random weights, and a real byte-level BPE."""
    folders = {family: tmp_path / f"{family}-tiny" for family in FAMILIES}
    for family, folder in folders.items():
        spec = RandomInitSpec(
            family=family, hidden_size=16, layers=1, tokenizer=data_root / "tokenizers" / "gpt2"
        )
        save_random_init(spec, folder)
    return folders


@pytest.mark.parametrize("benchmark", ["scan", "cfq", "geoquery"])
def test_models_from_disk_run_on_every_benchmark(
    models, tmp_path, benchmark, monkeypatch, capsys
) -> None:
    path = tmp_path / "sweep.yaml"
    sweep = {
        "name": "real",
        "datasets": [benchmark],
        "models": [{"model": str(folder)} for folder in models.values()],
        "shots": [0, 2],
        "seeds": [0],
        "limit": 2,
    }
    path.write_text(yaml.safe_dump(sweep))
    out = tmp_path / "results"
    monkeypatch.setattr(sys, "argv", ["icl-gap", "run", str(path), "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    shown = capsys.readouterr().out
    for family in FAMILIES:
        assert f"{family}-tiny (untrained)" in shown
    assert (out / "figures" / "gap_vs_scale.png").stat().st_size > 0
    results = open_results(out)
    assert len(results) == 3 * 2 * 2 * 2
    for cell in results:
        assert cell.info.n_params > cell.info.n_params_non_embedding > 0
        assert set(cell.info.spec["model"]["files"]) >= {"config.json", "model.safetensors"}
        for record in cell.records:
            assert record.prompt_tokens > 10
            assert record.coverage > 0 or record.shots == 0
            assert not record.scores.get("raw")  # random weights answer nothing


def nearest(benchmark: str, shots: int, limit: int) -> SweepSpec:
    return check_spec(
        {
            "name": "near",
            "datasets": [benchmark],
            "models": ["nearest"],
            "shots": [shots],
            "seeds": [0],
            "limit": limit,
        },
        SweepSpec,
    )


def test_nearest_answers_geoquery_in_distribution_and_never_out_of_it(data_root, tmp_path) -> None:
    assert data_root
    results = evaluate_sweep(nearest("geoquery", 50, 100), tmp_path)
    right = {
        (cell.info.query_split, cell.info.condition): sum(r.scores["raw"] for r in cell.records)
        for cell in results
    }
    # the template split keeps every target program on one side
    assert right["test", "ood"] == right["train", "ood"] == 0
    assert right["test", "id"] > 20
    assert right["train", "id"] > 20


def test_nearest_finds_the_mirrored_scan_command(tmp_path) -> None:
    """`X and Y` means what `Y after X` means; a few hundred exemplars may hold the other one."""
    from icl_gap import load_benchmark

    scan = load_benchmark("scan")
    sources = {example.id: example for example in (*scan.train, *scan.test)}
    results = evaluate_sweep(nearest("scan", 500, 100), tmp_path)
    mirrored = 0
    for cell in results:
        for record in cell.records:
            if record.scores.get("raw"):
                shown = {sources[id_].source: sources[id_].target for id_ in record.exemplar_ids}
                other = mirror(sources[record.query_id].source)
                mirrored += shown.get(other) == record.prediction
    assert mirrored > 10


def mirror(command: str) -> str | None:
    for joint, other in ((" and ", " after "), (" after ", " and ")):
        first, found, second = command.partition(joint)
        if found:
            return f"{second}{other}{first}"
    return None

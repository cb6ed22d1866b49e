from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from toys import sweep
from typer.testing import CliRunner
from writing import save_writer

from icl_gap import models
from icl_gap.cli import app
from icl_gap.errors import ModelError, StoreError
from icl_gap.evaluation.precision import PrecisionCheck, read_checks
from icl_gap.evaluation.repeated import RepeatedRequest
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models.hf import adjudicated_model
from icl_gap.results import Results, dump_checksummed, repair_store, verify_store

CARD = """\
name: pairs
title: Pairs
licence: CC0
citation: none
language: tokens
template: {instruction: "", source_label: "Q:", target_label: "A:"}
loader: tsv
sources: [{kind: local, folder: pairs}]
default_split: plain
splits:
  plain: {train: 3, test: 3, files: {train: train.tsv, test: test.tsv}}
"""


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    """A benchmark whose answer is `x` on the one side, and `y` on the other."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    for side, target in (("train", "x"), ("test", "y")):
        rows = [f"{side} {n}\t{target}\n" for n in range(3)]
        (folder / f"{side}.tsv").write_text("".join(rows), encoding="utf-8")
    (tmp_path / "pairs.yaml").write_text(CARD, encoding="utf-8")
    return str(tmp_path / "pairs.yaml")


@pytest.fixture
def coarse(tmp_path: Path) -> str:
    """A model that answers `x`, by a difference to `y` that bfloat16 rounds away."""
    folder = save_writer(tmp_path / "coarse", ":", "\u0120y", "\u010a", also={":": "\u0120x"})
    path = folder / "model.safetensors"
    weights = load_file(path)
    table = weights["model.decoder.layers.0.fc2.weight"]
    (colon,) = ((table > 0).sum(0) == 2).nonzero().flatten().tolist()  # two tokens follow it
    rows = (table[:, colon] > 0).nonzero().flatten().tolist()
    table[max(rows), colon] = 50.01  # of the token with the higher id, which loses a tie
    save_file(weights, path, metadata={"format": "pt"})
    return str(folder)


def test_flips_are_found_and_kept(pairs, tmp_path, coarse, monkeypatch) -> None:
    spec = sweep(
        pairs,
        models=["nearest", {"model": coarse, "dtype": "bfloat16"}],
        shots=[0],
        seeds=[0],
        limit=3,
        precision_check=12,
    )
    results = evaluate_sweep(spec, tmp_path / "out")
    (check,) = read_checks(results.folder)
    assert (check.model, check.precision, len(check.compared)) == ("coarse", "bfloat16", 12)
    stored = {(c.info.key, r.query_id): r for c in results for r in c.records}
    for each in check.compared:
        assert each.raw[0] == stored[each.cell, each.query_id].scores["raw"]
    assert check.flips() == (6, 6)  # `x` is right for train queries, `y` for test queries
    assert check.canonical_flips() == 12
    assert check.gaps() == (0.0, 0.0)
    monkeypatch.setattr(models, "load_model", None)  # nothing is asked twice
    evaluate_sweep(spec, tmp_path / "out")
    assert read_checks(results.folder) == [check]


@pytest.fixture
def adjudicated(pairs: str, tmp_path: Path, coarse: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs that model adjudicated, under some bound; all its requests are checked."""
    model = {"model": coarse, "dtype": "bfloat16", "precision": "adjudicated"}
    spec = sweep(pairs, models=[model], shots=[0], seeds=[0], limit=3, precision_check=12)

    def run(bound: float) -> Results:
        monkeypatch.setattr(adjudicated_model, "calibrate_bound", lambda *_: bound)
        return evaluate_sweep(spec, tmp_path / f"bound{bound}")

    monkeypatch.setattr("icl_gap.evaluation.precision.calibrating_ids", lambda _: [])
    return run


def test_a_bound_that_is_too_small_is_found_out(adjudicated) -> None:
    (check,) = read_checks(adjudicated(-1.0).folder)  # not even a tie is asked again
    assert (check.precision, check.adjudicated) == ("adjudicated bfloat16", True)
    assert (len(check.compared), check.differing()) == (12, 12)
    assert check.at_most() == 1.0


def test_commands_and_the_report_tell_what_was_accepted_and_checked(adjudicated) -> None:
    folder = str(adjudicated(-1.0).folder)
    accepted = "adjudicated: coarse, 0 of 12 requests (0.0%) asked again in float32"
    checked = "precision: coarse in adjudicated bfloat16, a sample of accepted verdicts again"
    analyzed = " ".join(CliRunner().invoke(app, ["analyze", folder, "-v"]).output.split())
    assert f"note: {accepted}" in analyzed
    assert f"note: {checked}" in analyzed
    found = json.loads(CliRunner().invoke(app, ["analyze", folder, "--json"]).output)
    assert found["adjudicated"] == [
        {"model": "coarse", "requests": 12, "asked_again": 0, "rounding_bound": -1.0}
    ]
    (check,) = found["precision"]
    assert (check["adjudicated"], check["at_most"]) == (True, 1.0)
    diagnosed = CliRunner().invoke(app, ["diagnose", folder]).output
    assert accepted in " ".join(diagnosed.split())
    CliRunner().invoke(app, ["report", folder])
    (page,) = Path(folder).rglob("*.html")
    text = page.read_text("utf-8")
    assert accepted in text
    assert checked in text


def test_plan_says_that_there_are_two_copies(pairs, coarse, tmp_path) -> None:
    model = {"model": coarse, "dtype": "bfloat16", "precision": "adjudicated"}
    fields = {"name": "t", "datasets": [pairs], "models": [model], "shots": [0], "figures": []}
    path = tmp_path / "t.yaml"
    path.write_text(json.dumps(fields), encoding="utf-8")
    shown = CliRunner().invoke(app, ["plan", str(path)]).output
    assert "note: held in half precision and in float32: coarse" in shown


def test_requests_that_are_asked_again_are_not_checked(adjudicated, monkeypatch) -> None:
    results = adjudicated(0.5)
    records = [record for cell in results for record in cell.records]
    assert {record.rounding_bound for record in records} == {None}
    assert sum(record.scores["raw"] for record in records) == 6  # as in float32
    assert read_checks(results.folder) == []
    monkeypatch.setattr("icl_gap.evaluation.precision.calibrating_ids", lambda ids: list(ids)[:5])
    (check,) = read_checks(adjudicated(-2.0).folder)
    assert len(check.compared) == 7  # those that calibrate are not, either


def test_accepted_verdicts_without_a_difference_bound_its_share() -> None:
    same = tuple(compared("id", True, True) for _ in range(300))
    check = PrecisionCheck("m", "adjudicated bfloat16", same, adjudicated=True)
    assert check.at_most() == pytest.approx(1 - 0.05 ** (1 / 300))  # the rule of three
    assert str(check) == (
        "precision: m in adjudicated bfloat16, a sample of accepted verdicts again in float32: "
        "0 of 300 differ: at most 0.99% (95 %)"
    )


def test_a_damaged_file_is_set_aside_and_made_anew_with_a_warning(
    pairs, tmp_path, coarse, caplog
) -> None:
    models_ = [{"model": coarse, "dtype": "bfloat16"}]
    spec = sweep(pairs, models=models_, shots=[0], seeds=[0], limit=1, precision_check=4)
    folder = evaluate_sweep(spec, tmp_path / "out").folder
    checks, path = read_checks(folder), folder / "precision.json"
    whole = path.read_bytes()
    for broken in (whole.replace(b"true", b"false", 1), whole.replace(b" ", b"\t", 1), b""):
        path.write_bytes(broken)
        with pytest.raises(StoreError, match=r"precision\.json: damaged.*run the sweep again"):
            read_checks(folder)
        assert [fault.path for fault in verify_store(folder)] == [path]
        caplog.clear()
        evaluate_sweep(spec, folder)
        assert "it is set aside, and made anew" in caplog.text
        assert read_checks(folder) == checks
        assert path.read_bytes() == whole
    assert len(list((folder / "damaged").iterdir())) == 3
    path.unlink()
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="a symbolic link"):
        evaluate_sweep(spec, folder)
    assert not (tmp_path / "victim").exists()


def test_nobody_else_writes_while_precision_is_checked(
    pairs, tmp_path, coarse, monkeypatch
) -> None:
    models_ = [{"model": coarse, "dtype": "bfloat16"}]
    spec = sweep(pairs, models=models_, shots=[0], seeds=[0], limit=1, precision_check=4)

    checked = []

    def checks(*arguments: object) -> None:
        checked.append(arguments)
        with pytest.raises(StoreError, match="another run is writing"):
            repair_store(tmp_path / "out")

    monkeypatch.setattr("icl_gap.evaluation.runner.check_precision", checks)
    evaluate_sweep(spec, tmp_path / "out")
    assert len(checked) == 1


def compared(condition: str, as_run: bool, exact: bool) -> RepeatedRequest:
    return RepeatedRequest(
        "c", f"{condition}{as_run}{exact}", condition, (as_run, exact), (as_run, exact)
    )


def test_a_model_that_does_not_load_in_float32_is_left_out_with_a_warning(
    pairs, tmp_path, coarse, monkeypatch, caplog
) -> None:
    models_ = [{"model": coarse, "dtype": "bfloat16"}]
    spec = sweep(pairs, models=models_, shots=[0], seeds=[0], precision_check=4)
    load = models.load_model

    def fails(spec: models.TransformersSpec, identity: models.Identity) -> models.Model:
        if spec.dtype == "float32":
            raise ModelError("too large")
        return load(spec, identity)

    monkeypatch.setattr(models, "load_model", fails)
    assert evaluate_sweep(spec, tmp_path / "out").unfinished == ()
    assert "the precision of coarse is not checked: too large" in caplog.text
    assert read_checks(tmp_path / "out") == []


def test_what_flips_do_to_the_gap() -> None:
    check = PrecisionCheck(
        "m",
        "float16",
        (
            compared("id", True, True),
            compared("id", False, True),
            compared("ood", True, False),
            compared("ood", False, False),
        ),
    )
    assert check.flips() == (1, 1)
    assert check.gaps() == (0.0, 1.0)
    assert str(check) == (
        "precision: m in float16, 4 requests again in float32: 2 flips (1 right in float32 alone, "
        "1 as run alone), 2 canonical; gap of these 0.000 as run, 1.000 in float32"
    )


def test_a_gap_of_nothing_is_undefined() -> None:
    wrong = PrecisionCheck("m", "float16", (compared("id", False, False),))
    assert wrong.gaps() == (None, None)
    assert "undefined as run" in str(wrong)


def test_a_file_of_before_is_read(tmp_path) -> None:
    check = PrecisionCheck("m", "float16", (compared("id", True, False),))
    old = asdict(check)
    for request in old["compared"]:
        del request["strict"]
    (tmp_path / "precision.json").write_bytes(dump_checksummed({"checks": [old]}))
    assert read_checks(tmp_path) == [check]


def test_a_damaged_file_is_named(tmp_path) -> None:
    (tmp_path / "precision.json").write_text("[{}]")
    with pytest.raises(StoreError, match=r"precision\.json: damaged"):
        read_checks(tmp_path)
    assert read_checks(tmp_path / "none") == []

"""Version 4 of the files: read as today's, and never written to."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from stored import INFO

import icl_gap
from icl_gap.errors import StoreError
from icl_gap.plots import plot, read_recipe
from icl_gap.report import write_report
from icl_gap.results import merge_stores, open_results, open_store, repair_store, verify_store
from icl_gap.results.kept import find_kept
from icl_gap.results.migration import migrated_record
from icl_gap.schema import Divergence, Record, Usage
from icl_gap.specs import shipped

RIGHT: dict[str, Any] = {
    "prediction": " WALK",
    "finish_reason": "stop",
    "raw": True,
    "canonical": True,
    "execution": True,
    "reason": None,
    "divergence": None,
    "batch_tokens": 64,
    "usage": {"prompt_tokens": 12, "completion_tokens": 3},
    "served_model": "m",
}
WRONG: dict[str, Any] = {
    "prediction": None,
    "finish_reason": None,
    "raw": False,
    "canonical": False,
    "execution": None,
    "reason": "diverged",
    "divergence": {"position": 1, "expected": "W", "actual": "R", "text": " "},
    "batch_tokens": None,
    "usage": None,
    "served_model": None,
}


def record(query_id: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record in the order of version 4."""
    first = {
        "query_id": query_id,
        "exemplar_ids": ["scan-1"],
        "shots": 1,
        "coverage": 0.5,
        "prompt_sha256": "0" * 64,
        "prompt_tokens": 12,
        "status": "scored",
    }
    head = {name: outcome[name] for name in list(RIGHT)[:7]}
    tail = {name: outcome[name] for name in list(RIGHT)[7:]}
    numbers = {"gold_logprob": -0.25, "gold_tokens": 2, "seconds": 0.5}
    return first | head | numbers | tail


def header(key: str, condition: str) -> dict[str, Any]:
    """Return the fields of a header in the order of version 4."""
    spec = {"schema_version": 4, "sampler": {"selection": "cover_words"}, "limit": 2}
    return {
        "key": key,
        "model": "m",
        "family": "f",
        "n_params": 10,
        "n_params_non_embedding": 5,
        "trained": True,
        "dataset": "scan",
        "split": "mcd1",
        "partial": None,
        "query_split": "test",
        "condition": condition,
        "shots": 1,
        "seed": 0,
        "n_queries": 2,
        "spec": spec,
        "provenance": {},
        "size_source": "counted",
        "training_tokens": None,
        "schema_version": 4,
    }


def line(value: dict[str, Any], key: str) -> bytes:
    body = json.dumps(value, separators=(",", ":"))[:-1].encode()
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body, int(key[:8], 16))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder of two cells, as version 4 wrote them."""
    folder = tmp_path / "old"
    (folder / "cells").mkdir(parents=True)
    cells = []
    for condition, outcome in (("id", RIGHT), ("ood", WRONG)):
        key = ("ab" if condition == "id" else "cd") * 32
        name = f"scan-mcd1.m.test-{condition}.1shots.seed0.{key[:16]}"
        lines = [header(key, condition), record("q", RIGHT), record("r", outcome)]
        content = b"".join(line(value, key) for value in lines)
        (folder / "cells" / f"{name}.jsonl").write_bytes(content)
        labels = ("model", "family", "n_params", "n_params_non_embedding", "training_tokens")
        told = {label: lines[0][label] for label in (*labels, "size_source")}
        cells.append({"key": key, "name": name, "labels": told})
    settled = [cell["key"][:16] for cell in cells]
    sweep = {"name": "old", "datasets": [{"name": "scan", "split": "mcd1"}]}
    manifest = {"schema_version": 4, "sweep": sweep, "cells": cells, "settled": settled}
    crc = zlib.crc32(json.dumps(manifest, separators=(",", ":")).encode())
    text = json.dumps({**manifest, "crc": f"{crc:08x}"}, indent=1)
    (folder / "sweep.json").write_text(text + "\n", encoding="utf-8")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Return the content of all files of results in a folder."""
    paths = [folder / "sweep.json", *sorted((folder / "cells").iterdir())]
    return {path.name: path.read_bytes() for path in paths}


def test_its_records_are_those_of_today(old: Path) -> None:
    inside, outside = open_results(old)
    shared = {
        "exemplar_ids": ("scan-1",),
        "shots": 1,
        "coverage": 0.5,
        "prompt_sha256": "0" * 64,
        "prompt_tokens": 12,
        "status": "scored",
        "gold_logprob": -0.25,
        "gold_tokens": 2,
        "seconds": 0.5,
    }
    right = {
        "prediction": " WALK",
        "finish_reason": "stop",
        "scores": {"raw": True, "canonical": True, "execution": True},
        "kv_cache_tokens": 64,
        "usage": Usage(prompt_tokens=12, completion_tokens=3),
        "served_model": "m",
    }
    wrong = {
        "scores": {"raw": False, "canonical": False},
        "reason": "diverged",
        "divergence": Divergence(1, "W", "R", " "),
    }
    assert inside.records == tuple(Record(query_id=q, **shared, **right) for q in "qr")
    assert outside.records[1] == Record(query_id="r", **shared, **wrong)
    assert (inside.info.schema_version, inside.info.spec["limit"]) == (4, 2)


def test_it_can_be_analyzed_drawn_and_reported(old: Path, tmp_path: Path) -> None:
    frame = icl_gap.load_results(old)
    assert list(frame["raw"]) == [True, True, True, False]
    assert list(frame["execution"].isna()) == [False, False, False, True]
    assert list(frame["kv_cache_tokens"].fillna(0)) == [64, 64, 64, 0]
    assert set(frame["selection"]) == {"cover_utterance"}
    analysis = icl_gap.analyze(frame, resamples=50)
    assert [point.accuracies["raw"].ood for point in analysis.points] == [0.5]
    plot(analysis, read_recipe(shipped("plots") / "accuracy_vs_shots.yaml"), tmp_path)
    write_report(open_results(old), analysis, tmp_path / "report.html")


def test_it_is_checked_and_merged_as_it_is(old: Path, tmp_path: Path) -> None:
    before = content(old)
    assert verify_store(old) == []
    assert repair_store(old) == []
    merge_stores([old, old], tmp_path / "merged")
    assert content(old) == before
    assert verify_store(tmp_path / "merged") == []
    pd.testing.assert_frame_equal(
        icl_gap.load_results(old), icl_gap.load_results(tmp_path / "merged")
    )


def test_no_run_goes_on_with_it(old: Path) -> None:
    before = content(old)
    with pytest.raises(StoreError, match=r"schema version 4, .*`--out`"), open_store(old, {}, []):
        pass
    with pytest.raises(StoreError, match="schema version 4, "):
        find_kept(old, [INFO])
    assert content(old) == before


def test_an_exemplar_with_the_target_of_another_has_two_ids() -> None:
    crossed = {**record("q", RIGHT), "exemplar_ids": ["scan-1+scan-2", "scan-3"]}
    found = migrated_record(crossed, 4)
    assert found["exemplar_ids"] == ["scan-1", "scan-3"]
    assert found["exemplar_target_ids"] == ["scan-2", "scan-3"]
    assert "exemplar_target_ids" not in migrated_record(record("q", RIGHT), 4)


def test_a_damaged_line_of_it_is_named(old: Path) -> None:
    path = next((old / "cells").glob("*-id.*"))
    path.write_bytes(path.read_bytes().replace(b'"raw":true', b'"raw":null', 1))
    (damage,) = verify_store(old)
    assert (damage.path, damage.n_good) == (path, 1)
    with pytest.raises(StoreError, match="damaged after 0 good records"):
        icl_gap.load_results(old)

"""Sweeps from end to end: stored as asked, stopped and gone on with, failed and told."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from toys import sweep

from icl_gap import models
from icl_gap.errors import InferenceError, SamplingError, StoreError
from icl_gap.evaluation.config import SweepSpec, read_sweep
from icl_gap.evaluation.jobs import Job
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.run_requests import run_requests
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Model, Outcome, RandomInitSpec, Request, RequestId, save_random_init
from icl_gap.progress import Progress
from icl_gap.results import open_results, verify_store
from icl_gap.schema import CellResult, Completion, ModelInfo, Record, Response

T = TypeVar("T")

RANDOM_INIT = {"kind": "random_init", "hidden_size": 32, "layers": 1, "heads": 4}


def untimed(results: Iterable[CellResult]) -> list[str]:
    """The results without their timings, as text."""
    plain = []
    for cell in results:
        timings = {"started", "git_commit"}  # a commit may come while the tests run
        provenance = {k: v for k, v in cell.info.provenance.items() if k not in timings}
        plain.append(json.dumps(asdict(replace(cell.info, provenance=provenance))))
        plain += [json.dumps(asdict(replace(record, seconds=0.0))) for record in cell.records]
    return plain


def test_a_sweep_is_stored_as_asked(toy_card, tmp_path) -> None:
    spec = sweep(toy_card)
    results = evaluate_sweep(spec, tmp_path / "out")
    assert len(results) == 16
    assert results.unfinished == ()
    plan = plan_sweep(spec)
    for cell, planned in zip(results, plan.cells, strict=True):
        assert cell.info.key == planned.info.key
        for record, request in zip(cell.records, plan.requests(planned), strict=True):
            assert record.query_id == request.prompt.query_id
            assert record.exemplar_ids == tuple(e.id for e in request.prompt.exemplars)
            assert record.exemplar_target_ids is None
            assert record.prompt_sha256 == request.prompt.sha256
            assert record.shots == cell.info.shots
            assert record.status == "scored"
            assert "raw" in record.scores


def test_provenance_tells_what_it_was_made_with(toy_card, tmp_path) -> None:
    cell = evaluate_sweep(sweep(toy_card), tmp_path / "out")[0]
    assert cell.info.provenance["packages"]["transformers"]
    assert cell.info.provenance["device"]
    assert cell.info.spec["dataset"]["fingerprint"]


def test_scores_are_those_of_the_predictions(toy_card, tmp_path) -> None:
    script = tmp_path / "answers.jsonl"
    queries = plan_sweep(sweep(toy_card)).requests(plan_sweep(sweep(toy_card)).cells[0])
    gold = {r.query_id: r.target for r in queries}
    right, spaced, wrong, empty = gold
    lines = [
        {"query_id": right, "text": f" {gold[right]}\nmore"},
        {"query_id": spaced, "text": gold[spaced].replace(" ", "  ")},
        {"query_id": wrong, "text": "x"},
        {"query_id": empty, "text": ""},
    ]
    script.write_text("\n".join(map(json.dumps, lines)))
    model = {"kind": "mock", "answers": str(script)}
    cell = evaluate_sweep(sweep(toy_card, models=[model]), tmp_path / "out")[0]
    found = {
        r.query_id: (r.scores.get("raw"), r.scores.get("canonical"), r.reason) for r in cell.records
    }
    assert found[right] == (True, True, None)
    assert found[spaced] == (False, True, "spacing")
    assert found[wrong] == (False, False, "different program")
    assert found[empty] == (False, False, "empty")


def test_a_finished_sweep_loads_no_model(toy_card, tmp_path, monkeypatch) -> None:
    spec = sweep(toy_card)
    first = evaluate_sweep(spec, tmp_path / "out")
    monkeypatch.setattr("icl_gap.models.load_model", None)
    again = evaluate_sweep(spec, tmp_path / "out")
    assert again == first


def test_what_cannot_be_run_leaves_no_folder(toy_card, tmp_path) -> None:
    with pytest.raises(SamplingError):
        evaluate_sweep(sweep(toy_card, shots=[99]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_grown_sweep_asks_only_what_is_new(toy_card, tmp_path) -> None:
    evaluate_sweep(sweep(toy_card), tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out" / "cells").iterdir()}
    results = evaluate_sweep(sweep(toy_card, seeds=[0, 1, 2]), tmp_path / "out")
    assert len(results) == 24
    assert all(path.read_bytes() == content for path, content in before.items())


def test_a_failure_is_told_recorded_as_such_and_tried_again(toy_card, tmp_path) -> None:
    plan = plan_sweep(sweep(toy_card))
    failing = plan.requests(plan.cells[0])[2].prompt.query_id  # a test query
    script = tmp_path / "answers.jsonl"
    script.write_text(json.dumps({"query_id": failing, "error": "no answer"}))
    spec = sweep(toy_card, models=[{"kind": "mock", "answers": str(script)}])
    for _ in range(2):
        with pytest.raises(InferenceError, match="not all cells are finished") as caught:
            evaluate_sweep(spec, tmp_path / "out")
        assert str(caught.value).count(f"failed on {failing}: no answer") == 8
        results = open_results(tmp_path / "out")
        assert len(results) == 16
        assert len(results.failed) == 8  # the train queries know no failure
        (told,) = {
            (r.query_id, r.status, r.reason, r.prediction, *map(r.scores.get, ("raw", "canonical")))
            for cell in results
            for r in cell.records
            if r.status != "scored"
        }
        reason = f"mock failed on {failing}: no answer"
        assert told == (failing, "failed", reason, None, None, None)


def test_only_what_failed_is_asked_again(toy_card, tmp_path, monkeypatch) -> None:
    asked: list[int] = []
    plan = plan_sweep(sweep(toy_card))
    failing = plan.requests(plan.cells[0])[2].prompt.query_id

    class Model(Echo):
        broken = True

        def respond(
            self, requests: Sequence[Request], *, predictions: str, wanted: Collection[RequestId]
        ) -> Iterator[Outcome]:
            asked.append(len(wanted))
            for id_, right in super().respond(requests, predictions=predictions, wanted=wanted):
                fails = self.broken and id_[1] == failing
                yield id_, InferenceError("no") if fails else right

    monkeypatch.setattr(models, "load_model", lambda *_: Model())
    undisturbed = tmp_path / "one"
    with pytest.raises(InferenceError):
        evaluate_sweep(sweep(toy_card), tmp_path / "out")
    Model.broken = False
    evaluate_sweep(sweep(toy_card), tmp_path / "out")
    assert asked == [64, 8]
    evaluate_sweep(sweep(toy_card), undisturbed)
    assert untimed(open_results(tmp_path / "out")) == untimed(open_results(undisturbed))


def test_skipped_queries_are_recorded_as_such(toy_card, tmp_path) -> None:
    model = RANDOM_INIT | {"context_length": 12}
    results = evaluate_sweep(sweep(toy_card, models=[model], overflow="skip"), tmp_path / "out")
    records = [record for cell in results for record in cell.records]
    assert {record.status for record in records} == {"skipped"}
    assert {record.scores.get("raw") for record in records} == {None}


def test_a_model_that_does_not_load_leaves_the_others_alone(toy_card, tmp_path) -> None:
    broken = tmp_path / "broken"
    save_random_init(RandomInitSpec(hidden_size=16, layers=1), broken)
    wrong_device = {"model": str(broken), "device": "cuda:99"}
    spec = sweep(toy_card, models=[wrong_device, "nearest"])
    with pytest.raises(InferenceError, match=r"all 16 of broken.*models\[0\]"):
        evaluate_sweep(spec, tmp_path / "out")
    results = open_results(tmp_path / "out")
    assert {cell.info.model for cell in results} == {"nearest"}
    assert len(results.unfinished) == 16


def test_one_model_goes_before_the_next_comes(toy_card, tmp_path, monkeypatch) -> None:
    loaded: list[weakref.ref[Model]] = []
    alive: list[int] = []
    load = models.load_model

    def watched(*arguments: object) -> Model:
        alive.append(sum(each() is not None for each in loaded))
        model = load(*arguments)
        loaded.append(weakref.ref(model))
        return model

    monkeypatch.setattr(models, "load_model", watched)
    names = [RANDOM_INIT | {"name": name} for name in "abc"]
    evaluate_sweep(sweep(toy_card, models=names, shots=[0], seeds=[0]), tmp_path / "out")
    assert alive == [0, 0, 0]


def test_another_label_changes_no_record(toy_card, tmp_path) -> None:
    first = evaluate_sweep(sweep(toy_card), tmp_path / "out")
    named = sweep(
        toy_card, models=[{"kind": "nearest_exemplar", "name": "closest"}], seeds=[0, 1, 2]
    )
    again = evaluate_sweep(named, tmp_path / "out")
    assert {cell.info.model for cell in again} == {"closest"}
    assert [c.records for c in again if c.info.seed < 2] == [c.records for c in first]


class Echo:
    """Answers each request with what is asked beside it: what depends on that shows it."""

    info = ModelInfo("echo", "echo", None, None, None)

    def respond(
        self, requests: Sequence[Request], *, predictions: str, wanted: Collection[RequestId]
    ) -> Iterator[Outcome]:
        del predictions
        for place in reversed(range(len(requests))):
            if requests[place].id not in wanted:
                continue
            beside = requests[place // 4 * 4 :][:4]
            text = " ".join(request.prompt.query_id for request in beside)
            yield requests[place].id, Response(Completion(text, "stop"))


@pytest.mark.parametrize("known", range(11))
def test_what_is_asked_beside_a_request_does_not_depend_on_what_is_known(toy_card, known) -> None:
    plan = plan_sweep(sweep(toy_card, limit=10))
    cell = plan.cells[0]
    asked = plan.requests(cell)
    asked[2] = replace(asked[2], fits=False)

    def answered(numbers: range) -> dict[str, str | None]:
        wanted = [asked[n].id for n in numbers]
        cells = {cell.info.key: cell}
        records = (record for _, record in run_requests(asked, wanted, Echo(), cells, plan.sweep))
        return {r.query_id: r.prediction for r in records if isinstance(r, Record)}

    whole, rest = answered(range(10)), answered(range(known, 10))
    assert rest == {query: whole[query] for query in list(rest)}
    assert len(rest) == 10 - known


class Stopped(BaseException):
    """Stands for Ctrl-C at a chosen moment."""


def stop_after(steps: int) -> Progress:
    def progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
        del total
        for done, item in enumerate(items):
            if description.startswith(("nearest", "opt")) and done == steps:
                raise Stopped
            yield item

    return progress


@pytest.mark.parametrize("model", ["nearest", RANDOM_INIT])
def test_a_stopped_sweep_ends_with_the_same_bytes(toy_card, tmp_path, model) -> None:
    spec = sweep(toy_card, models=[model], shots=[2], seeds=[0])
    undisturbed = evaluate_sweep(spec, tmp_path / "one")
    for steps in (0, 1, 3, 4, 5):
        with pytest.raises(Stopped):
            evaluate_sweep(spec, tmp_path / "two", progress=stop_after(steps))
    assert untimed(evaluate_sweep(spec, tmp_path / "two")) == untimed(undisturbed)


@pytest.mark.parametrize("model", ["nearest", RANDOM_INIT])
def test_the_thread_that_stores_changes_no_record(toy_card, tmp_path, model) -> None:
    spec = sweep(toy_card, models=[model])
    stored = evaluate_sweep(spec, tmp_path / "out")
    plan = plan_sweep(spec)
    cells = {cell.info.key: cell for cell in plan.cells}
    requests = [request for cell in plan.cells for request in plan.requests(cell)]
    loaded = models.load_model(plan.cells[0].model.spec, plan.cells[0].model.identity)
    ids = [request.id for request in requests]
    expected = dict(run_requests(requests, ids, loaded, cells, spec))
    found = {
        (cell.info.key, record.query_id): replace(record, seconds=0.0)
        for cell in stored
        for record in cell.records
    }
    assert found == {id_: replace(record, seconds=0.0) for id_, record in expected.items()}


@pytest.mark.parametrize("known", [0, 1, 5, 63])
def test_all_that_came_before_a_stop_is_stored(toy_card, tmp_path, monkeypatch, known) -> None:
    class Model(Echo):
        def respond(
            self, requests: Sequence[Request], *, predictions: str, wanted: Collection[RequestId]
        ) -> Iterator[Outcome]:
            outcomes = super().respond(requests, predictions=predictions, wanted=wanted)
            yield from itertools.islice(outcomes, known)
            raise Stopped

    monkeypatch.setattr(models, "load_model", lambda *_: Model())
    with pytest.raises(Stopped):
        evaluate_sweep(sweep(toy_card), tmp_path / "out")
    lines = [path.read_bytes() for path in (tmp_path / "out" / "cells").iterdir()]
    assert sum(content.count(b"\n") - 1 for content in lines) == known
    assert not verify_store(tmp_path / "out")


def test_a_record_that_cannot_be_written_ends_the_run(toy_card, tmp_path, monkeypatch) -> None:
    stored: list[RequestId] = []
    store = Job.store

    def full(job: Job, id_: RequestId, record: Record) -> None:
        if len(stored) == 3:
            raise StoreError("the disk is full")
        store(job, id_, record)
        stored.append(id_)

    monkeypatch.setattr(models, "load_model", lambda *_: Echo())
    monkeypatch.setattr(Job, "store", full)
    with pytest.raises(StoreError, match="the disk is full"):
        evaluate_sweep(sweep(toy_card), tmp_path / "out")
    lines = [path.read_bytes() for path in (tmp_path / "out" / "cells").iterdir()]
    assert sum(content.count(b"\n") - 1 for content in lines) == 3


@pytest.mark.parametrize("predictions", ["verdict", "full"])
@pytest.mark.parametrize("family", ["opt", "bloom", "codegen"])
def test_the_token_budget_changes_no_record(toy_card, tmp_path, family, predictions) -> None:
    runs = []
    for size in (1, 100, 8192):
        model = {
            "kind": "random_init",
            "family": family,
            "hidden_size": 32,
            "kv_cache_tokens": size,
        }
        spec = sweep(toy_card, models=[model], seeds=[0], predictions=predictions)
        runs.append(evaluate_sweep(spec, tmp_path / str(size)))
    for cells in zip(*runs, strict=True):
        for same in zip(*(cell.records for cell in cells), strict=True):
            plain = [replace(r, seconds=0.0, gold_logprob=None) for r in same]
            assert plain[0] == plain[1] == plain[2]
            means = [record.gold_logprob for record in same]
            assert means == pytest.approx([means[0]] * 3, abs=2e-4)


KILLED_AT = """
import os, signal, sys
from icl_gap import read_sweep
from icl_gap.evaluation.runner import evaluate_sweep

path, out, name, *steps = sys.argv[1:]
for step in map(int, steps):
    def progress(items, description, total):
        for done, item in enumerate(items):
            if description.startswith(name) and done == step:
                os.kill(os.getpid(), signal.SIGKILL)
            yield item

    if not (child := os.fork()):  # so that all of them import once
        evaluate_sweep(read_sweep(path), out, progress=progress)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, step
"""


@pytest.mark.parametrize(
    ("model", "name", "steps"),
    [
        ({"kind": "nearest_exemplar"}, "nearest", [0, 1, 7, 25, 25, 18]),
        pytest.param(RANDOM_INIT, "opt-1x32", [5, 50], marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_step_it_ends_with_the_same_bytes(
    toy_card, tmp_path, model, name, steps
) -> None:
    path = sweep_file(tmp_path, sweep(toy_card, models=[model], shots=[2], seeds=[0], limit=20))
    undisturbed = evaluate_sweep(read_sweep(path), tmp_path / "one")
    command = [sys.executable, "-c", KILLED_AT, path, tmp_path / "two", name, *map(str, steps)]
    subprocess.run(command, check=True)
    assert untimed(evaluate_sweep(read_sweep(path), tmp_path / "two")) == untimed(undisturbed)


def test_killed_from_outside_it_ends_with_the_same_bytes(toy_card, tmp_path) -> None:
    path = sweep_file(tmp_path, sweep(toy_card, seeds=list(range(10)), limit=30, figures=[]))
    undisturbed = evaluate_sweep(read_sweep(path), tmp_path / "one")
    command = [sys.executable, "-m", "icl_gap.cli", "run", path, "--out", tmp_path / "two"]
    for _ in range(2):
        before = stored(tmp_path / "two")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None and stored(tmp_path / "two") < before + 300_000:
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert untimed(evaluate_sweep(read_sweep(path), tmp_path / "two")) == untimed(undisturbed)


def sweep_file(folder: Path, spec: SweepSpec) -> Path:
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(spec.model_dump(mode="json")), encoding="utf-8")
    return path


def stored(out: Path) -> int:
    """Bytes in the store; a file may be renamed while they are counted."""
    total = 0
    for file in out.glob("cells/*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:
            continue
    return total

"""A limit that is raised or lowered between runs: records are kept, and only new ones are asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from toys import sweep

from icl_gap import models
from icl_gap.errors import InferenceError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Outcome, Request, RequestId
from icl_gap.results import Results, merge_stores, open_results, verify_store
from icl_gap.schema import Completion, ModelInfo, Record, Response


class Counting:
    """Responds with the query's id, counts the requests, and fails or stops as told."""

    info = ModelInfo("mock", "mock", None, None, None)

    def __init__(self) -> None:
        self.requests: list[RequestId] = []
        self.failing: set[str] = set()
        self.stop_after: int | None = None

    def respond(
        self, requests: Sequence[Request], *, predictions: str, wanted: Collection[RequestId]
    ) -> Iterator[Outcome]:
        del predictions
        for request in sorted(requests, key=lambda each: each.query_id):  # in no query's order
            if request.id not in wanted:
                continue
            if self.stop_after is not None and len(self.requests) == self.stop_after:
                raise KeyboardInterrupt
            self.requests.append(request.id)
            failed = request.query_id in self.failing
            yield (
                request.id,
                InferenceError("no") if failed else Response(Completion(request.query_id, "stop")),
            )


@pytest.fixture
def model(monkeypatch) -> Counting:
    counting = Counting()
    monkeypatch.setattr(models, "load_model", lambda *_: counting)
    return counting


CELL = {"shots": [2], "seeds": [0], "conditions": ["id"], "query_splits": ["test"]}


def run(toy_card: str, folder: Path, limit: int, **changes: object) -> Results:
    return evaluate_sweep(sweep(toy_card, limit=limit, **{**CELL, **changes}), folder)


def records(results: Results) -> list[list[Record]]:
    return [[replace(record, seconds=0.0) for record in cell.records] for cell in results]


def test_a_raised_limit_asks_only_for_the_new_queries(toy_card, tmp_path, model) -> None:
    first = run(toy_card, tmp_path / "out", 4, seeds=[0, 1])
    assert len(model.requests) == 8
    asked = set(model.requests)
    more = run(toy_card, tmp_path / "out", 9, seeds=[0, 1])
    assert len(model.requests) == 18
    assert asked.isdisjoint(model.requests[8:])
    assert [cell[:4] for cell in records(more)] == records(first)
    assert [info.n_queries for info in more.infos] == [9, 9]
    assert not verify_store(tmp_path / "out")
    assert records(more) == records(run(toy_card, tmp_path / "fresh", 9, seeds=[0, 1]))


def test_a_lowered_limit_uses_the_first_and_keeps_the_others(toy_card, tmp_path, model) -> None:
    whole = run(toy_card, tmp_path / "out", 9)
    before = {path: path.read_bytes() for path in whole.paths}
    few = run(toy_card, tmp_path / "out", 3)
    assert records(few) == [cell[:3] for cell in records(whole)]
    assert [info.n_queries for info in few.infos] == [3]
    assert len(few.frame()) == 3
    assert few.frame()["query_id"].tolist() == [record.query_id for record in few[0].records]
    assert not verify_store(tmp_path / "out")
    again = run(toy_card, tmp_path / "out", 9)
    assert len(model.requests) == 9
    assert again == whole
    assert {path: path.read_bytes() for path in again.paths} == before


@pytest.mark.parametrize("stop", range(1, 9))
@pytest.mark.parametrize("low", [1, 4])
def test_killed_lowered_and_raised_it_asks_nothing_twice(
    toy_card, tmp_path, model, stop, low
) -> None:
    model.stop_after = stop
    with pytest.raises(KeyboardInterrupt):
        run(toy_card, tmp_path / "out", 9)
    model.stop_after = None
    few = run(toy_card, tmp_path / "out", low)
    assert len(few[0].records) == low
    assert not verify_store(tmp_path / "out")
    many = run(toy_card, tmp_path / "out", 9)
    assert len(model.requests) == len(set(model.requests)) == 9
    assert not verify_store(tmp_path / "out")
    undisturbed = run(toy_card, tmp_path / "fresh", 9)
    assert records(many) == records(undisturbed)
    heads = [
        path.read_text("utf-8").partition("\n")[0] for path in (*many.paths, *undisturbed.paths)
    ]
    one, other = ({**json.loads(head), "provenance": None, "crc": None} for head in heads)
    assert one == other


def test_killed_while_a_limit_is_raised_it_goes_on(toy_card, tmp_path, model) -> None:
    run(toy_card, tmp_path / "out", 4)
    for stop in (4, 5, 7):
        model.stop_after = stop
        with pytest.raises(KeyboardInterrupt):
            run(toy_card, tmp_path / "out", 9)
        if stop == 5:  # what is there is not all, and the first four are
            assert open_results(tmp_path / "out").unfinished
    model.stop_after = None
    back = run(toy_card, tmp_path / "out", 4)
    assert len(model.requests) == 7
    many = run(toy_card, tmp_path / "out", 9)
    assert len(model.requests) == len(set(model.requests)) == 9
    assert records(back) == [cell[:4] for cell in records(many)]
    assert records(many) == records(run(toy_card, tmp_path / "fresh", 9))


def test_a_failure_beyond_the_limit_is_no_failure_of_the_sweep(toy_card, tmp_path, model) -> None:
    order = [record.query_id for record in run(toy_card, tmp_path / "known", 9)[0].records]
    model.requests.clear()
    model.failing = {order[7]}
    with pytest.raises(InferenceError):
        run(toy_card, tmp_path / "out", 9)
    assert len(open_results(tmp_path / "out").failed) == 1
    few = run(toy_card, tmp_path / "out", 4)
    assert few.failed == ()
    assert len(model.requests) == 9
    model.failing = set()
    assert not run(toy_card, tmp_path / "out", 9).failed
    assert model.requests[9:] == [model.requests[9]]
    assert model.requests[9][1] == order[7]


def test_a_limit_above_the_side_and_null_are_the_same_cell(toy_card, tmp_path, model) -> None:
    whole = run(toy_card, tmp_path / "out", 99)
    assert len(model.requests) == 30
    every = evaluate_sweep(sweep(toy_card, **{**CELL, "limit": None}), tmp_path / "out")
    assert len(model.requests) == 30
    assert records(every) == records(whole)


@pytest.mark.parametrize("larger_first", [True, False])
def test_parts_with_more_records_than_the_limit_are_merged(
    toy_card, tmp_path, model, larger_first
) -> None:
    for name, limit in (("large", 9), ("small", 4)):
        run(toy_card, tmp_path / name, limit)
    run(toy_card, tmp_path / "large", 4)
    parts = [tmp_path / "large", tmp_path / "small"]
    merge_stores(parts if larger_first else parts[::-1], tmp_path / "all")
    assert not verify_store(tmp_path / "all")
    before = len(model.requests)
    merged = run(toy_card, tmp_path / "all", 9)
    assert len(model.requests) == before
    assert records(merged) == records(run(toy_card, tmp_path / "large", 9))

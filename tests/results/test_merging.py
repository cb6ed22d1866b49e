"""Parts of a sweep, run apart, come together as one run would have left them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import pytest
from evaluation.test_runner import untimed
from stored import INFO, SOME, fresh, path_of, write
from toys import sweep

from icl_gap.errors import StoreError
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results import merge_stores, open_results, open_store, repair_store, verify_store

T = TypeVar("T")
RANDOM_INIT = {"kind": "random_init", "hidden_size": 16, "layers": 1}


def test_parts_run_apart_are_what_one_run_gives(toy_card, tmp_path) -> None:
    spec = sweep(toy_card, models=["nearest", RANDOM_INIT])
    parts = [tmp_path / f"part{n}" for n in range(3)]
    for n, part in enumerate(parts):
        results = evaluate_sweep(plan_sweep(spec, shard=(n, 3)), part)
        assert len(results) + len(results.unfinished) == 32
    merge_stores(parts, tmp_path / "merged")
    whole = evaluate_sweep(spec, tmp_path / "whole")
    merged = open_results(tmp_path / "merged")
    assert untimed(merged) == untimed(whole)
    assert verify_store(tmp_path / "merged") == []
    assert evaluate_sweep(spec, tmp_path / "merged") == open_results(tmp_path / "merged")
    merge_stores(parts, tmp_path / "merged")  # once more changes nothing
    assert untimed(open_results(tmp_path / "merged")) == untimed(whole)


def test_a_failure_gives_way_to_an_answer_and_what_is_begun_is_joined(tmp_path) -> None:
    failed = replace(SOME[1], status="failed", reason="no")
    one, two, three = (fresh(tmp_path) for _ in range(3))
    write(one, [SOME[0], failed, SOME[2]])
    write(two, SOME, upto=2)
    merge_stores([one, two], tmp_path / "a")
    (cell,) = open_results(tmp_path / "a")
    assert cell.records == tuple(SOME)
    assert list((tmp_path / "a" / "cells").iterdir()) == [path_of(tmp_path / "a")]
    write(three, SOME[::-1], upto=1)
    merge_stores([two, three], tmp_path / "b")
    assert open_results(tmp_path / "b").unfinished
    assert write(tmp_path / "b", SOME) == 0
    (cell,) = open_results(tmp_path / "b")
    assert cell.records == tuple(SOME)


def test_timings_may_differ_and_answers_may_not(tmp_path) -> None:
    one, two, three = (fresh(tmp_path) for _ in range(3))
    write(one, SOME)
    write(two, [replace(record, seconds=9.0) for record in SOME])
    merge_stores([one, two], tmp_path / "out")
    write(three, [SOME[0], replace(SOME[1], coverage=0.5), SOME[2]])
    with pytest.raises(StoreError, match="its record of query r is not that of") as caught:
        merge_stores([one, three], tmp_path / "no")
    assert str(path_of(three)) in str(caught.value)
    assert not (tmp_path / "no").exists()


def test_only_parts_of_one_sweep_are_merged(tmp_path) -> None:
    one, two = fresh(tmp_path), tmp_path / "two"
    with open_store(two, {"name": "y"}, [replace(INFO, key="cd" * 32)]):
        pass
    with pytest.raises(StoreError, match="merge parts of one sweep"):
        merge_stores([one, two], tmp_path / "out")
    with pytest.raises(StoreError, match="no results here"):
        merge_stores([one, tmp_path / "none"], tmp_path / "out")


def test_a_damaged_part_is_named(tmp_path) -> None:
    one = fresh(tmp_path)
    write(one, SOME)
    path_of(one).write_bytes(path_of(one).read_bytes()[:-4])
    with pytest.raises(StoreError, match=r"record 3 is torn.*store repair"):
        merge_stores([one], tmp_path / "out")


def test_a_folder_that_is_there_is_locked_before_it_is_read(tmp_path, monkeypatch) -> None:
    one, out = fresh(tmp_path), fresh(tmp_path)
    write(one, SOME)
    monkeypatch.setattr("icl_gap.results.merging.read_manifest", None)  # nothing is read
    with (
        open_store(out, {"name": "x"}, [INFO]),
        pytest.raises(StoreError, match="another run is writing here"),
    ):
        merge_stores([one], out)


def test_a_folder_that_a_run_makes_meanwhile_is_left_to_it(tmp_path) -> None:
    one, out = fresh(tmp_path), tmp_path / "out"
    write(one, SOME)

    def progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
        del description, total
        write(out, SOME, upto=1)  # while the parts are read
        return items

    with pytest.raises(StoreError, match="another run began to write here"):
        merge_stores([one], out, progress=progress)
    assert open_results(out).unfinished
    merge_stores([one], out)
    assert not open_results(out).unfinished


def test_records_that_wait_for_a_first_line_are_not_lost(tmp_path) -> None:
    one, two = fresh(tmp_path), fresh(tmp_path)
    write(one, SOME)
    path = path_of(one)
    path.write_bytes(path.read_bytes().replace(b'"model"', b'"madel"', 1))
    repair_store(one)
    merge_stores([one], tmp_path / "a")
    assert write(tmp_path / "a", SOME) == 0
    write(two, SOME[::-1], upto=1)
    merge_stores([one, two], tmp_path / "b")
    assert write(tmp_path / "b", SOME) == 0
    assert open_results(tmp_path / "a")[0] == open_results(tmp_path / "b")[0]


@pytest.mark.parametrize("upto", [1, None])
def test_a_cell_under_an_older_label_is_not_written_twice(tmp_path, upto) -> None:
    one, out = fresh(tmp_path), fresh(tmp_path)
    write(one, SOME)
    write(out, SOME, upto=upto)
    (old,) = (out / "cells").iterdir()
    old.rename(old.with_name(f"older.{old.name}"))
    merge_stores([one], out)
    assert verify_store(out) == []
    assert open_results(out)[0].records == tuple(SOME)
    assert len(list((out / "cells").iterdir())) == 1


def test_what_is_settled_is_noted(tmp_path) -> None:
    one, two = fresh(tmp_path), fresh(tmp_path)
    write(two, SOME)
    merge_stores([one, two], tmp_path / "out")
    path_of(tmp_path / "out").unlink()
    (fault,) = verify_store(tmp_path / "out")
    assert "missing" in fault.problem

"""Writing: what was written comes back, and a torn file loses its torn end alone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import INFO, SOME, finished_keys, fresh, path_of, write
from strategies import records

from icl_gap.errors import StoreError
from icl_gap.results import CellFile, StoreWriter, cell_name, open_results, open_store
from icl_gap.results.cell_files import parse_record
from icl_gap.results.manifest import read_manifest
from icl_gap.schema import Record

three = st.lists(records(), min_size=3, max_size=3, unique_by=lambda record: record.query_id)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def answered(record: Record) -> Record:
    return replace(record, status="scored") if record.status == "failed" else record


@given(three)
@in_one_folder
def test_what_is_written_comes_back(tmp_path, some) -> None:
    folder = fresh(tmp_path)
    write(folder, some)
    (cell,) = open_results(folder)
    assert cell.info == INFO
    assert cell.records == tuple(some)


@given(three, st.integers(0, 10**6))
@in_one_folder
def test_a_file_cut_anywhere_is_finished_to_the_same_bytes(tmp_path, some, cut) -> None:
    some = [answered(record) for record in some]
    folder = fresh(tmp_path)
    write(folder, some)
    whole = path_of(folder).read_bytes()
    folder = fresh(tmp_path)
    path_of(folder, ".jsonl.part").write_bytes(whole[: cut % (len(whole) + 1)])
    assert not finished_keys(folder)
    write(folder, some)
    assert path_of(folder).read_bytes() == whole
    assert list((folder / "cells").iterdir()) == [path_of(folder)]
    assert not (folder / "damaged").exists()


def test_records_come_in_any_order(tmp_path) -> None:
    folder = fresh(tmp_path)
    order = [record.query_id for record in SOME]
    with StoreWriter(folder, [CellFile(INFO, order)]) as writer:
        for record in reversed(SOME):
            writer.append(INFO.key, record)
    (cell,) = open_results(folder)
    assert cell.records == tuple(SOME)


def test_a_begun_cell_counts_as_unfinished(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME, upto=1)
    assert not finished_keys(folder)
    results = open_results(folder)
    assert len(results) == 0
    assert results.unfinished == (cell_name(INFO),)
    assert write(folder, SOME) == 2


def test_failures_are_kept_and_wanted_again(tmp_path) -> None:
    folder = fresh(tmp_path)
    failed = replace(SOME[1], status="failed", reason="no answer")
    write(folder, [SOME[0], failed, SOME[2]])
    results = open_results(folder)
    assert results.failed == (cell_name(INFO),)
    assert results.unfinished == ()
    assert [record.status for record in results[0].records] == ["skipped", "failed", "skipped"]
    assert not finished_keys(folder)
    assert write(folder, [SOME[0], failed, SOME[2]]) == 1
    assert write(folder, SOME) == 1
    assert finished_keys(folder) == {INFO.key}
    (cell,) = open_results(folder)
    assert cell.records == tuple(SOME)
    assert list((folder / "cells").iterdir()) == [path_of(folder)]


@pytest.mark.parametrize("suffix", [".jsonl.part", ".jsonl.failed"])
def test_a_run_that_died_between_its_last_two_steps_is_finished(tmp_path, suffix) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME)
    path_of(folder, suffix).write_bytes(path_of(folder).read_bytes())
    assert finished_keys(folder) == {INFO.key}
    assert list((folder / "cells").iterdir()) == [path_of(folder)]


def test_more_cells_than_files_may_be_open(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("icl_gap.results.writing._MOST_OPEN", 2)
    infos = [replace(INFO, key=f"{n:02x}" * 32) for n in range(5)]
    order = [record.query_id for record in SOME]
    folder = tmp_path / "out"
    with (
        open_store(folder, {"name": "x"}, infos),
        StoreWriter(folder, [CellFile(info, order) for info in infos]) as writer,
    ):
        for record in SOME:
            for info in infos:
                writer.append(info.key, record)
    assert [cell.records for cell in open_results(folder)] == [tuple(SOME)] * 5


@pytest.mark.parametrize("meanwhile", [0, 1, 2, 3])
def test_one_model_under_two_names_has_one_file(tmp_path, meanwhile) -> None:
    folder = tmp_path / "out"
    infos = [INFO, replace(INFO, model="b")]
    with (
        open_store(folder, {"name": "x"}, infos),
        StoreWriter(folder, [CellFile(infos[0], "qrs")]) as one,
    ):
        for record in SOME[:meanwhile]:
            one.append(INFO.key, record)
        with StoreWriter(folder, [CellFile(infos[1], "qrs")]) as two:
            wanted = [record for record in SOME if two.wants(INFO.key, record.query_id)]
            assert wanted == SOME[meanwhile:]
            for record in wanted:
                two.append(INFO.key, record)
                one.append(INFO.key, record)
    results = open_results(folder)
    assert [cell.info.model for cell in results] == [INFO.model, "b"]
    assert [cell.records for cell in results] == [tuple(SOME)] * 2
    assert len(list((folder / "cells").iterdir())) == 1


def test_a_line_belongs_to_its_cell(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME)
    line = path_of(folder).read_bytes().splitlines(keepends=True)[1]
    assert parse_record(line, INFO.key) == SOME[0]
    with pytest.raises(ValueError, match="not as it was written"):
        parse_record(line, "cd" * 32)


def test_names_tell_cells_apart_and_are_plain() -> None:
    name = cell_name(INFO)
    assert name == "scan-mcd1.a-model-x.test-id.3shots.seed0.abababababababab"
    assert cell_name(replace(INFO, key="cd" * 32)) != name


def test_labels_are_those_of_the_last_run(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME)
    renamed = replace(INFO, model="new name", family="new family")
    with open_store(folder, {"name": "x"}, [renamed]) as finished:
        assert finished == {INFO.key}
    (cell,) = open_results(folder)
    assert cell.info == renamed


def test_a_begun_cell_goes_on_under_another_label(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME, upto=1)
    renamed = replace(INFO, model="new name")
    with StoreWriter(folder, [CellFile(renamed, "qrs")]) as writer:
        assert not writer.wants(INFO.key, "q")
        assert writer.wants(INFO.key, "r")
        writer.append(INFO.key, SOME[1])
    (part,) = (folder / "cells").iterdir()
    assert len(part.read_bytes().splitlines()) == 3


def test_two_runs_cannot_write_at_once(tmp_path) -> None:
    folder = fresh(tmp_path)
    with (
        open_store(folder, {"name": "x"}, [INFO]),
        pytest.raises(StoreError, match="another run is writing"),
        open_store(folder, {"name": "x"}, [INFO]),
    ):
        pass
    assert not finished_keys(folder)


def test_a_folder_that_cannot_be_written_is_named(tmp_path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(StoreError, match="file: cannot be written"), open_store(path, {}, [INFO]):
        pass


def test_an_error_of_the_run_is_not_taken_for_one_of_the_folder(tmp_path) -> None:
    with (
        pytest.raises(ConnectionResetError),
        open_store(tmp_path / "out", {"name": "x"}, [INFO]),
    ):
        raise ConnectionResetError


def test_what_is_said_of_a_size_is_that_of_the_last_run(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME)
    told = replace(
        INFO,
        n_params=12,
        size_source="estimated",
        training_tokens=7,
        training_seed=3,
        revision="step1000",
    )
    with open_store(folder, {"name": "x"}, [told]):
        pass
    (cell,) = open_results(folder)
    assert cell.info == told
    unknown = replace(INFO, n_params=None, n_params_non_embedding=None)
    with open_store(folder, {"name": "x"}, [unknown]):
        pass
    (cell,) = open_results(folder)
    assert cell.info == INFO  # as the weights told


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is synced, renamed and removed from now on, in order; new files are `new`."""
    steps: list[tuple[str, str]] = []
    fsync, rename, unlink = os.fsync, Path.replace, Path.unlink

    def synced(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        steps.append(("sync", "new" if path.suffix == ".tmp" else path.name))
        fsync(descriptor)

    def replaced(new: Path, path: Path) -> Path:
        steps.append(("replace", path.name))
        return rename(new, path)

    def unlinked(path: Path, *, missing_ok: bool = False) -> None:
        steps.append(("unlink", path.name))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    monkeypatch.setattr(Path, "unlink", unlinked)
    return steps


def test_a_settled_cell_is_on_the_disk_before_what_was_begun_goes(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "new" / "out"
    steps = recorded(monkeypatch)
    with open_store(folder, {"name": "x"}, [INFO]):
        manifest = [("sync", "new"), ("replace", "sweep.json"), ("sync", "out")]
        folders = [("sync", tmp_path.name), ("sync", "new"), ("sync", "out")]
        assert steps == [*folders, *manifest]
        steps.clear()
        with StoreWriter(folder, [CellFile(INFO, "qrs")]) as writer:
            for record in SOME:
                assert steps == []  # records are handed to the system, which takes its time
                writer.append(INFO.key, record)
        assert steps == [
            ("sync", "new"),
            ("replace", path_of(folder).name),
            ("sync", "cells"),
            ("unlink", path_of(folder, ".jsonl.part").name),
        ]
        steps.clear()
    assert steps == manifest


def test_what_is_damaged_is_on_the_disk_aside_before_it_goes(tmp_path, monkeypatch) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME)
    path = path_of(folder)
    path.write_bytes(path.read_bytes()[:-3])
    with monkeypatch.context() as patch:
        steps = recorded(patch)
        finished_keys(folder)
    assert steps[steps.index(("sync", "damaged")) :][:5] == [
        ("sync", "damaged"),
        ("sync", "new"),
        ("replace", path_of(folder, ".jsonl.part").name),
        ("sync", "cells"),
        ("unlink", path.name),
    ]


def test_a_run_that_fails_notes_what_is_settled(tmp_path) -> None:
    folder = tmp_path / "out"

    def failing() -> None:
        with (
            open_store(folder, {"name": "x"}, [INFO]),
            StoreWriter(folder, [CellFile(INFO, "qrs")]) as writer,
        ):
            for record in SOME:
                writer.append(INFO.key, record)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert read_manifest(folder).settled == (INFO.key[:16],)


def test_a_begun_file_that_says_less_than_the_model_is_described_anew(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME)
    whole = path_of(folder).read_bytes()
    folder = fresh(tmp_path)
    plan = replace(INFO, n_params=None, n_params_non_embedding=None)
    with StoreWriter(folder, [CellFile(plan, "qrs")]) as writer:
        writer.append(INFO.key, SOME[0])
    assert write(folder, SOME) == 2
    assert path_of(folder).read_bytes() == whole


def test_the_lock_is_no_fifo(tmp_path) -> None:
    folder = fresh(tmp_path)
    (folder / ".lock").unlink()
    os.mkfifo(folder / ".lock")
    with pytest.raises(StoreError, match=r"\.lock: cannot be written: it is a FIFO"):
        finished_keys(folder)


def test_a_killed_process_leaves_no_lock(tmp_path) -> None:
    folder = fresh(tmp_path)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from icl_gap.results.locking import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another run is writing"):
            finished_keys(folder)
        process.kill()
    assert finished_keys(folder) == frozenset()

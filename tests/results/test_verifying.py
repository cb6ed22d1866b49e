"""Damage: every kind is found and named, set aside, and costs no more than what it touched."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored import INFO, SOME, finished_keys, forged, fresh, path_of, write

from icl_gap.errors import StoreError
from icl_gap.results import (
    CellFile,
    StoreWriter,
    cell_name,
    merge_stores,
    missing_cells,
    open_results,
    open_store,
    repair_store,
    verify_store,
)
from icl_gap.results.cell_files import header_line
from icl_gap.results.checksummed import PRECISION, dump_checksummed

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
STATES = (".jsonl", ".jsonl.failed", ".jsonl.part")


def written(place: Path, suffix: str = ".jsonl") -> tuple[Path, Path, bytes]:
    """A folder with its cell in some state, the cell's file, and what a whole one holds."""
    folder = fresh(place)
    write(folder, SOME)
    whole = path_of(folder).read_bytes()
    folder = fresh(place)
    some = [*SOME[:2], replace(SOME[2], status="failed", reason="no")]
    write(folder, some if suffix == ".jsonl.failed" else SOME, upto=2 if "part" in suffix else None)
    return folder, path_of(folder, suffix), whole


def flipped(content: bytes, at: int, bit: int) -> bytes:
    at %= len(content)
    return content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]


@given(st.sampled_from(STATES), st.integers(0, 10**6), st.integers(0, 7))
@in_one_folder
def test_any_flipped_bit_is_found_and_costs_one_record(tmp_path, suffix, at, bit) -> None:
    folder, path, whole = written(tmp_path, suffix)
    good = path.read_bytes()
    path.write_bytes(flipped(good, at, bit))
    last = at % len(good) == len(good) - 1
    held = 2 if suffix == ".jsonl.part" else 3
    if suffix == ".jsonl.part" and last:  # as a stop may leave it
        assert verify_store(folder) == []
        aside = []
    else:
        (fault,) = verify_store(folder)
        assert fault.path == path
        two = good.count(b"\n") > path.read_bytes().count(b"\n")  # became one line
        assert fault.n_good >= held - (2 if two else 1)
        aside = [path.read_bytes()]
    write(folder, SOME)
    assert path_of(folder).read_bytes() == whole
    assert verify_store(folder) == []
    assert [each.read_bytes() for each in folder.glob("damaged/*")] == aside


def newer(content: bytes) -> bytes:
    return forged(content, schema_version=99)


DAMAGE = [
    (lambda b: b.splitlines(keepends=True)[0][:-9] + b"\n", "header", "qrs"),
    (lambda b: b.replace(b'"coverage":1.0', b'"coverage":0.0', 1), "record 1 is", "q"),
    (lambda b: b.replace(b'"model":"a', b'"model":"b', 1), "header", ""),
    (lambda b: b"{}\n" + b, "header", ""),
    (newer, "written in schema version 99", "qrs"),
]
"""What is done to a file, what is said of it, and the queries whose records it costs."""
ANSWERED = {".jsonl": "qrs", ".jsonl.failed": "qr", ".jsonl.part": "qr"}


@pytest.mark.parametrize("suffix", STATES)
@pytest.mark.parametrize(("damage", "said", "lost"), DAMAGE)
def test_damage_is_named_and_a_run_keeps_what_is_good(
    tmp_path, caplog, suffix, damage, said, lost
) -> None:
    folder, path, whole = written(tmp_path, suffix)
    held = "qr" if suffix == ".jsonl.part" else "qrs"
    broken = damage(path.read_bytes())
    path.write_bytes(broken)
    (fault,) = verify_store(folder)
    assert said in fault.problem
    assert fault.n_good == len(set(held) - set(lost))
    with caplog.at_level(logging.WARNING):
        asked = write(folder, SOME)
    assert path.name in caplog.text
    assert asked == 3 - len(set(ANSWERED[suffix]) - set(lost))
    assert path_of(folder).read_bytes() == whole
    assert [each.read_bytes() for each in folder.glob("damaged/*")] == [broken]


@pytest.mark.parametrize("suffix", STATES)
def test_an_empty_file_is_found(tmp_path, suffix) -> None:
    folder, path, whole = written(tmp_path, suffix)
    path.write_bytes(b"")
    found = [fault.problem for fault in verify_store(folder)]
    assert found == ([] if suffix == ".jsonl.part" else ["empty"])  # a stop may leave it so
    assert write(folder, SOME) == 3
    assert path_of(folder).read_bytes() == whole


def test_a_cell_under_another_name_is_found(tmp_path) -> None:
    folder, path, _ = written(tmp_path)
    other = replace(INFO, key="cd" * 32)
    with open_store(folder, {"name": "x"}, [INFO, other]) as finished:
        assert finished == {INFO.key}
    path.rename(path.with_name(path.name.replace("abababababababab", "cdcdcdcdcdcdcdcd")))
    other_name, lost = verify_store(folder)
    assert "header is not as it was written" in other_name.problem
    assert (lost.path, lost.n_good) == (path, 0)
    with open_store(folder, {"name": "x"}, [INFO, other]) as finished:
        assert not finished
        with StoreWriter(folder, [CellFile(other, "qrs")]) as writer:
            assert all(writer.wants(other.key, query) for query in "qrs")


def test_repair_sets_aside_and_keeps_what_is_good(tmp_path) -> None:
    folder, path, whole = written(tmp_path)
    path.write_bytes(flipped(whole, len(whole) - 30, 0))
    (fault,) = repair_store(folder)
    assert fault.path == path
    assert fault.n_good == 2
    assert repair_store(folder) == []
    assert len(open_results(folder).unfinished) == 1
    assert write(folder, SOME) == 1
    assert path_of(folder).read_bytes() == whole


def test_repair_keeps_records_whose_cell_only_a_run_knows(tmp_path) -> None:
    folder, path, whole = written(tmp_path)
    path.write_bytes(flipped(whole, 20, 0))
    (fault,) = repair_store(folder)
    assert fault.n_good == 3
    assert write(folder, SOME) == 0
    assert path_of(folder).read_bytes() == whole


def test_files_set_aside_do_not_replace_one_another(tmp_path) -> None:
    folder, path, whole = written(tmp_path)
    for bit in range(3):
        path_of(folder).write_bytes(flipped(whole, 300, bit))
        assert write(folder, SOME) <= 1
    assert len({each.read_bytes() for each in folder.glob("damaged/*")}) == 3
    assert path.read_bytes() == whole


@pytest.mark.parametrize("text", ["{", '{"schema_version": 99}', '{"schema_version": []}'])
def test_a_damaged_manifest_is_told_set_aside_and_written_anew(tmp_path, caplog, text) -> None:
    folder, _, _ = written(tmp_path)
    (folder / "sweep.json").write_text(text)
    (fault,) = verify_store(folder)
    assert fault.path.name == "sweep.json"
    with caplog.at_level(logging.WARNING):
        assert finished_keys(folder) == {INFO.key}
    assert "sweep.json" in caplog.text
    assert verify_store(folder) == []
    assert [each.read_text() for each in folder.glob("damaged/*")] == [text]


def test_what_was_begun_is_kept_beside_what_is_good_of_a_damaged_file(tmp_path) -> None:
    folder, path, whole = written(tmp_path)
    head, one, two, three = whole.splitlines(keepends=True)
    path_of(folder, ".jsonl.part").write_bytes(head + three)
    path.write_bytes(head + one + two + three[:-5])
    assert write(folder, SOME) == 0
    assert path_of(folder).read_bytes() == whole


def test_a_record_that_stands_twice_is_no_other_one(tmp_path) -> None:
    folder, path, whole = written(tmp_path)
    head, one, two, _ = whole.splitlines(keepends=True)
    path.write_bytes(head + one + two + two)
    (fault,) = verify_store(folder)
    assert "3 records, of 2 queries, instead of 3" in fault.problem
    assert write(folder, SOME) == 1
    assert path_of(folder).read_bytes() == whole


def test_what_stands_beside_the_cells_is_checked_too(tmp_path) -> None:
    folder, _, _ = written(tmp_path)
    (folder / "precision.json").write_text("[{")
    (fault,) = verify_store(folder)
    assert (fault.path.name, fault.problem) == ("precision.json", "not JSON")
    assert repair_store(folder) == [fault]
    assert verify_store(folder) == []
    assert [each.name for each in folder.glob("damaged/*")] == ["precision.json.1"]


def test_a_folder_without_results_is_named(tmp_path) -> None:
    for check in (verify_store, repair_store):
        with pytest.raises(StoreError, match="no results here"):
            check(tmp_path)


def test_repair_does_not_touch_what_a_run_writes(tmp_path) -> None:
    folder, _, _ = written(tmp_path)
    with (
        open_store(folder, {"name": "x"}, [INFO]),
        pytest.raises(StoreError, match="another run is writing"),
    ):
        repair_store(folder)


def test_a_cell_whose_key_is_not_its_spec_is_no_surprise(tmp_path) -> None:
    """A header with a true checksum and another key is another cell's."""
    folder, path, _ = written(tmp_path)
    path.write_bytes(forged(path.read_bytes(), key="ef" * 32))
    (fault,) = verify_store(folder)
    assert "another cell" in fault.problem


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_every_byte_of_a_first_line_may_change(tmp_path, step: int) -> None:
    """One run heals cells of which each has another byte of its header changed."""
    head = header_line(INFO)
    places = range(0, len(head), step)
    infos = [replace(INFO, key=f"{n:04x}" + "ab" * 30) for n in places]
    folder = tmp_path / "out"

    def run() -> None:
        with (
            open_store(folder, {"name": "x"}, infos) as finished,
            StoreWriter(
                folder, [CellFile(i, "qrs") for i in infos if i.key not in finished]
            ) as writer,
        ):
            for info in infos:
                for record in SOME:
                    if writer.wants(info.key, record.query_id):
                        writer.append(info.key, record)

    run()
    paths = [folder / "cells" / f"{cell_name(info)}.jsonl" for info in infos]
    whole = [path.read_bytes() for path in paths]
    assert {len(each.splitlines(keepends=True)[0]) for each in whole} == {len(head)}
    for at, path, content in zip(places, paths, whole, strict=True):
        path.write_bytes(flipped(content, at, at % 8))
    assert {fault.path for fault in verify_store(folder)} == set(paths)
    run()
    assert [path.read_bytes() for path in paths] == whole
    assert verify_store(folder) == []


def test_records_wait_without_a_first_line_until_the_model_is_known(tmp_path, caplog) -> None:
    folder, path, whole = written(tmp_path)
    path.write_bytes(flipped(whole, 20, 0))
    assert not finished_keys(folder)
    assert path_of(folder, ".jsonl.part").read_bytes() == b"".join(
        whole.splitlines(keepends=True)[1:]
    )
    assert verify_store(folder) == []
    caplog.clear()
    assert write(folder, SOME) == 0
    assert not caplog.records
    assert path_of(folder).read_bytes() == whole


def test_a_begun_file_is_not_lost_where_it_and_the_settled_one_are_damaged(tmp_path) -> None:
    folder, path, whole = written(tmp_path)
    head, one, two, three = whole.splitlines(keepends=True)
    path_of(folder, ".jsonl.part").write_bytes(broken := head + one + two[:-9] + b"\n" + three)
    path.write_bytes(head + one[:-9] + b"\n" + two + three)
    assert write(folder, SOME) == 0
    assert path_of(folder).read_bytes() == whole
    assert broken in [each.read_bytes() for each in folder.glob("damaged/*")]


Use = Callable[[Path], object]


def opened(folder: Path) -> None:
    with open_store(folder, {"name": "x"}, [INFO]):
        pass


USES: dict[str, Use] = {
    "analyze": open_results,
    "run": opened,
    "merge": lambda folder: merge_stores([folder], folder.with_name("out")),
    "merge into": lambda folder: merge_stores([fresh(folder.parent)], folder),
    "repair": repair_store,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_two_files_of_one_cell_are_refused(tmp_path, use) -> None:
    folder, path, whole = written(tmp_path)
    copy = path.with_name(f"renamed.{path.name}")
    copy.write_bytes(whole)
    (fault,) = verify_store(folder)
    with pytest.raises(StoreError) as caught:
        use(folder)
    for told in (str(fault), str(caught.value)):
        assert path.name in told
        assert copy.name in told
        assert "find out which of the two is right, and move the other out" in told
    assert path.read_bytes() == copy.read_bytes() == whole
    assert verify_store(folder) == [fault]


@pytest.mark.parametrize("suffix", [".jsonl.failed", ".jsonl.part"])
def test_two_files_of_one_unfinished_cell_are_refused(tmp_path, suffix) -> None:
    folder, path, _ = written(tmp_path, suffix)
    shutil.copy(path, path.with_name(f"renamed.{path.name}"))
    (fault,) = verify_store(folder)
    assert "a second file of the cell" in fault.problem
    with pytest.raises(StoreError, match="a second file of the cell"):
        opened(folder)


def test_a_cell_that_was_settled_and_is_missing_is_named(tmp_path) -> None:
    folder, path, _ = written(tmp_path)
    assert missing_cells(folder) == ()
    path.unlink()
    (fault,) = verify_store(folder)
    assert fault.path == path
    assert "missing" in fault.problem
    assert repair_store(folder) == [fault]
    assert missing_cells(folder) == ()
    assert write(folder, SOME) == 3
    assert verify_store(folder) == []


def test_a_cell_that_a_sweep_has_not_come_to_is_named_and_no_damage(tmp_path) -> None:
    folder = fresh(tmp_path)
    assert verify_store(folder) == []
    assert missing_cells(folder) == (cell_name(INFO),)
    write(folder, SOME, upto=1)
    assert missing_cells(folder) == ()
    path_of(folder, ".jsonl.part").unlink()
    assert verify_store(folder) == []
    (folder / "sweep.json").write_text("{")
    assert missing_cells(folder) == ()


@given(st.integers(0, 10**6), st.integers(0, 7))
@in_one_folder
def test_any_flipped_bit_of_a_file_beside_the_cells_is_found(tmp_path, at, bit) -> None:
    folder = fresh(tmp_path)
    precision = folder / PRECISION
    precision.write_bytes(dump_checksummed({"checks": [{"model": "m", "compared": [], "x": 1.5}]}))
    assert verify_store(folder) == []
    for path in (precision, folder / "sweep.json"):
        good = path.read_bytes()
        path.write_bytes(flipped(good, at, bit))
        (fault,) = verify_store(folder)
        assert fault.path == path
        path.write_bytes(good)


def linked(path: Path) -> None:
    path.symlink_to(path.parent.parent / "victim" if path.parent.name == "cells" else "../victim")


IRREGULAR: dict[str, tuple[Callable[[Path], None], str]] = {
    "link": (linked, "a symbolic link"),
    "fifo": (os.mkfifo, "a FIFO"),
}
ENTRIES = ["sweep.json", "cells/{}.jsonl", "cells/{}.jsonl.failed", "cells/{}.jsonl.part"]


@pytest.mark.parametrize(("make", "kind"), IRREGULAR.values(), ids=IRREGULAR)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_no_regular_file_is_refused_and_left_alone(tmp_path, entry, make, kind) -> None:
    folder, _, whole = written(tmp_path)
    for victim in (tmp_path / "victim", folder / "victim"):
        victim.write_bytes(whole)
    if not entry.startswith("sweep"):
        path_of(folder).unlink()
    path = folder / entry.format(cell_name(INFO))
    path.unlink(missing_ok=True)
    make(path)
    before = path.lstat()
    said = f"it is {kind}, and must be a regular file"
    told = [fault.problem for fault in verify_store(folder) if fault.path == path]
    assert len(told) == 1
    assert said in told[0]
    with pytest.raises(StoreError, match=said) as caught:
        write(folder, SOME)
    assert path.name in str(caught.value)
    with pytest.raises(StoreError, match=said):
        merge_stores([folder], tmp_path / "out")
    if path.suffix != ".part":
        with pytest.raises(StoreError, match=said):
            list(open_results(folder))
    assert path.lstat() == before
    assert repair_store(folder)
    assert [each.lstat().st_ino for each in folder.glob("damaged/*")] == [before.st_ino]
    write(folder, SOME)
    assert verify_store(folder) == []
    for victim in (tmp_path / "victim", folder / "victim"):
        assert victim.read_bytes() == whole


@pytest.mark.parametrize("name", [".lock", "cells", "damaged", "figures"])
def test_links_in_a_results_folder_are_not_followed(tmp_path, name) -> None:
    folder, path, whole = written(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    if name == ".lock":
        elsewhere.write_text("precious")
        (folder / name).unlink()
    elif name == "cells":
        path.parent.rename(elsewhere)
    else:
        elsewhere.mkdir()
        path.write_bytes(flipped(whole, 30, 0))
    (folder / name).symlink_to(elsewhere)
    before = sorted(each.name for each in elsewhere.glob("*"))
    for use in (opened, repair_store):
        with pytest.raises(StoreError, match="a symbolic link, and must be a"):
            use(folder)
    if name == "cells":
        for use in (verify_store, open_results):
            with pytest.raises(StoreError, match="a symbolic link, and must be a folder"):
                use(folder)
    assert sorted(each.name for each in elsewhere.glob("*")) == before
    assert not elsewhere.is_file() or elsewhere.read_text() == "precious"


def test_a_link_to_a_results_folder_goes_on_working(tmp_path) -> None:
    folder, path, whole = written(tmp_path)
    moved = folder.rename(tmp_path / "moved")
    folder.symlink_to(moved)
    path.write_bytes(flipped(whole, len(whole) - 30, 0))
    assert len(verify_store(folder)) == 1
    assert write(folder, SOME) == 1
    assert open_results(folder)[0].records == tuple(SOME)
    merge_stores([folder], folder)
    assert path.read_bytes() == whole


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path) -> None:
    name = f".icl-gap-{'0' * 32}.tmp"
    for use in (opened, repair_store, USES["merge into"]):
        folder, _, _ = written(tmp_path)
        (folder / "figures").mkdir()
        left = [folder / name, folder / "cells" / name, folder / "figures" / name]
        for path in left:
            path.touch()
        use(folder)
        assert not any(path.exists() for path in left)

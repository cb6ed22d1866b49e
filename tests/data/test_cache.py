from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from icl_gap.data import DatasetCard, load_split
from icl_gap.data import cache as store
from icl_gap.data.cache import file_sha256
from icl_gap.data.loaders.tsv import LOADER


@pytest.fixture
def card(plain: dict[str, Any]) -> DatasetCard:
    return DatasetCard.model_validate(plain)


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "parsed").iterdir())


def test_the_second_load_reads_what_the_first_one_kept(
    cache_folder: Path, greetings: Path, card: DatasetCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_split(card, "plain", greetings)
    (path,) = kept(cache_folder)
    monkeypatch.setattr(
        "icl_gap.data.loaders.tsv.LOADER", replace(LOADER, read_split=None)
    )  # nothing is parsed any more
    assert load_split(card, "plain", greetings) == first
    assert path.name.startswith("greetings-plain-")


def test_the_library_opens_what_is_kept(
    cache_folder: Path, greetings: Path, card: DatasetCard
) -> None:
    from datasets import Dataset

    benchmark = load_split(card, "plain", greetings)
    rows = Dataset.from_file(str(kept(cache_folder)[0]))
    assert rows.column_names == ["id", "source", "target"]
    assert rows["id"][:] == [example.id for example in (*benchmark.train, *benchmark.test)]


def test_changed_files_and_options_are_kept_apart(
    cache_folder: Path, small_cfq: Path, greetings: Path, card: DatasetCard
) -> None:
    first = load_split(card, "plain", greetings)
    (greetings / "greetings" / "train.tsv").write_text("say ho\tHO\n")
    second = load_split(card, "plain", greetings)
    assert second.train[0].source == "say ho"
    assert second.fingerprint != first.fingerprint
    assert len(kept(cache_folder)) == 2
    cfq = DatasetCard.model_validate(
        card.model_dump()
        | {
            "loader": "cfq",
            "sources": [{"kind": "local", "folder": "cfq"}],
            "splits": {"plain": {"files": {"members": "splits/mcd1.json"}}},
        }
    )
    load_split(cfq, "plain", small_cfq)
    load_split(cfq, "plain", small_cfq, postprocess=False)
    assert len(kept(cache_folder)) == 4


def damage_text(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"say hi twice", b"say no twice"))


def without_metadata(path: Path) -> None:
    table = pa.table({name: ["x"] for name in store.COLUMNS})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(
    "damage",
    [
        damage_text,
        without_metadata,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not arrow" * 40),
        lambda path: path.write_bytes(path.read_bytes()[:-300]),
    ],
)
def test_a_damaged_file_is_made_anew(
    cache_folder: Path, greetings: Path, card: DatasetCard, damage: Any
) -> None:
    first = load_split(card, "plain", greetings)
    (path,) = kept(cache_folder)
    whole = path.read_bytes()
    damage(path)
    assert path.read_bytes() != whole
    assert load_split(card, "plain", greetings) == first
    assert path.read_bytes() == whole


def test_a_flipped_bit_anywhere_is_found(
    cache_folder: Path, greetings: Path, card: DatasetCard, caplog: pytest.LogCaptureFixture
) -> None:
    first = load_split(card, "plain", greetings)
    (path,) = kept(cache_folder)
    whole = path.read_bytes()
    places = {*range(0, len(whole), 23), len(whole) - 1}
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert load_split(card, "plain", greetings) == first
        assert path.read_bytes() == whole
    assert len(caplog.records) == len(places)
    assert {"damaged" in record.message for record in caplog.records} == {True}
    assert str(path) in caplog.text


def test_a_file_cut_anywhere_is_found(
    cache_folder: Path, greetings: Path, card: DatasetCard
) -> None:
    first = load_split(card, "plain", greetings)
    (path,) = kept(cache_folder)
    whole = path.read_bytes()
    for length in range(0, len(whole), 43):
        path.write_bytes(whole[:length])
        assert load_split(card, "plain", greetings) == first
        assert path.read_bytes() == whole


KILLED = """
import os, stat, sys
from pathlib import Path
from icl_gap.data import load_split, load_card
def fsync(file):
    if stat.S_ISREG(os.fstat(file).st_mode):
        print("writing", flush=True)
        sys.stdin.read()
os.fsync = fsync
load_split(load_card(sys.argv[1]), None, Path(sys.argv[2]))
"""


def test_what_a_killed_process_was_writing_is_removed(
    cache_folder: Path, greetings: Path, card: DatasetCard, tmp_path: Path
) -> None:
    path = tmp_path / "greetings.yaml"
    path.write_text(card.model_dump_json())
    command = [sys.executable, "-c", KILLED, str(path), str(greetings)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == b"writing\n"
        (unfinished,) = kept(cache_folder)
        assert unfinished.suffix != ".arrow"
        process.kill()
    assert kept(cache_folder) == [unfinished]
    load_split(card, "plain", greetings)
    (path,) = kept(cache_folder)
    assert path.suffix == ".arrow"


def test_a_kept_file_that_is_a_link_is_not_followed(
    cache_folder: Path, greetings: Path, card: DatasetCard, tmp_path: Path
) -> None:
    first = load_split(card, "plain", greetings)
    (path,) = kept(cache_folder)
    path.unlink()
    target = tmp_path / "target"
    target.write_text("mine")
    path.symlink_to(target)
    assert load_split(card, "plain", greetings) == first
    assert target.read_text() == "mine"


def test_a_folder_that_cannot_be_written_does_no_harm(
    tmp_path: Path, greetings: Path, card: DatasetCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ICL_GAP_CACHE", str(tmp_path / "file"))
    assert len(load_split(card, "plain", greetings).train) == 3


def test_two_processes_may_keep_the_same_benchmark(
    cache_folder: Path, greetings: Path, card: DatasetCard
) -> None:
    context = get_context("spawn")
    workers = [
        context.Process(target=load_split, args=(card, "plain", greetings)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(kept(cache_folder)) == 1  # and no half-written file beside it


def test_the_sum_of_a_large_file_is_remembered_until_the_file_changes(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_LARGE", 1)
    path = tmp_path / "large"
    path.write_bytes(b"one")
    first = file_sha256(path)
    (note,) = (cache_folder / "sha256").iterdir()
    assert note.read_text() == first == file_sha256(path)
    path.write_bytes(b"another")
    assert file_sha256(path) != first


@pytest.mark.parametrize("damage", [b"\xff" * 64, b"", b"short"], ids=["no text", "empty", "short"])
def test_a_damaged_note_of_a_sum_does_no_harm(
    cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    monkeypatch.setattr(store, "_LARGE", 1)
    path = tmp_path / "large"
    path.write_bytes(b"one")
    first = file_sha256(path)
    (note,) = (cache_folder / "sha256").iterdir()
    note.write_bytes(damage)
    assert file_sha256(path) == first


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 40, b"not Arrow"], ids=["empty", "ones", "text"]
)
def test_a_whole_file_that_is_no_benchmark_is_made_anew(tmp_path, caplog, content) -> None:
    path = tmp_path / "kept.arrow"
    path.write_bytes(content + hashlib.sha256(content).digest())
    assert store.read_cached(path) is None
    assert "is made anew" in caplog.text

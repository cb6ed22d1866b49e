"""The store: what was written comes back, and a torn file loses its torn end alone."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import records

from icl_gap.errors import StoreError
from icl_gap.records import CellInfo, Record
from icl_gap.store import CellWriter, Results, cell_name, open_results, open_store

INFO = CellInfo(
    key="ab" * 32,
    model="a/model (x)",
    family="opt",
    n_params=10,
    n_params_non_embedding=5,
    trained=True,
    dataset="scan",
    split="mcd1",
    partial=None,
    query_split="test",
    condition="id",
    shots=3,
    seed=0,
    n_queries=3,
    spec={"a": [1, {"b": None}]},
)
SOME = [
    Record(
        query_id=query_id,
        exemplar_ids=("a", "b", "c"),
        shots=3,
        coverage=1.0,
        prompt_sha256="0" * 64,
        prompt_tokens=None,
        status="skipped",
    )
    for query_id in "qrs"
]
three = st.lists(records(), min_size=3, max_size=3, unique_by=lambda record: record.query_id)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def fresh(tmp_path: Path) -> Path:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    with open_store(folder, {"name": "x"}, [INFO]) as finished:
        assert not finished
    return folder


def finished_keys(folder: Path) -> frozenset[str]:
    with open_store(folder, {"name": "x"}, [INFO]) as finished:
        return finished


def write(folder: Path, some, *, finish: bool) -> Path:
    order = [record.query_id for record in some]
    path = folder / "cells" / f"{cell_name(INFO)}.jsonl"
    writer = CellWriter(folder, INFO, order)
    known = path.with_name(f"{path.name}.part").read_bytes().splitlines()[1:]
    for record in some[len(known) :]:
        writer.append(record)
    if finish:
        writer.finish()
    else:
        writer.close()
    return path


@given(three)
@in_one_folder
def test_what_is_written_comes_back(tmp_path, some) -> None:
    folder = fresh(tmp_path)
    write(folder, some, finish=True)
    (cell,) = open_results(folder)
    assert cell.info == INFO
    assert cell.records == tuple(some)


@given(three, st.integers(0, 10**6))
@in_one_folder
def test_a_file_cut_anywhere_is_finished_to_the_same_bytes(tmp_path, some, cut) -> None:
    whole = write(fresh(tmp_path), some, finish=True).read_bytes()
    folder = fresh(tmp_path)
    part = folder / "cells" / f"{cell_name(INFO)}.jsonl.part"
    part.write_bytes(whole[: cut % (len(whole) + 1)])
    assert not finished_keys(folder)
    assert write(folder, some, finish=True).read_bytes() == whole
    assert not part.exists()


def test_a_begun_cell_counts_as_unfinished(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, [], finish=False)
    assert not finished_keys(folder)
    results = open_results(folder)
    assert len(results) == 0
    assert results.unfinished == (cell_name(INFO),)


def test_a_begun_file_of_another_key_is_started_anew(tmp_path) -> None:
    folder = fresh(tmp_path)
    part = folder / "cells" / f"{cell_name(INFO)}.jsonl.part"
    part.write_text(json.dumps(asdict(replace(INFO, key="other"))) + "\n")
    CellWriter(folder, INFO, []).close()
    head, *lines = part.read_bytes().splitlines()
    assert json.loads(head)["key"] == INFO.key
    assert not lines


def test_names_tell_cells_apart_and_are_plain() -> None:
    name = cell_name(INFO)
    assert name == "scan-mcd1.a-model-x.test-id.3shots.seed0.abababababababab"
    assert cell_name(replace(INFO, key="cd" * 32)) != name


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b[:-5], "damaged"),
        (lambda b: b.splitlines(keepends=True)[0], "0 records instead of 3"),
        (lambda b: b.replace(b'"query_id"', b'"query_xx"', 1), "damaged after 0 good records"),
        (lambda b: b[:-5] + b"\n", "damaged after 2 good records"),
        (lambda b: b.replace(b'"skipped"', b'"shipped"', 1), "damaged after 0 good records"),
        (lambda b: b.replace(b'"coverage":1.0', b'"coverage":"x"', 1), "damaged after 0"),
        (lambda b: b.replace(b'"schema_version":3', b'"schema_version":99', 1), "form 99"),
        (lambda _: b"", "damaged"),
        (lambda _: b"\xff\xfe\n", "damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage, said) -> None:
    folder = fresh(tmp_path)
    path = write(folder, SOME, finish=True)
    path.write_bytes(damage(path.read_bytes()))
    for read in (list, Results.frame):
        with pytest.raises(StoreError, match=said) as caught:
            read(open_results(folder))
        assert path.name in str(caught.value)


def test_a_folder_without_results_says_what_to_do(tmp_path) -> None:
    with pytest.raises(StoreError, match="icl-gap run"):
        open_results(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", "{}", '{"schema_version": 1}', '{"schema_version": 9}', "\xff"]
)
def test_a_damaged_manifest_is_named(tmp_path, text) -> None:
    (tmp_path / "sweep.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"sweep\.json"):
        open_results(tmp_path)


def test_a_manifest_cannot_name_files_elsewhere(tmp_path) -> None:
    folder = fresh(tmp_path)
    manifest = json.loads((folder / "sweep.json").read_text())
    manifest["cells"][0]["key"] = "../../x"
    (folder / "sweep.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="damaged"):
        open_results(folder)


def test_labels_are_those_of_the_last_run(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME, finish=True)
    renamed = replace(INFO, model="new name", family="new family")
    with open_store(folder, {"name": "x"}, [renamed]) as finished:
        assert finished == {INFO.key}
    (cell,) = open_results(folder)
    assert cell.info == renamed


def test_a_begun_cell_goes_on_under_another_label(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME[:1], finish=False)
    CellWriter(folder, replace(INFO, model="new name"), []).close()
    (part,) = (folder / "cells").iterdir()
    assert len(part.read_bytes().splitlines()) == 2


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

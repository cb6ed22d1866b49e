"""Reading: what is damaged is named, and what to do about it."""

from __future__ import annotations

import json

import pytest
from stored import SOME, forged, fresh, path_of, write

from icl_gap.errors import StoreError
from icl_gap.results import Results, open_results
from icl_gap.results.manifest import Manifest, write_manifest
from icl_gap.schema import SCHEMA_VERSION

VERSION = f'"schema_version":{SCHEMA_VERSION}'.encode()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b[:-5], "damaged after 2 good records: torn"),
        (lambda b: b.splitlines(keepends=True)[0], "0 records instead of 3"),
        (lambda b: b.replace(b'"query_id"', b'"query_xx"', 1), "damaged after 0 good records"),
        (lambda b: b[:-5] + b"\n", "damaged after 2 good records"),
        (lambda b: b.replace(b'"skipped"', b'"shipped"', 1), "damaged after 0 good records"),
        (lambda b: b.replace(b'"coverage":1.0', b'"coverage":0.0', 1), "damaged after 0"),
        (lambda b: forged(b, schema_version=99), "written in schema version 99"),
        (lambda b: forged(b, schema_version=[]), "written in schema version"),
        (lambda b: b.replace(VERSION, b'"schema_version":1', 1), "header is not as it was"),
        (lambda b: b.replace(b'"n_params":10', b'"n_params":11', 1), "header is not as it was"),
        (lambda _: b"", "damaged.*empty"),
        (lambda _: b"\xff\xfe\n", "damaged"),
        (lambda _: b"[" * 10**5 + b"\n", "damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, damage, said) -> None:
    folder = fresh(tmp_path)
    write(folder, SOME)
    path = path_of(folder)
    path.write_bytes(damage(path.read_bytes()))
    for read in (list, Results.frame):
        with pytest.raises(StoreError, match=said) as caught:
            read(open_results(folder))
        assert path.name in str(caught.value)
        assert "store repair" in str(caught.value)


def test_a_folder_without_results_says_what_to_do(tmp_path) -> None:
    with pytest.raises(StoreError, match="icl-gap run"):
        open_results(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"schema_version": []}',
        "{}",
        '{"schema_version": 1}',
        '{"schema_version": 99}',
        "\xff",
        "[" * 10**5,
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, text) -> None:
    (tmp_path / "sweep.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match=r"sweep\.json"):
        open_results(tmp_path)


def test_a_changed_manifest_is_damaged(tmp_path) -> None:
    folder = fresh(tmp_path)
    path = folder / "sweep.json"
    path.write_text(path.read_text().replace('"family": "opt"', '"family": "obt"'))
    with pytest.raises(StoreError, match="damaged"):
        open_results(folder)


def test_a_manifest_cannot_name_files_elsewhere(tmp_path) -> None:
    folder = fresh(tmp_path)
    value = json.loads((folder / "sweep.json").read_text())
    del value["crc"]
    value["cells"][0]["key"] = "../../x"
    write_manifest(folder, Manifest(**value))
    with pytest.raises(StoreError, match="damaged"):
        open_results(folder)

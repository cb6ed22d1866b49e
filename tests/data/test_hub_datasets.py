from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from icl_gap.data import DatasetCard, fetch_benchmark, load_split, verify_benchmark
from icl_gap.errors import DataError

README = """---
configs:
- config_name: mcd1
  data_files:
  - split: train
    path: mcd1/train-*
  - split: test
    path: mcd1/test-*
---
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the form of a hub repository with one configuration."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "repository"
    (folder / "mcd1").mkdir(parents=True)
    (folder / "README.md").write_text(README)
    train = {"question": ["Was M0's M1", "Did M1"], "query": ["SELECT count(*)\nns:a", "ns:m.1"]}
    test = {"question": ["Who did M0"], "query": ["SELECT ns:m.02zsn"]}
    for side, rows in {"train": train, "test": test}.items():
        parquet.write_table(pa.table(rows), folder / "mcd1" / f"{side}-00000-of-00001.parquet")
    return folder


def card_of(plain: dict[str, Any], repository: Path, **changes: Any) -> DatasetCard:
    source = {"kind": "hub", "repo": str(repository)}
    source |= {"source_column": "question", "target_column": "query"}
    splits = {"plain": {"train": 2, "test": 1, "config": "mcd1"}}
    return DatasetCard.model_validate(plain | {"sources": [source], "splits": splits} | changes)


def test_a_repository_becomes_a_benchmark(
    cache_folder: Path, repository: Path, plain: dict[str, Any]
) -> None:
    card = card_of(plain, repository)
    with pytest.raises(DataError, match="not on this machine"):
        load_split(card, "plain")
    fetched = fetch_benchmark(card)
    assert fetched.kind == "hub"
    assert all(path.is_relative_to(cache_folder) for path in fetched.files)
    benchmark = load_split(card, "plain")
    assert [(e.source, e.target) for e in benchmark.train] == [
        ("Was M0's M1", "SELECT count(*) ns:a"),
        ("Did M1", "ns:m.1"),
    ]
    assert benchmark.train[0].id.startswith("greetings-")
    assert verify_benchmark(card).ok
    assert fetch_benchmark(card).already_here


@pytest.mark.usefixtures("cache_folder")
def test_a_repository_of_cfq_is_preprocessed(repository: Path, plain: dict[str, Any]) -> None:
    card = card_of(plain, repository, loader="cfq", name="cfq")
    fetch_benchmark(card)
    benchmark = load_split(card, "plain")
    assert benchmark.train[0].source == "Was M0 ' s M1"
    assert benchmark.train[0].target == "SELECT count ( * ) a"
    assert benchmark.test[0].target == "SELECT m_02zsn"
    assert len(benchmark.test[0].id) == len("cfq-") + 16


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize("column", ["question", "none"])
def test_what_a_repository_does_not_hold_is_told(
    repository: Path, plain: dict[str, Any], column: str
) -> None:
    card = card_of(plain, repository if column == "none" else repository / "none")
    (source,) = card.sources
    changes = {"source_column": column, "revision": "0" * 40}
    card = card.model_copy(update={"sources": (source.model_copy(update=changes),)})
    with pytest.raises(DataError, match="hub repository") as caught:
        fetch_benchmark(card)
    assert str(repository) in str(caught.value.value)


@pytest.mark.usefixtures("cache_folder")
def test_a_repository_on_the_hub_needs_a_revision(plain: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="needs a revision"):
        fetch_benchmark(card_of(plain, Path("someone/something")))


@pytest.mark.usefixtures("cache_folder")
def test_a_fetched_file_without_its_sum_is_no_benchmark(
    repository: Path, plain: dict[str, Any]
) -> None:
    card = card_of(plain, repository)
    for path in fetch_benchmark(card).files:
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(DataError, match="not the file that was fetched"):
            load_split(card, "plain")
        path.write_bytes(content)
    assert len(load_split(card, "plain").train) == 2


@pytest.mark.usefixtures("cache_folder")
def test_a_row_without_text_is_told(repository: Path, plain: dict[str, Any]) -> None:
    rows = {"question": [None, "Did M1"], "query": ["a", "b"]}
    parquet.write_table(pa.table(rows), repository / "mcd1" / "train-00000-of-00001.parquet")
    card = card_of(plain, repository)
    fetch_benchmark(card)
    with pytest.raises(DataError, match="row 0 of the repository is not text"):
        load_split(card, "plain")

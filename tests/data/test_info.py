from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from icl_gap.data import DatasetCard, describe, load_card, load_split, verify_benchmark
from icl_gap.data.cards import LocalSource, UrlSource
from icl_gap.data.loaders import get_loader
from icl_gap.data.text_files import find_file, open_bytes
from icl_gap.schema import Benchmark, Example


def benchmark(train: list[tuple[str, str]], test: list[tuple[str, str]]) -> Benchmark:
    sides = [
        tuple(Example(f"{side}-{n}", *pair) for n, pair in enumerate(pairs))
        for side, pairs in (("train", train), ("test", test))
    ]
    return Benchmark("made-up", "plain", *sides, fingerprint="0", partial="test 3 of 9")


def test_rows_words_and_recurring_rows_are_counted() -> None:
    info = describe(
        benchmark(
            train=[("a b", "X"), ("a b", "X"), ("c", "Y Z W")],
            test=[("a b", "X"), ("d", "X"), ("c", "V")],
        )
    )
    assert (info.train.rows, info.train.distinct_rows, info.train.distinct_targets) == (3, 2, 2)
    assert (info.train.source_vocabulary, info.train.target_vocabulary) == (3, 4)
    assert info.train.mean_source_length == pytest.approx(5 / 3)
    assert (info.train.mean_target_length, info.train.max_target_length) == (
        pytest.approx(5 / 3),
        3,
    )
    assert info.test_rows_in_train == 1
    assert info.test_sources_in_train == 2
    assert info.test_targets_in_train == 2
    assert info.target_tokens_only_in_test == 1
    assert info.partial == "test 3 of 9"


def test_scan_mcd1_shares_no_command_between_its_sides() -> None:
    info = describe(load_split(load_card("scan"), "mcd1"))
    assert (info.test_sources_in_train, info.target_tokens_only_in_test) == (0, 0)
    assert (info.train.source_vocabulary, info.train.target_vocabulary) == (13, 6)


@pytest.mark.parametrize("name", ["cfq", "cogs", "geoquery", "listops", "logic", "scan"])
def test_the_published_files_have_the_sums_on_the_cards(name: str, data_root: Path) -> None:
    checked = verify_benchmark(load_card(name), data_root)
    assert [check.path for check in checked.files if not check.ok] == []
    assert {check.split: check.problem for check in checked.splits if check.problem} == {}
    assert bool(checked.files) == (not get_loader(load_card(name).loader).is_generated)


@pytest.mark.parametrize("name", ["cogs", "geoquery"])
def test_the_published_files_have_the_sizes_on_the_cards(name: str, data_root: Path) -> None:
    sizes = {}
    for source in load_card(name).sources:
        if isinstance(source, UrlSource):
            sizes |= {file.to: file.bytes for file in source.files}
    assert sizes
    for file, size in sizes.items():
        path = find_file(data_root / name, file)
        assert path is not None
        with open_bytes(path) as content:
            assert len(content.read()) == size, file


@pytest.mark.usefixtures("cache_folder")
def test_missing_and_changed_files_and_splits_are_told(
    greetings: Path, plain: dict[str, Any]
) -> None:
    sums = dict.fromkeys(["train.tsv", "none.tsv"], "0" * 64)
    source = LocalSource(kind="local", folder="greetings", files=sums)
    card = DatasetCard.model_validate(plain | {"sources": [source]})
    (greetings / "greetings" / "test.tsv.gz").unlink()
    checked = verify_benchmark(card, greetings)
    assert not checked.ok
    assert [check.found is None for check in checked.files] == [False, True]
    assert "lacks test.tsv" in str(checked.splits[0].problem)

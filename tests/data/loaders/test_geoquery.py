from __future__ import annotations

import json
from pathlib import Path

import pytest

from icl_gap.data import describe, load_card, load_split
from icl_gap.data.loaders.geoquery import read_database, read_rows, state_names
from icl_gap.data.text_files import read_text
from icl_gap.errors import DataError
from icl_gap.programs.funql.corpus import (
    clean_question,
    convert,
    parse_published,
    with_placeholders,
)

CARD = load_card("geoquery")


def test_all_rows_equal_the_reference(data_root: Path) -> None:
    folder = data_root / "geoquery"
    examples = read_rows(folder / "all.jsonl.gz", folder / "geobase", placeholders=True)
    reference = read_text(folder / "nqg" / "dataset.tsv").splitlines()
    assert len(reference) == 880
    assert [f"{example.source}\t{example.target}" for example in examples] == reference


def test_placeholders_stand_for_the_reference_entities(data_root: Path) -> None:
    folder = data_root / "geoquery"
    states = state_names(folder / "geobase")
    rows = map(json.loads, read_text(folder / "all.jsonl.gz").splitlines())
    mentions = map(json.loads, read_text(folder / "nqg" / "mentions.jsonl").splitlines())
    for row, mention in zip(rows, mentions, strict=True):
        target = convert(parse_published(row["funql"]))
        _, _, bindings = with_placeholders(clean_question(row["query"]), target, states)
        assert bindings == {name: entity.replace("'", "") for name, entity in mention.items()}


@pytest.mark.parametrize("split", CARD.splits)
def test_every_split_is_whole_and_keeps_the_rows_of_its_file(data_root: Path, split: str) -> None:
    benchmark = load_split(CARD, split)
    spec = CARD.splits[split]
    assert (len(benchmark.train), len(benchmark.test)) == (spec.train, spec.test)
    assert benchmark.partial is None
    named = json.loads((data_root / "geoquery" / spec.files["members"]).read_text())
    assert [example.id for example in benchmark.train] == [f"geo-{row}" for row in named["train"]]
    assert [example.id for example in benchmark.test] == [f"geo-{row}" for row in named["test"]]


@pytest.mark.parametrize(
    ("split", "rows", "targets"),
    [
        ("standard", 105, 205),
        ("template", 0, 0),
        ("tmcd", 102, 171),
        ("length", 4, 106),
        ("csl_length", 3, 79),
        ("csl_tmcd_1", 79, 131),
        ("csl_tmcd_2", 42, 88),
        ("csl_tmcd_3", 74, 136),
        ("csl_template_1", 0, 0),
    ],
)
@pytest.mark.usefixtures("data_root")
def test_recurring_test_rows_are_counted(split: str, rows: int, targets: int) -> None:
    info = describe(load_split(CARD, split))
    assert (info.test_rows_in_train, info.test_targets_in_train) == (rows, targets)


@pytest.mark.usefixtures("data_root")
def test_without_placeholders_entities_stay_on_both_sides() -> None:
    anonymous, named = (
        load_split(CARD, "template"),
        load_split(CARD, "template", placeholders=False),
    )
    marked = [
        (short, long)
        for short, long in zip(anonymous.test, named.test, strict=True)
        if "m0" in short.target.split()
    ]
    assert len(marked) > 100
    assert all("id (" in long.target and "m0" not in long.source.split() for _, long in marked)


FACTS = "state('ohio','oh',1).\n"


def made_up(folder: Path, rows: str, facts: str = FACTS) -> Path:
    place = folder / "geoquery"
    (place / "splits" / "nqg").mkdir(parents=True)
    (place / "all.jsonl").write_text(rows)
    (place / "geobase").write_text(facts)
    (place / "splits" / "nqg" / "template_1.json").write_text('{"train": [0], "test": [1]}')
    return folder


ROW = '{"query": "Is Ohio big ?", "funql": "answer(stateid(\'ohio\'))"}'


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize(
    ("rows", "facts", "problem"),
    [
        (f"{ROW}\n{{}}\n", FACTS, "not a row of GeoQuery"),
        (f"{ROW}\n[1]\n", FACTS, "not a row of GeoQuery"),
        (f"{ROW}\n", FACTS, "names a row that is not there"),
        (f"{ROW}\n", "nothing\n", "no fact on any state"),
        (f'{{"query": "a", "funql": "{"a(" * 3000}"}}\n', FACTS, "not a row of GeoQuery"),
    ],
)
def test_files_in_another_form_are_refused(
    tmp_path: Path, rows: str, facts: str, problem: str
) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        load_split(CARD, "template", made_up(tmp_path, rows, facts))
    assert caught.value.place.file is not None


@pytest.mark.usefixtures("cache_folder")
def test_a_made_up_row_is_read_and_a_part_says_so(tmp_path: Path) -> None:
    benchmark = load_split(CARD, "template", made_up(tmp_path, f"{ROW}\n{ROW}\n"))
    assert (benchmark.test[0].source, benchmark.test[0].target) == ("is m0 big", "answer ( m0 )")
    assert benchmark.partial == "train 1 of 441, test 1 of 439"


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize("row", ["1e999", "9" * 4000, "9" * 5000, "-1", "null", '"a"'])
def test_a_row_number_that_is_none_is_refused(tmp_path: Path, row: str) -> None:
    root = made_up(tmp_path, f"{ROW}\n{ROW}\n")
    path = root / "geoquery" / "splits" / "nqg" / "template_1.json"
    path.write_text(f'{{"train": [0], "test": [{row}]}}')
    with pytest.raises(DataError) as caught:
        load_split(CARD, "template", root)
    assert caught.value.place.file == path
    str(caught.value)


@pytest.mark.usefixtures("cache_folder")
def test_half_of_a_surrogate_pair_is_no_text(tmp_path: Path) -> None:
    row = '{"query": "is it \\ud800", "funql": "answer(a)"}'
    with pytest.raises(DataError, match="half of a surrogate pair") as caught:
        load_split(CARD, "template", made_up(tmp_path, f"{ROW}\n{row}\n"))
    str(caught.value).encode()


@pytest.mark.usefixtures("cache_folder")
def test_a_row_is_a_line(tmp_path: Path) -> None:
    odd = ROW.replace("big", "big\u2028\x85")
    benchmark = load_split(CARD, "template", made_up(tmp_path, f"{odd}\r\n{ROW}\r\n"))
    assert len(benchmark.train) == len(benchmark.test) == 1


@pytest.mark.parametrize(
    "facts",
    [
        "state('ohio','oh').\n",
        "state('ohio','oh','columbus',many,1,1,1,'a','b','c','d').\n",
        "state('ohio','oh','columbus',9,9,1,1,'a','b','c','d').\ncity('x','x','deep',9).\n",
    ],
    ids=["too short", "no number", "no such state"],
)
def test_facts_in_another_form_are_refused(tmp_path: Path, facts: str) -> None:
    root = made_up(tmp_path, f"{ROW}\n", facts) / "geoquery"
    with pytest.raises(DataError, match="a fact lacks an argument"):
        read_database(root / "all.jsonl", root / "geobase")

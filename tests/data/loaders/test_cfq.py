from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.data import load_card, load_split
from icl_gap.data.loaders.cfq import PARALLEL, preprocess_query, preprocess_question, sort_conjuncts
from icl_gap.data.text_files import find_file, read_text
from icl_gap.errors import DataError

CARD = load_card("cfq")
N_ROWS = 239_357


def raw_query(query: str) -> str:
    """Undo the published preprocessing of a query."""
    words = query.replace("count ( * )", "count(*)").split(" ")
    words = [f"ns:m.{word[2:]}" if word.startswith("m_") else word for word in words]
    words = [
        f"ns:{word}" if "." in word[1:] and not word.startswith(("ns:", "^")) else word
        for word in words
    ]
    return " ".join(words).replace(" . ", " .\n").replace("{ ", "{\n").replace(" }", "\n}")


def write_official(parallel: Path, folder: Path, files: tuple[str, ...]) -> None:
    """Write rows of the parallel form as `dataset.json`; all others keep their place, empty."""
    rows = ['{"questionPatternModEntities": "", "sparqlPatternModEntities": ""}'] * N_ROWS
    for start in range(0, len(files), 3):
        columns = [
            read_text(path).splitlines()
            for name in files[start : start + 3]
            if (path := find_file(parallel, name))
        ]
        for number, text, query in zip(*columns, strict=True):
            rows[int(number)] = json.dumps(
                {
                    "questionPatternModEntities": text.replace(" ' s", " 's"),
                    "sparqlPatternModEntities": raw_query(query),
                }
            )
    folder.mkdir()
    (folder / "dataset.json").write_text(f"[{','.join(rows)}]")


@pytest.mark.parametrize(
    "sides",
    [
        pytest.param(("dev", "test"), id="part"),
        pytest.param(("train", "test"), id="whole", marks=pytest.mark.slow),
    ],
)
def test_both_forms_give_the_same_benchmark(
    data_root: Path, tmp_path: Path, sides: tuple[str, str]
) -> None:
    parallel, official, other = data_root / "cfq", tmp_path / "a" / "cfq", tmp_path / "b" / "cfq"
    official.parent.mkdir()
    write_official(parallel, official, tuple(n for n in PARALLEL if n[5:].startswith(sides)))
    other.mkdir(parents=True)
    (other / "mcd1").symlink_to(parallel / "mcd1")
    whole = json.loads(read_text(parallel / "splits" / "mcd1.json.gz"))
    split = {"trainIdxs": whole[f"{sides[0]}Idxs"], "testIdxs": whole[f"{sides[1]}Idxs"]}
    for folder in (official, other):
        (folder / "splits").mkdir()
        (folder / "splits" / "mcd1.json").write_text(json.dumps(split))

    made, expected = (load_split(CARD, "mcd1", folder.parent) for folder in (official, other))
    assert len(made.train) == len(split["trainIdxs"])
    assert made.test == expected.test
    assert made.fingerprint == expected.fingerprint


@pytest.mark.usefixtures("data_root")
@pytest.mark.parametrize(
    ("split", "partial"),
    [
        ("mcd2", "train 80908 of 95743, test 9741 of 11968"),
        ("mcd3", "train 71801 of 95743, test 7920 of 11968"),
        ("random", "train 47974 of 95744, test 5917 of 11967"),
    ],
)
def test_part_of_a_split_says_so(split: str, partial: str) -> None:
    assert load_split(CARD, split).partial == partial


def test_rows_follow_the_official_order(data_root: Path) -> None:
    named = json.loads(read_text(data_root / "cfq" / "splits" / "mcd1.json.gz"))
    benchmark = load_split(CARD, "mcd1")
    assert [example.id for example in benchmark.test] == [f"cfq-{n}" for n in named["testIdxs"]]
    assert len({example.source for example in (*benchmark.train, *benchmark.test)}) == 107_711


@pytest.mark.usefixtures("cache_folder")
def test_the_official_form_is_preprocessed(small_cfq: Path) -> None:
    benchmark = load_split(CARD, "mcd1", small_cfq)
    assert [example.id for example in benchmark.train] == ["cfq-3", "cfq-0"]
    assert benchmark.train[1].source == "Did M0 ' s star edit M1"
    assert benchmark.train[1].target == (
        "SELECT count ( * ) WHERE { ?x0 film.actor.film M0 . ?x0 film.editor.film M1 }"
    )
    assert benchmark.test[0].source == 'Who was a " female " actor'
    assert benchmark.test[0].target.endswith("?x0 people.gender m_02zsn }")
    assert benchmark.partial == "train 2 of 95743, test 1 of 11968"


@pytest.mark.usefixtures("cache_folder")
def test_postprocessing_can_be_switched_off(small_cfq: Path) -> None:
    repeated = "SELECT count ( * ) WHERE { M0 a.b M1 . M0 a.b M1 }"
    assert load_split(CARD, "mcd1", small_cfq).train[0].target == repeated.replace(
        " . M0 a.b M1", ""
    )
    assert load_split(CARD, "mcd1", small_cfq, postprocess=False).train[0].target == repeated


@pytest.mark.parametrize(
    ("raw", "prepared"),
    [
        ("ns:m.0d060g ns:a.b/ns:c.d ^ns:e.f", "m_0d060g a.b/ns:c.d ^ns:e.f"),
        ("SELECT count(*) WHERE {\n?x0 a ns:m.01\n}", "SELECT count ( * ) WHERE { ?x0 a m_01 }"),
    ],
)
def test_prefixes_are_cut_but_for_those_inside_paths(raw: str, prepared: str) -> None:
    assert preprocess_query(raw) == prepared


def test_punctuation_is_set_apart() -> None:
    assert preprocess_question("Was M0's wife, M1 , here?") == "Was M0 ' s wife , M1 , here ?"


def test_conjuncts_are_sorted_and_only_filters_may_repeat() -> None:
    assert sort_conjuncts(
        "SELECT DISTINCT ?x0 WHERE { M1 a b . FILTER ( x != y ) . ?x0 c d . M1 a b . "
        "FILTER ( x != y ) }"
    ) == ("SELECT DISTINCT ?x0 WHERE { ?x0 c d . FILTER ( x != y ) . FILTER ( x != y ) . M1 a b }")


@given(st.text(max_size=60))
def test_sorting_is_idempotent_and_leaves_other_text_alone(text: str) -> None:
    inside = f"SELECT WHERE {{ {text} }}"
    assert sort_conjuncts(sort_conjuncts(inside)) == sort_conjuncts(inside)
    if " WHERE { " not in text:
        assert sort_conjuncts(text) == text


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("splits/mcd1.json", "{}", "not a split file"),
        ("splits/mcd1.json", "[", "not a split file"),
        ("splits/mcd1.json", '{"trainIdxs": [0], "testIdxs": [99]}', "not all in the file"),
        ("splits/mcd1.json", '{"trainIdxs": [1e999], "testIdxs": [0]}', "not a split file"),
        ("splits/mcd1.json", f'{{"trainIdxs": [{"9" * 5000}], "testIdxs": [0]}}', "not a split"),
        ("splits/mcd1.json", f'{{"trainIdxs": [{"9" * 4000}], "testIdxs": [0]}}', "not all in"),
        ("dataset.json", "", "empty"),
        (
            "dataset.json",
            '[{"questionPatternModEntities": "\\x", "sparqlPatternModEntities": "a"}]',
            "row 0 is not valid JSON",
        ),
        (
            "dataset.json",
            '[{"questionPatternModEntities": "a\nb", "sparqlPatternModEntities": "a"}]',
            "row 0 is not valid JSON",
        ),
        ("dataset.json", '[{"questionPatternModEntities": "a"}]', "without the other"),
        ("dataset.json", '[{"questionPatternModEntities": "a"', "without the other"),
    ],
)
def test_files_in_another_form_are_refused(
    small_cfq: Path, file: str, content: str, problem: str
) -> None:
    (small_cfq / "cfq" / file).write_text(content)
    with pytest.raises(DataError, match=problem) as caught:
        load_split(CARD, "mcd1", small_cfq)
    assert caught.value.place.file is not None
    assert caught.value.place.file.parent.is_relative_to(small_cfq / "cfq")


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize(
    ("numbers", "problem"), [("0\n", "differ in length"), ("0\nx\n", "not a row number")]
)
def test_parallel_files_must_fit_together(small_cfq: Path, numbers: str, problem: str) -> None:
    folder = small_cfq / "cfq"
    (folder / "dataset.json").unlink()
    (folder / "mcd1").mkdir()
    for name in PARALLEL:
        (folder / name).write_text(numbers if "idx" in name else "a\nb\n")
    with pytest.raises(DataError, match=problem):
        load_split(CARD, "mcd1", small_cfq)


@pytest.mark.usefixtures("cache_folder")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_parallel_files_have_a_row_a_line_and_no_more(small_cfq: Path, end: str) -> None:
    folder = small_cfq / "cfq"
    (folder / "dataset.json").unlink()
    (folder / "mcd1").mkdir()
    for name in PARALLEL:
        first = 2 * ["train", "test", "dev"].index(name.split("/")[1].split("_")[0])
        rows = [str(first), str(first + 1)] if "idx" in name else ["a\u2028b\x0bc\x85", "d\x0ce"]
        (folder / name).write_bytes("".join(row + end for row in rows).encode())
    split = {"trainIdxs": [0, 1], "testIdxs": [2, 3]}
    (folder / "splits" / "mcd1.json").write_text(json.dumps(split))
    benchmark = load_split(CARD, "mcd1", small_cfq)
    for side in (benchmark.train, benchmark.test):
        assert [each.source for each in side] == ["a\u2028b\x0bc\x85", "d\x0ce"]

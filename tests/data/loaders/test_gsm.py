"""Compositional GSM, made from files in the form of GSM8K."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.data import load_card, load_split
from icl_gap.data.loaders import SplitInputs
from icl_gap.data.loaders.gsm import read_gsm
from icl_gap.errors import DataError
from icl_gap.schema import Example

APPLES = ("Tom has 3 bags of 4 apples. How many apples?", "3*4=<<3*4=12>>12 apples.\n#### 12")
COST = ("A pen is $2 and a box holds 12 pens. What is a box?", "2*12=$<<2*12=24>>24.\n#### 24")
EGGS = ("A hen lays 24 eggs, and 1/2 hatch. How many?", "24/2=<<24/2=12>>12\n#### 12")
TIMES = ("From 12:30 to 12.5 and 12/7, who knows 12,000?", "All.\n#### 5")


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = (json.dumps({"question": q, "answer": a}) for q, a in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_number_gives_way_to_the_answer_of_another_question(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", [APPLES, COST])
    composed = read_gsm(SplitInputs("gsm", "composed", [file, file]), solutions=False)
    assert composed.test == [
        Example(
            "gsm-test0-composed",
            "Let X be the answer to Q1. Q1: Tom has 3 bags of 4 apples. How many apples? "
            "Q2: A pen is $2 and a box holds X pens. What is a box?",
            "24",
        )
    ]
    first, second = (
        read_gsm(SplitInputs("gsm", name, [file, file]), solutions=False)
        for name in ("first", "second")
    )
    assert first.test == [Example("gsm-test0-first", APPLES[0], "12")]
    assert second.test == [Example("gsm-test0-second", COST[0], "24")]
    assert [each.id for each in composed.train] == ["gsm-train0-composed"]


def test_solutions_are_joined_without_the_calculator_s_marks(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", [APPLES, COST])
    (pair,) = read_gsm(SplitInputs("gsm", "composed", [file, file]), solutions=True).test
    assert pair.target == "3*4=12 apples. So X is 12. 2*12=$24. #### 24"


def test_a_question_is_in_one_pair_and_not_with_itself(tmp_path: Path) -> None:
    itself = ("Is 7 a number? Which?", "7\n#### 7")
    file = write(tmp_path / "rows.jsonl", [itself, APPLES, COST, EGGS, EGGS])
    pairs = read_gsm(SplitInputs("gsm", "composed", [file, file]), solutions=False).test
    # COST takes APPLES; an EGGS may not take COST any more, and has no other answer of 24.
    assert [pair.source.count("bags") for pair in pairs] == [1]


def test_parts_of_other_numbers_are_left_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", [APPLES, TIMES])
    with pytest.raises(DataError, match="no two questions"):
        read_gsm(SplitInputs("gsm", "composed", [file, file]), solutions=False)


@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 9)),
        min_size=1,
        max_size=12,
    )
)
def test_every_pair_is_what_it_says(tmp_path_factory, rows) -> None:
    """X, once written out, makes the second question again; its answer is the first's."""
    path = tmp_path_factory.mktemp("gsm") / "rows.jsonl"
    texts = [f"N{n}: {' and '.join(map(str, numbers))}?" for n, (numbers, _) in enumerate(rows)]
    file = write(path, [(t, f"so\n#### {a}") for t, (_, a) in zip(texts, rows, strict=True)])
    try:
        composed = read_gsm(SplitInputs("gsm", "composed", [file, file]), solutions=False).test
    except DataError:
        return
    first, second = (
        read_gsm(SplitInputs("gsm", n, [file, file]), solutions=False).test
        for n in ("first", "second")
    )
    assert len(composed) == len(first) == len(second)
    for pair, one, two in zip(composed, first, second, strict=True):
        q1, q2 = re.fullmatch(r"Let X .*? Q1\. Q1: (.*) Q2: (.*)", pair.source).groups()
        assert q1 == one.source
        assert q2.count("X") == 1
        assert q2.replace("X", one.target) == two.source
        assert pair.target == two.target
    used = [each.source for each in (*first, *second)]
    assert len(set(used)) == len(used)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"question": "a"}',
        '{"question": 1, "answer": "#### 1"}',
        '{"question": "a", "answer": "1"}',
    ],
)
def test_another_file_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    good = write(tmp_path / "good.jsonl", [APPLES, COST])
    bad = tmp_path / "bad.jsonl"
    bad.write_text(good.read_text() + "\n" + line, encoding="utf-8")
    with pytest.raises(DataError, match="question with its solution") as error:
        read_gsm(SplitInputs("gsm", "composed", [good, bad]), solutions=True)
    assert f"{bad}, line 3" in str(error.value)


@pytest.mark.parametrize("digits", [301, 6000])
def test_an_answer_of_thousands_of_digits_is_refused_with_its_line(
    tmp_path: Path, digits: int
) -> None:
    file = write(tmp_path / "rows.jsonl", [APPLES, COST, ("How many?", f"#### {'9' * digits}")])
    with pytest.raises(DataError, match="too many digits") as error:
        read_gsm(SplitInputs("gsm", "composed", [file, file]), solutions=True)
    assert (error.value.place.file, error.value.place.line) == (file, 3)


def test_a_question_may_hold_a_number_of_thousands_of_digits(tmp_path: Path) -> None:
    row = (f"Is {'9' * 6000} more than {'1,' + '000,' * 2000}000?", "#### 1")
    file = write(tmp_path / "rows.jsonl", [APPLES, COST, row])
    assert len(read_gsm(SplitInputs("gsm", "composed", [file, file]), solutions=True).test) == 1


def test_the_card_reads_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "gsm8k"
    folder.mkdir()
    for side in ("train", "test"):
        write(folder / f"{side}.jsonl", [APPLES, COST])
    card = load_card("gsm")
    whole = load_split(card, "composed", tmp_path)
    assert whole.test[0].target.endswith("#### 24")
    assert load_split(card, "composed", tmp_path, solutions=False).test[0].target == "24"
    assert whole.partial is None

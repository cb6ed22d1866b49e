"""Execution match: the results of two programs compared."""

from __future__ import annotations

import pytest
from geography import FACTS
from hypothesis import given
from hypothesis import strategies as st
from scored import executed

from icl_gap.programs.language import Database, NotExecutableError
from icl_gap.programs.languages import LANGUAGES
from icl_gap.schema import Score
from icl_gap.scoring import score_batch

DATABASE = Database(
    FACTS,
    {
        "geo-0": {"m0": "stateid('north')"},
        "geo-1": {"m0": "stateid('south')"},
        "geo-2": {"m0": "cityid('alpha',_)", "m1": "riverid('short')"},
        "geo-3": {},
    },
)
RIVERS = "answer ( intersection ( river , loc_2 ( m0 ) ) )"
ANY_TEXT = st.text(st.characters(codec=None))


def judged(prediction: str, target: str, example_id: str | None) -> Score:
    return executed(prediction, target, "funql", database=DATABASE, example_id=example_id)


@pytest.mark.parametrize(
    ("prediction", "target", "example_id", "expected"),
    [
        ("answer ( longest ( river ) )", "answer ( longest ( river ) )", "geo-0", True),
        ("answer ( longest ( river ) )", RIVERS, "geo-1", True),
        ("answer ( longest ( river ) )", RIVERS, "geo-0", False),
        ("answer ( river )", RIVERS, "geo-0", True),
        ("answer ( next_to_2 ( m0 ) )", "answer ( smallest ( state ) )", "geo-1", True),
        ("answer ( count ( m0 ) )", "answer ( count ( m1 ) )", "geo-2", True),
        ("answer ( len ( m1 ) )", "answer ( population_1 ( m0 ) )", "geo-2", False),
        ("answer ( capital )", "answer ( city )", "geo-3", True),
        ("answer ( m0 )", "answer ( city )", "geo-3", False),  # nothing is called m0
        ("answer ( city", "answer ( city )", "geo-3", False),
        ("answer ( city", "answer ( city", "geo-3", True),  # the same text
        ("answer ( capital )", "answer ( city )", None, None),
        ("answer ( capital )", "answer ( city )", "geo-9", None),
        ("answer ( city )", "answer ( city )", None, True),
    ],
)
def test_programs_over_a_database(
    prediction: str, target: str, example_id: str | None, expected: bool | None
) -> None:
    assert judged(prediction, target, example_id).execution is expected


def test_without_a_database_nothing_is_known() -> None:
    assert not LANGUAGES["funql"].is_executable(None)
    assert executed("a", "a", "funql").execution is None


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("I_TURN_LEFT I_TURN_LEFT I_TURN_LEFT I_WALK", True),
        ("I_TURN_RIGHT I_WALK", True),
        ("I_TURN_RIGHT  I_WALK", True),
        ("I_TURN_LEFT I_WALK", False),
        ("I_TURN_RIGHT I_RUN", False),
        ("I_TURN_RIGHT I_WALK I_TURN_LEFT", False),
        ("I_TURN_RIGHT I_WALK I_FLY", False),
        ("", False),
    ],
)
def test_walks_are_compared(prediction: str, expected: bool) -> None:
    found = executed(prediction, "I_TURN_RIGHT I_WALK", "scan")
    assert found.execution is expected
    assert found.raw <= found.canonical <= expected


@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["geo-0", "geo-2", None]))
def test_any_text_can_be_judged(prediction: str, target: str, example_id: str | None) -> None:
    """And what is canonically equal does the same, whatever it is."""
    for language in ("tokens", "scan", "funql"):
        found = executed(prediction, target, language, database=DATABASE, example_id=example_id)
        assert found.execution or not found.canonical


def test_canonical_execution_is_the_normal_form() -> None:
    found = score_batch(["A  B", "B A"], ["A B", "A B"], LANGUAGES["tokens"])
    assert [each.execution for each in found] == [True, False]


def test_ids_go_with_their_predictions() -> None:
    longest = "answer ( longest ( river ) )"
    found = score_batch(
        [longest] * 3,
        [RIVERS] * 3,
        LANGUAGES["funql"],
        database=DATABASE,
        example_ids=["geo-0", "geo-1", None],
    )
    assert [each.execution for each in found] == [False, True, None]


def test_every_language_can_be_run_or_says_that_it_cannot() -> None:
    executable = {name for name, each in LANGUAGES.items() if each.is_executable(DATABASE)}
    assert set(LANGUAGES) - executable == {"logical_form"}
    assert {name for name, each in LANGUAGES.items() if each.execution == "run"} == {
        "funql",
        "scan",
    }
    with pytest.raises(NotExecutableError, match="`logical_form` cannot be run"):
        LANGUAGES["logical_form"].execute("cat ( x _ 1 )")
    assert executed("a", "a", "logical_form").execution is None


def test_a_result_depends_on_the_example_s_bindings() -> None:
    funql = LANGUAGES["funql"]
    assert funql.execute("answer ( m0 )", DATABASE, "geo-0") == {("stateid", "north")}
    assert funql.execute("answer ( m0 )", DATABASE, "geo-1") == {("stateid", "south")}
    for database, example_id in ((None, "geo-0"), (DATABASE, None), (DATABASE, "geo-9")):
        with pytest.raises(NotExecutableError):
            funql.execute("answer ( m0 )", database, example_id)

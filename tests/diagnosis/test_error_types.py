from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.diagnosis import ERROR_TYPES, error_type
from icl_gap.diagnosis.error_types import wrong_text
from icl_gap.programs.languages import LANGUAGES
from icl_gap.schema import ChatResponse, Record

GOLD = "JUMP WALK WALK RUN"
SHOWN = ["LOOK LOOK", "JUMP  RUN"]


@pytest.mark.parametrize(
    ("answer", "type_"),
    [
        (None, "not decoded"),
        ("  ", "empty"),
        ("JUMP WALK", "stopped early"),
        ("JUMP WALK WALK RUN RUN", "ran on"),
        ("JUMP RUN", "copied an exemplar"),
        ("LOOK WALK WALK RUN", "renamed"),
        ("WALK JUMP JUMP RUN", "renamed"),
        ("JUMP WALK RUN WALK", "wrong structure"),
        ("JUMP LOOK WALK LOOK RUN WALK WALK", "other"),
        ("JUMP WALK LOOK LOOK WALK", "missing symbol"),
    ],
)
def test_a_row_of_tokens(answer, type_) -> None:
    assert error_type(answer, GOLD, SHOWN, LANGUAGES["tokens"]) == type_


@pytest.mark.parametrize(
    ("answer", "type_"),
    [
        ("answer ( state ( loc_2 ( m0 )", "no program"),
        ("answer ( loc_2 ( city , m0 ) )", "wrong structure"),
        ("answer ( river ( loc_2 ( m0 ) ) )", "renamed"),
        ("answer ( city )", "missing symbol"),
    ],
)
def test_a_tree(answer, type_) -> None:
    assert error_type(answer, "answer ( city ( loc_2 ( m0 ) ) )", [], LANGUAGES["funql"]) == type_


@given(st.text(), st.sampled_from(list(LANGUAGES)))
def test_any_answer_has_an_error_type(answer, language) -> None:
    assert error_type(answer, GOLD, SHOWN, LANGUAGES[language]) in ERROR_TYPES


@pytest.mark.parametrize(
    ("reason", "prediction", "whole", "type_"),
    [
        ("truncated", None, "", "empty"),
        ("ran on", "WALK RUN", "WALK RUN JUMP", "ran on"),
        ("no answer", None, "JUMP JUMP JUMP", "missing symbol"),
        ("different", "WALK", "WALK\nthat is it", "stopped early"),
    ],
)
def test_a_chat_response_without_an_answer_is_told_by_its_whole_text(
    reason, prediction, whole, type_
) -> None:
    chat = ChatResponse(
        whole, None, strict_raw=False, strict_canonical=False, strict_execution=None
    )
    record = Record(
        "q", (), 0, 0.0, "", None, "scored", prediction=prediction, reason=reason, chat=chat
    )
    found = error_type(wrong_text(record), "WALK RUN", [], LANGUAGES["scan"])
    assert found == type_


def test_a_completion_that_was_not_decoded_has_no_text() -> None:
    record = Record("q", (), 0, 0.0, "", None, "scored", reason="diverged")
    assert wrong_text(record) is None

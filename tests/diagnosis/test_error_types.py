from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.diagnosis import ERROR_TYPES, error_type
from icl_gap.programs.languages import LANGUAGES

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

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.diagnosis import KINDS, kind_of

GOLD = "JUMP WALK WALK RUN"
SHOWN = ["LOOK LOOK", "JUMP  RUN"]


@pytest.mark.parametrize(
    ("answer", "kind"),
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
def test_a_row_of_tokens(answer, kind) -> None:
    assert kind_of(answer, GOLD, SHOWN, "tokens") == kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("answer ( state ( loc_2 ( m0 )", "no program"),
        ("answer ( loc_2 ( city , m0 ) )", "wrong structure"),
        ("answer ( river ( loc_2 ( m0 ) ) )", "renamed"),
        ("answer ( city )", "missing symbol"),
    ],
)
def test_a_tree(answer, kind) -> None:
    assert kind_of(answer, "answer ( city ( loc_2 ( m0 ) ) )", [], "funql") == kind


@given(st.text(), st.sampled_from(["tokens", "sparql", "funql"]))
def test_any_answer_is_of_a_kind(answer, form) -> None:
    assert kind_of(answer, GOLD, SHOWN, form) in KINDS

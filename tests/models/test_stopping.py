from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models.stopping import check_stop, max_new_tokens
from icl_gap.schema import Completion


@pytest.mark.parametrize(
    ("text", "stop", "answer"),
    [
        ("jump\n", "\n", "jump"),
        ("jump\n\nQuestion:", "\n", "jump"),
        ("walk .\nwalk", "\n", "walk ."),
        ("a\nb\n\nc", "\n\n", "a\nb"),
        ("\n", "\n", ""),
    ],
)
def test_ends_at_the_first_stop(text: str, stop: str, answer: str) -> None:
    assert check_stop(text, stop=stop, max_new_bytes=100) == Completion(answer, "stop")


def test_goes_on_up_to_the_bound() -> None:
    assert check_stop("abc", stop="\n", max_new_bytes=3) is None
    assert check_stop("abcd", stop="\n", max_new_bytes=3) == Completion("abcd", "length")


def test_counts_bytes_not_characters() -> None:
    assert check_stop("é", stop="\n", max_new_bytes=1) == Completion("é", "length")
    assert check_stop("é", stop="\n", max_new_bytes=2) is None


def test_an_unfinished_character_may_still_be_right() -> None:
    # The first two bytes of a three-byte character decode to one or two marks of three bytes each.
    assert check_stop("a\ufffd\ufffd", stop="\n", max_new_bytes=4) is None


def test_an_unfinished_stop_does_not_count() -> None:
    assert check_stop("abc\n", stop="\n\n", max_new_bytes=3) is None
    assert check_stop("abcd\n", stop="\n\n", max_new_bytes=3) == Completion("abcd\n", "length")


@given(gold=st.text(st.characters(codec="utf-8", exclude_characters="\ufffd#")), rest=st.text())
def test_a_right_answer_is_never_cut(gold: str, rest: str) -> None:
    size = len(gold.encode())
    written = (gold + "##").encode()
    for cut in range(len(written)):
        text = written[:cut].decode(errors="replace")
        assert check_stop(text, stop="##", max_new_bytes=size) is None
    done = check_stop(gold + "##" + rest, stop="##", max_new_bytes=size)
    assert done == Completion(gold, "stop")
    assert max_new_tokens(stop="##", max_new_bytes=size) >= len(written)

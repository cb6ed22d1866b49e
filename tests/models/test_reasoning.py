"""Reasoning set apart by tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models.reasoning import split_reasoning

TAGS = ("[a]", "[z]")
plain = st.text(st.characters(exclude_characters="<[]"))


@pytest.mark.parametrize(
    ("text", "opened", "expected"),
    [
        ("[a] hm [z]\n\nA", False, ("A", "hm")),
        ("hm [z]A", True, ("A", "hm")),
        ("hm", True, ("", "hm")),
        ("\n[a]hm", False, ("", "hm")),
        ("A", False, ("A", None)),
        ("<think>hm</think>A", False, ("<think>hm</think>A", None)),
        ("[a]hm[z]A[z]B", False, ("A[z]B", "hm")),
    ],
)
def test_tags_of_the_model(text, opened, expected) -> None:
    assert split_reasoning(text, TAGS, opened=opened) == expected


@given(thoughts=plain, answer=plain)
def test_what_stands_between_tags_is_reasoning_and_the_rest_is_the_answer(thoughts, answer) -> None:
    for tags, named in ((TAGS, TAGS), (("<think>", "</think>"), None)):
        text = f"{tags[0]}{thoughts}{tags[1]}{answer}"
        expected = (answer.lstrip(), thoughts.strip())
        assert split_reasoning(text, named) == expected
        assert split_reasoning(text.removeprefix(tags[0]), named, opened=True) == expected
    assert split_reasoning(answer) == (answer, None)

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import can_match, score

from icl_gap.programs.languages import LANGUAGES

NAMES = st.sampled_from(list(LANGUAGES))
ANY_TEXT = st.text(st.characters(codec=None), max_size=12)  # lone surrogates too
TARGETS = st.sampled_from(
    (
        "a b",
        "SELECT count ( * ) WHERE { M0 a film }",
        "SELECT DISTINCT ?x0 WHERE { ?x0 p ?x1 }",
        "intersection ( a , b )",
        "f ( 'a b' )",
        "so 4 apples #### 12",
    )
)


def strings(letters: str, longest: int) -> list[str]:
    return ["".join(drawn) for n in range(longest + 1) for drawn in product(letters, repeat=n)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        (" \n", True),
        ("WA", True),
        ("WALK", True),
        (" WALK ", True),
        ("WALK\n\nR", True),
        ("WALK RUN WALK", True),
        ("WALK RUN WALK  ", True),
        ("WALK WALK", False),
        ("WA ", False),
        ("WAL K", False),
        ("WALKS", False),
        ("walk", False),
        ("WALK RUN WALKS", False),
        ("WALK RUN WALK RUN", False),
        ("WALK R\ufffd\ufffd", True),
        ("WALK X\ufffd", False),
        ("WALK \ufffd RUN", False),
    ],
)
def test_tokens(text: str, expected: bool) -> None:
    assert can_match(text, "WALK RUN WALK", "tokens") == expected


@pytest.mark.parametrize("target", ["ab b", "a", "aa a", ""])
def test_tokens_agree_with_trying_all_texts(target: str) -> None:
    longest = 3 + len(target)
    equal = [text for text in strings("ab ", longest) if score(text, target, "tokens").canonical]
    starts = {text[:end] for text in equal for end in range(len(text) + 1)}
    for text in strings("ab ", 3):
        assert can_match(text, target, "tokens") == (text in starts), text


@pytest.mark.parametrize(
    ("target", "language"),
    [
        ("", "tokens"),
        ("", "funql"),
        ("answer ( city", "funql"),
        ("answer city", "funql"),
        ("SELECT count ( * ) WHERE { M0 p }", "sparql"),
        ("SELECT count ( * ) WHERE { M0 p M1", "sparql"),
        ("", "sparql"),
    ],
)
def test_a_malformed_target_is_matched_by_nothing_but_its_own_text(
    target: str, language: str
) -> None:
    for end in range(len(target) + 1):
        assert can_match(f"\n {target[:end]}", f" {target}\n", language)
    assert can_match(f" {target} \n", target, language)
    for text in (f"{target}x", f"{target} )", f"( {target}", f"{target} }}"):
        assert not can_match(text, target, language)
    middle = target.find(" ")
    if middle >= 0:
        assert not can_match(f"{target[:middle]} {target[middle:]}", target, language)


@given(ANY_TEXT, ANY_TEXT | TARGETS, NAMES)
def test_any_two_texts_have_an_answer_and_no_is_for_good(
    text: str, target: str, language: str
) -> None:
    if not can_match(text, target, language):
        for end in ("", target, "}", " }", ")", " )"):
            assert not score(text + end, target, language).canonical
        assert not can_match(text + target, target, language)


@given(ANY_TEXT | TARGETS, NAMES, st.text(" \n", max_size=2))
def test_every_start_of_a_text_can_become_it(text: str, language: str, space: str) -> None:
    for end in range(len(text) + 1):
        assert can_match(space + text[:end], text, language)
        assert can_match(f"{space}{text[:end]}\ufffd", text, language)
    assert can_match(space + text + space, text, language)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.programs.funql.corpus import (
    Term,
    clean_question,
    convert,
    parse_published,
    spaced,
    with_placeholders,
)
from icl_gap.programs.language import MalformedError

NAMES = st.sampled_from(["answer", "loc_2", "size", "new york", "st. louis", "_", "m0", "0"])
TERMS = st.recursive(
    NAMES.map(Term),
    lambda terms: st.builds(Term, NAMES, st.lists(terms, min_size=1, max_size=3).map(tuple)),
    max_leaves=8,
)


def quoted(term: Term) -> Term:
    """Names as the corpus writes them: with quotes if they hold a space."""
    name = f"'{term.name}'" if " " in term.name else term.name
    return Term(name, tuple(map(quoted, term.arguments)))


@given(TERMS)
def test_what_is_spelled_is_read_back(term: Term) -> None:
    assert parse_published(quoted(term).spelled) == term
    assert parse_published(spaced(quoted(term))) == term


@pytest.mark.parametrize(
    ("published", "normal"),
    [
        ("answer(city(all))", "answer ( city )"),
        (
            "answer(city(loc_2(stateid('new york'))))",
            "answer ( intersection ( city , loc_2 ( stateid ( new york ) ) ) )",
        ),
        (
            "answer(largest_one(area_1(state(all))))",
            "answer ( largest_one ( area_1 , state ) )",
        ),
        (
            "answer(most(state(loc_1(river(all)))))",
            "answer ( most ( state , loc_1 , river ) )",
        ),
        (
            "answer(exclude(state(all), next_to_2(cityid('austin', _))))",
            "answer ( exclude ( state , next_to_2 ( cityid ( austin , _ ) ) ) )",
        ),
        ("answer(longest(river(all)))", "answer ( longest ( river ) )"),
    ],
)
def test_normal_form(published: str, normal: str) -> None:
    assert spaced(convert(parse_published(published))) == normal


@pytest.mark.parametrize(
    "wrong", ["answer(city(all)", "answer(city))", "answer(,)", "", "(a)", "a()", "a(b c"]
)
def test_broken_brackets_are_refused(wrong: str) -> None:
    with pytest.raises(
        MalformedError, match=r"brackets|not closed|after the end|arguments|side by side"
    ):
        parse_published(wrong)


@pytest.mark.parametrize("wrong", ["largest_one(state)", "most(state(all))", "city(a,b)"])
def test_a_function_without_its_argument_is_refused(wrong: str) -> None:
    with pytest.raises(MalformedError, match=r"compare by|one set"):
        convert(parse_published(wrong))


def test_longer_entities_are_replaced_first_and_everywhere_in_the_target() -> None:
    target = parse_published("f(cityid(springfield,mo),stateid(mo),g(stateid(mo)),riverid(red))")
    words, replaced, bindings = with_placeholders(
        "is springfield missouri in mo", target, {"mo": "missouri"}
    )
    assert words == "is m0 in m1"
    assert replaced.spelled == "f(m0,m1,g(m1),riverid(red))"
    assert bindings == {"m0": "cityid(springfield,mo)", "m1": "stateid(mo)"}


def test_part_of_a_word_is_no_mention() -> None:
    target = parse_published("stateid(ohio)")
    words, replaced, bindings = with_placeholders("which ohioan river", target, {})
    assert (words, replaced, bindings) == ("which ohioan river", target, {})


def test_questions_lose_case_end_mark_and_clitic_space() -> None:
    assert clean_question("What 's the Capital of Ohio ?") == "whats the capital of ohio"
    assert clean_question("Name all rivers in st. louis .") == "name all rivers in st. louis"

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored import score

from icl_gap.schema import Score


def verdict(prediction: str, target: str) -> Score:
    return score(prediction, target, "funql")


@pytest.mark.parametrize(
    ("prediction", "target", "reason"),
    [
        ("answer(city)", "answer ( city )", "spacing"),
        (
            "answer ( intersection ( a , b ) )",
            "answer ( intersection ( b , a ) )",
            "argument order",
        ),
        (
            "answer ( intersection ( b , c , a ) )",
            "answer ( intersection ( a , b , c ) )",
            "argument order",
        ),
        ("answer ( ( city ) )", "answer ( city )", "brackets"),
        ("( answer ( city ) )", "answer ( city )", "brackets"),
        ("((answer ( ((city)) ) ))", "answer ( city )", "brackets, spacing"),
        (
            "answer(intersection(loc_2((m0)),city))",
            "answer ( intersection ( city , loc_2 ( m0 ) ) )",
            "argument order, brackets, spacing",
        ),
        ("answer(stateid('new  york'))", "answer(stateid( ' new york ' ))", "spacing"),
        ("answer(cityid('a, b', _))", "answer ( cityid ( 'a, b' , _ ) )", "spacing"),
    ],
)
def test_one_meaning(prediction: str, target: str, reason: str) -> None:
    assert verdict(prediction, target) == Score(raw=False, canonical=True, reason=reason)


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        ("answer ( exclude ( a , b ) )", "answer ( exclude ( b , a ) )"),
        ("answer ( largest_one ( area_1 , a ) )", "answer ( largest_one ( a , area_1 ) )"),
        ("answer ( most ( a , loc_1 , b ) )", "answer ( most ( b , loc_1 , a ) )"),
        ("answer ( fewest ( a , loc_1 , b ) )", "answer ( fewest ( a , b , loc_1 ) )"),
        ("answer ( city ( all ) )", "answer ( city )"),
        ("answer ( city ( m0 ) )", "answer ( intersection ( city , m0 ) )"),
        ("answer ( intersection ( a , a ) )", "answer ( a )"),
        ("answer ( intersection ( a , a , b ) )", "answer ( intersection ( a , b , b ) )"),
        (
            "answer ( intersection ( a , intersection ( b , c ) ) )",
            "answer ( intersection ( a , b , c ) )",
        ),
        ("answer ( loc_1 ( m0 ) )", "answer ( loc_2 ( m0 ) )"),
        ("answer ( m0 )", "answer ( m1 )"),
        ("answer ( a )", "a"),
        ("answer ( stateid ( 'new york' ) )", "answer ( stateid ( 'newyork' ) )"),
        ("answer ( City )", "answer ( city )"),
    ],
)
def test_different_meanings(prediction: str, target: str) -> None:
    expected = Score(raw=False, canonical=False, reason="different program")
    assert verdict(prediction, target) == expected
    assert verdict(target, prediction) == expected


@pytest.mark.parametrize(
    ("prediction", "what"),
    [
        ("answer ( city", "not closed"),
        ("answer ( city (", "not closed"),
        ("answer ( city ) )", "text after the end"),
        ("answer ( city ) city", "text after the end"),
        ("answer ( city ) , city", "text after the end"),
        ("answer ( city ) ( city )", "text after the end"),
        ("answer ( )", "arguments"),
        ("answer ( city , )", "arguments"),
        ("answer ( , city )", "arguments"),
        ("answer ( ( a , b ) )", "arguments"),
        ("answer ( a ( b ) ( c ) )", "arguments"),
        (")", "arguments"),
        (",", "arguments"),
        ("( )", "arguments"),
        ("answer ( a b )", "names side by side"),
        ("answer ( a ( b ) c )", "names side by side"),
        ("the answer ( a )", "names side by side"),
        ("answer ( stateid ( 'texas ) )", "quotes"),
    ],
)
def test_malformed(prediction: str, what: str) -> None:
    gold = "answer ( river )"
    assert verdict(prediction, gold).reason == f"malformed: {what}"
    assert verdict(gold, prediction).reason == f"malformed target: {what}"


Tree = tuple[str, tuple["Tree", ...]]
LEAVES = st.sampled_from(("city", "m0", "m1", "'new york'", "o'hare")).map(lambda name: (name, ()))
OPERATORS = ("intersection", "exclude", "loc_2", "most")
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.tuples(
        st.sampled_from(OPERATORS), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


def written(tree: Tree) -> str:
    name, arguments = tree
    return f"{name} ( {' , '.join(map(written, arguments))} )" if arguments else name


def rewritten(tree: Tree, random: Random) -> str:
    """The same meaning, with other spacing, brackets and order of intersections."""
    name, arguments = tree
    parts = [rewritten(argument, random) for argument in arguments]
    if name == "intersection":
        random.shuffle(parts)
    space = random.choice(("", " ", "\t\n"))
    text = f"{name}{space}({space}{f'{space},'.join(parts)})" if parts else name
    return f"({space}{text})" if random.random() < 0.2 else text


def meaning(tree: Tree) -> object:
    """An independent normal form: the arguments of intersections as a multiset."""
    name, arguments = tree
    inner = [meaning(argument) for argument in arguments]
    if name == "intersection":
        return name, frozenset(Counter(inner).items())
    return name, tuple(inner)


@given(TREES, st.randoms(use_true_random=False))
def test_rewriting_keeps_the_meaning(tree: Tree, random: Random) -> None:
    assert verdict(rewritten(tree, random), written(tree)).canonical


@given(TREES, TREES, st.randoms(use_true_random=False))
def test_canonical_is_equality_of_meanings(left: Tree, right: Tree, random: Random) -> None:
    found = verdict(rewritten(left, random), written(right))
    assert found.canonical == (meaning(left) == meaning(right))
    assert verdict(written(right), rewritten(left, random)).canonical == found.canonical


@given(TREES, st.randoms(use_true_random=False))
def test_shuffled_arguments_are_equal_only_where_the_meaning_is(tree: Tree, random: Random) -> None:
    def shuffled(tree: Tree) -> Tree:
        inner = [shuffled(argument) for argument in tree[1]]
        random.shuffle(inner)
        return tree[0], tuple(inner)

    other = shuffled(tree)
    assert verdict(written(other), written(tree)).canonical == (meaning(other) == meaning(tree))


@given(st.text(st.sampled_from("ab(),' \n")) | st.text())
def test_no_text_is_an_error(text: str) -> None:
    gold = "answer ( city )"
    assert verdict(text, gold).canonical == verdict(gold, text).canonical
    assert verdict(text, text) == Score(raw=True, canonical=True)


@pytest.mark.parametrize(
    "prediction",
    [
        "(" * 1_000_000,
        "'" * 999_999,
        "a'" * 500_000,
        "a(" * 300_000 + "b" + ")" * 300_000,
        "intersection(b," * 50_000 + "b" + ")" * 50_000,
        f"intersection ( {'a , ' * 200_000} a )",
        "\udfff(" * 300_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_megabyte_is_scored(prediction: str) -> None:
    assert not verdict(prediction, "answer ( city )").canonical
    assert verdict(f" {prediction}\n", prediction).raw


def test_depth_costs_no_stack() -> None:
    nested = "intersection ( a , " * 20_000 + "b" + " )" * 20_000
    turned = "intersection ( " * 20_000 + "b" + " , a )" * 20_000
    assert verdict(turned, nested).reason == "argument order"

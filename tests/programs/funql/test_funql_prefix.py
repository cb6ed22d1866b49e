from __future__ import annotations

from itertools import product
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scored import can_match, score

GOLD = "answer ( intersection ( city , loc_2 ( m0 ) , loc_2 ( 'new york' ) , city ) )"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "((",
        "ans",
        "answer",
        "answer (",
        "(answer((",
        "answer ( (intersection",
        "answer ( ( ( intersec",
        "answer ( intersection ( ",
        "answer ( intersection ( loc_",
        "answer ( intersection ( loc_2",
        "answer ( intersection ( loc_2 ( m",
        "answer(intersection(loc_2(m0),city,",
        "answer(intersection(loc_2(m0),city,city,loc_2(",
        "answer(intersection(loc_2('ne",
        "answer(intersection(loc_2('  new  ",
        "answer(intersection(loc_2('new york ",
        "answer(intersection(loc_2((",
        "answer(intersection(loc_2((m0)),(city)",
        "(answer(intersection(city,loc_2(m0),city,loc_2('new york')",
        "(answer(intersection(city,loc_2(m0),city,loc_2('new york')))) ",
    ],
)
def test_what_can_still_become_the_target(text: str) -> None:
    assert can_match(text, GOLD, "funql")
    assert can_match(f"{text}\ufffd", GOLD, "funql")


@pytest.mark.parametrize(
    "text",
    [
        ")",
        ",",
        "'",
        "answers",
        "answer city",
        "an ",
        "answer 'new",
        "answer ( )",
        "answer ( intersection ( m0",
        "answer ( intersection ( loc_ ",
        "answer ( intersection ( loc_1",
        "answer ( intersection ( loc_2 ,",
        "answer ( intersection ( loc_2 ( city",
        "answer ( intersection ( loc_2 ( 'york",
        "answer ( intersection ( loc_2 ( 'new york city",
        "answer ( intersection ( loc_2 ( 'new' ",
        "answer ( intersection ( loc_2 ( m0 , ",
        "answer ( intersection ( city ( ",
        "answer ( intersection ( city , city , c",
        "answer ( intersection ( ( city , ",
        "answer ( intersection ( city city",
        "answer ( intersection ( city , loc_2 ( m0 ) )",
        "answer ( intersection ( city , loc_2 ( m0 ) , loc_2 ( m",
        "answer(intersection(city,loc_2(m0),city,loc_2('new york'),",
        "answer(intersection(city,loc_2(m0),city,loc_2('new york'))))",
        "answer(intersection(city,loc_2(m0),city,loc_2('new york')))(",
    ],
)
def test_what_cannot(text: str) -> None:
    assert not can_match(text, GOLD, "funql")


def test_order_counts_where_an_operator_is_not_commutative() -> None:
    gold = "exclude ( a , b )"
    assert can_match("exclude ( a , (", gold, "funql")
    assert not can_match("exclude ( b", gold, "funql")
    assert not can_match("exclude ( a , a", gold, "funql")
    assert not can_match("exclude ( a )", gold, "funql")


Tree = tuple[str, tuple["Tree", ...]]
LEAVES = st.sampled_from(("city", "m0", "m1", "'new york'", "o'hare")).map(lambda name: (name, ()))
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.tuples(
        st.sampled_from(("intersection", "exclude", "m0")),
        st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=7,
)
RANDOMS = st.randoms(use_true_random=False)


def written(tree: Tree) -> str:
    name, arguments = tree
    return f"{name} ( {' , '.join(map(written, arguments))} )" if arguments else name


def rewritten(tree: Tree, random: Random) -> str:
    """The same meaning, with other spacing, brackets and order of intersections."""
    name, arguments = tree
    parts = [rewritten(argument, random) for argument in arguments]
    if name == "intersection":
        random.shuffle(parts)
    if name[0] == "'":
        name = random.choice((name, "' new\tyork '"))
    space = random.choice(("", " ", "\t\n"))
    text = f"{name}{space}({space}{f'{space},'.join(parts)})" if parts else name
    return f"({space}{text}{space})" if random.random() < 0.2 else text


def an_end(text: str, target: str) -> str | None:
    """Go on letter by letter, wherever that is said to be possible."""
    letters = [*sorted(set(f"{target},)") - set("( ")), "(", " "]
    for _ in range(2 * len(target) + text.count("(")):
        if score(text, target, "funql").canonical:
            return text
        possible = (letter for letter in letters if can_match(text + letter, target, "funql"))
        text += next(possible, "!")
    return None


@given(TREES, RANDOMS)
def test_every_start_of_a_rewritten_target_can_become_it(tree: Tree, random: Random) -> None:
    target, text = written(tree), rewritten(tree, random)
    assert score(text, target, "funql").canonical
    for end in range(len(text) + 1):
        assert can_match(text[:end], target, "funql"), text[:end]
        assert can_match(f"{text[:end]}\ufffd", target, "funql")


def strings(pieces: tuple[str, ...], longest: int) -> list[str]:
    return ["".join(drawn) for n in range(longest + 1) for drawn in product(pieces, repeat=n)]


@pytest.mark.parametrize(
    ("target", "pieces"),
    [
        ("intersection(a,b)", ("intersection", "a", "b", "(", ",", ")")),
        ("intersection(a,a(b))", ("intersection", "a", "b", "(", ",", ")")),
        ("a('a b')", ("a", "b", "'", " ", "(", ")")),
        ("a(a,ab)", ("a", "b", "(", ",", ")")),
    ],
)
def test_agrees_with_trying_all_short_texts(target: str, pieces: tuple[str, ...]) -> None:
    equal = [text for text in strings(pieces, 6) if score(text, target, "funql").canonical]
    starts = {text[:end] for text in equal for end in range(len(text) + 1)}
    assert all(can_match(text, target, "funql") for text in starts)
    for text in strings(pieces, 4):
        if can_match(text, target, "funql"):
            assert text in starts or an_end(text, target) is not None, text


@given(TREES, RANDOMS, st.sampled_from(("city", "m", "'", "(", ")", ",", " ", "x", "exclude(")))
def test_yes_can_be_gone_on_with_and_no_cannot(tree: Tree, random: Random, piece: str) -> None:
    target, text = written(tree), rewritten(tree, random)
    start = random.randrange(len(text) + 1)
    changed = text[:start] + piece + text[start + random.randrange(3) :]
    changed = changed[: start + len(piece) + random.randrange(4)]
    if can_match(changed, target, "funql"):
        assert an_end(changed, target) is not None, changed
        return
    for other in (text, *(rewritten(tree, random) for _ in range(5))):
        for cut in range(len(other) + 1):
            assert not score(changed + other[cut:], target, "funql").canonical


@given(TREES, RANDOMS)
def test_a_name_of_no_place_cannot_stand_there(tree: Tree, random: Random) -> None:
    target, text = written(tree), rewritten(tree, random)
    assume("'" not in text)
    start = random.randrange(len(text) + 1)
    for foreign in (" zzz", "zzz ", "(zzz", ",zzz", ")zzz"):
        assert not can_match(text[:start] + foreign, target, "funql")


def test_depth_and_width_cost_no_stack() -> None:
    nested = "intersection ( a , " * 20_000 + "b" + " )" * 20_000
    turned = "intersection ( " * 20_000 + "b" + " , a )" * 19_000
    assert can_match(turned, nested, "funql")
    assert not can_match(f"{turned} , b", nested, "funql")
    wide = f"intersection ( {'a , ' * 100_000} a )"
    assert can_match(f" {wide[:-2]}", wide, "funql")
    assert not can_match(f" {wide[:-2]} , ", wide, "funql")
    assert can_match("(" * 1_000_000, "answer ( city )", "funql")

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from icl_gap import load_benchmark
from icl_gap.data.loaders.logic import (
    LARGEST_SHARE,
    MOST_OPERATORS,
    MOST_VARIABLES,
    RELATIONS,
    SHALLOW,
    SHORT,
    VARIABLES,
    generate_logic,
)

SPLITS = ("random", "depth", "length")
LENGTH = "155af2388fbcb9fd9c949349fca3f2eee5d7fdb3f844d97d2aadfbc6bb8bef7f"


def holds(sentence: str) -> tuple[bool, ...]:
    """In which rows of the truth table a sentence holds, as Python reads it."""
    code = compile(sentence, "sentence", "eval")
    rows = product((False, True), repeat=len(VARIABLES))
    return tuple(bool(eval(code, dict(zip(VARIABLES, row, strict=True)))) for row in rows)  # noqa: S307


def relation(left: tuple[bool, ...], right: tuple[bool, ...]) -> str:
    """By the definitions of MacCartney & Manning 2009, table 1."""
    pairs = set(zip(left, right, strict=True))
    both, neither = (True, True) in pairs, (False, False) in pairs
    left_alone, right_alone = (True, False) in pairs, (False, True) in pairs
    return {
        (True, False, False, True): "equivalence",
        (True, False, True, True): "entailment",
        (True, True, False, True): "reverse entailment",
        (False, True, True, False): "negation",
        (False, True, True, True): "alternation",
        (True, True, True, False): "cover",
        (True, True, True, True): "independence",
    }[both, left_alone, right_alone, neither]


@pytest.mark.parametrize("split", SPLITS)
def test_every_relation_is_right(split) -> None:
    sides = generate_logic(split)
    for example in (*sides.train[:300], *sides.test[:300]):
        left, right = example.source.split(" , ")
        assert example.target == RELATIONS[relation(holds(left), holds(right))]


def operators(sentence: str) -> int:
    return sum(word in {"and", "or", "not"} for word in sentence.split())


def depth(sentence: str) -> int:
    level = deepest = 0
    for word in sentence.split():
        level += (word == "(") - (word == ")")
        deepest = max(deepest, level)
    return deepest


@pytest.mark.parametrize(
    ("split", "measure", "most"), [("length", operators, SHORT), ("depth", depth, SHALLOW)]
)
def test_the_test_set_goes_beyond_the_train_set(split, measure, most) -> None:
    sides = generate_logic(split)
    train, test = (
        {max(map(measure, example.source.split(" , "))) for example in side}
        for side in (sides.train, sides.test)
    )
    assert max(train) == most
    assert min(test) == most + 1
    assert max(test) <= MOST_OPERATORS


@pytest.mark.parametrize("split", SPLITS)
def test_pairs_are_distinct_few_variables_and_no_relation_rules(split) -> None:
    sides = generate_logic(split)
    every = (*sides.train, *sides.test)
    assert (len(sides.train), len(sides.test)) == (8_000, 2_000)
    assert len({example.source for example in every}) == len(every)
    for example in every:
        assert len(set(example.source.split()) & set(VARIABLES)) <= MOST_VARIABLES
    counts = Counter(example.target for example in every)
    assert set(counts) == set(RELATIONS.values())
    assert max(counts.values()) < (LARGEST_SHARE + 0.05) * len(every)


def test_it_is_always_the_same() -> None:
    assert load_benchmark("logic", "length").fingerprint == LENGTH

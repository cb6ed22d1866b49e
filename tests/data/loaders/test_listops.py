from __future__ import annotations

import re

import pytest

from icl_gap import load_benchmark
from icl_gap.data.loaders.listops import LONGEST, SHALLOW, SHORT, generate_listops

SPLITS = ("random", "depth", "length")
DEPTH = "6497d9bbf9b5a631b052d9066e6a292b319006438d07dbe208b94f4b7fba0069"


def value(source: str) -> int:
    """An expression's value, by another way than the generator's: innermost brackets first."""
    pattern = re.compile(r"\[(MAX|MIN|MED|SM)((?: \d)+) \]")

    def once(match: re.Match[str]) -> str:
        values = sorted(map(int, match[2].split()))
        middle = len(values) // 2
        return str(
            {
                "MAX": values[-1],
                "MIN": values[0],
                "MED": values[middle]
                if len(values) % 2
                else (values[middle - 1] + values[middle]) // 2,
                "SM": sum(values) % 10,
            }[match[1]]
        )

    while "[" in source:
        source, changed = pattern.subn(once, source)
        assert changed
    return int(source)


def depth(source: str) -> int:
    level = deepest = 0
    for mark in source.split():
        level += mark.startswith("[") - (mark == "]")
        deepest = max(deepest, level)
    return deepest


@pytest.mark.parametrize("split", SPLITS)
def test_every_value_is_right(split) -> None:
    sides = generate_listops(split)
    for example in (*sides.train[:500], *sides.test):
        assert example.target == str(value(example.source))
        assert len(example.source.split()) <= LONGEST


def test_splits_are_cut_by_depth_and_by_length() -> None:
    deep, long = generate_listops("depth"), generate_listops("length")
    assert max(depth(e.source) for e in deep.train) == SHALLOW
    assert min(depth(e.source) for e in deep.test) == SHALLOW + 1
    assert max(len(e.source.split()) for e in long.train) <= SHORT
    assert min(len(e.source.split()) for e in long.test) > SHORT


@pytest.mark.parametrize("split", SPLITS)
def test_no_expression_is_on_both_sides_and_all_are_distinct(split) -> None:
    sides = generate_listops(split)
    sources = [example.source for example in (*sides.train, *sides.test)]
    assert (len(sides.train), len(sides.test)) == (8_000, 2_000)
    assert len(set(sources)) == len(sources)


def test_it_is_always_the_same() -> None:
    assert load_benchmark("listops", "depth").fingerprint == DEPTH

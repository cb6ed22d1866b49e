"""Logical inference: generated pairs of propositional sentences and their relation.

Source: Bowman et al. 2015, arXiv 1506.04834, section 4, with the splits by length of Shen et al.
2019, arXiv 1910.13466. Sentences have up to 12 operators (`and`, `or`, `not`) over at most four of
six variables; tautologies and contradictions are left out. The answer is one of the seven relations
of MacCartney & Manning 2009. The published files are not used: pairs are generated here, at most a
quarter of them with any one relation.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from icl_gap.data.examples import Pair, Sides, sides_from_pairs
from icl_gap.data.loaders import Loader

VARIABLES = tuple("abcdef")
MOST_VARIABLES = 4
MOST_OPERATORS = 12
SHORT = 6
"""The most operators of a sentence in the train set of `length`."""
SHALLOW = 3
"""The most levels of a sentence in the train set of `depth`."""
N_TRAIN, N_TEST = 8_000, 2_000
LARGEST_SHARE = 0.25
"""The largest share of one relation; most random pairs would be independent."""

_ROWS = 2 ** len(VARIABLES)
_ALL = 2**_ROWS - 1
_TRUTH = {
    name: sum(1 << row for row in range(_ROWS) if row >> place & 1)
    for place, name in enumerate(VARIABLES)
}
"""The rows of the truth table in which each variable is true, as bits."""

RELATIONS: Mapping[str, str] = MappingProxyType(
    {
        "equivalence": "=",
        "entailment": "<",
        "reverse entailment": ">",
        "negation": "^",
        "alternation": "|",
        "cover": "v",
        "independence": "#",
    }
)
"""The symbol of each relation."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its truth table."""

    text: str
    truth: int
    """The rows of the truth table in which it is true, as bits."""
    operators: int
    depth: int


def relation(left: int, right: int) -> str:
    """Return the relation of two sentences from their truth tables."""
    apart, cover = left & right == 0, left | right == _ALL
    if left == right:
        return RELATIONS["equivalence"]
    if left & right == left:
        return RELATIONS["entailment"]
    if left & right == right:
        return RELATIONS["reverse entailment"]
    if apart and cover:
        return RELATIONS["negation"]
    if apart:
        return RELATIONS["alternation"]
    return RELATIONS["cover"] if cover else RELATIONS["independence"]


def generate_logic(split: str) -> Sides:
    """Generate the two sides of a split, always the same.

    Args:
        split: `length` (train: both sentences up to `SHORT` operators; test: one has more), `depth`
            (the same with `SHALLOW` levels) or `random`.
    """
    rules: Mapping[str, Callable[[Sentence], bool]] = {
        "length": lambda each: each.operators > SHORT,
        "depth": lambda each: each.depth > SHALLOW,
    }
    rule = rules.get(split)
    train: dict[Pair, None] = {}
    test: dict[Pair, None] = {}
    for number, (left, right) in enumerate(_pairs()):
        is_test = number % 5 == 0 if rule is None else rule(left) or rule(right)
        side = test if is_test else train
        if len(side) < (N_TEST if is_test else N_TRAIN):
            side[f"{left.text} , {right.text}", relation(left.truth, right.truth)] = None
    return sides_from_pairs("logic", train, test)


@cache
def _pairs() -> tuple[tuple[Sentence, Sentence], ...]:
    """Return distinct pairs, no relation with more than its share."""
    rng = random.Random("logic")  # noqa: S311 (no secret)
    wanted = 2 * (N_TRAIN + N_TEST)
    found: dict[tuple[str, str], tuple[Sentence, Sentence]] = {}
    counts: Counter[str] = Counter()
    while len(found) < wanted:
        names = rng.sample(VARIABLES, MOST_VARIABLES)
        size = rng.randint(1, MOST_OPERATORS)
        left, right = (_sentence(rng, names, rng.randint(0, size)) for _ in range(2))
        key, how = (left.text, right.text), relation(left.truth, right.truth)
        trivial = {left.truth, right.truth} & {0, _ALL}
        too_many = counts[how] > LARGEST_SHARE * len(found)
        if trivial or key in found or too_many:
            continue
        counts[how] += 1
        found[key] = left, right
    return tuple(found.values())


def _sentence(rng: random.Random, names: list[str], operators: int) -> Sentence:
    """Draw a sentence with a given number of operators."""
    if operators == 0:
        name = rng.choice(names)
        return Sentence(name, _TRUTH[name], 0, 0)
    if rng.random() < 1 / 3:
        inner = _sentence(rng, names, operators - 1)
        return Sentence(f"( not {inner.text} )", _ALL ^ inner.truth, operators, inner.depth + 1)
    left_size = rng.randrange(operators)
    left = _sentence(rng, names, left_size)
    right = _sentence(rng, names, operators - 1 - left_size)
    word = rng.choice(("and", "or"))
    truth = left.truth & right.truth if word == "and" else left.truth | right.truth
    depth = 1 + max(left.depth, right.depth)
    return Sentence(f"( {left.text} {word} {right.text} )", truth, operators, depth)


LOADER = Loader(lambda inputs: generate_logic(inputs.split))

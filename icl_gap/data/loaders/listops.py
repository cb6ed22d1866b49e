"""ListOps: generated nested operations on lists of digits.

Source: Nangia & Bowman 2018, arXiv 1804.06028: the largest, the smallest, the median (rounded
down) and the sum modulo 10 of two to five digits or operations, `[MAX 2 9 [MIN 4 7 ] 0 ]`. The
published files are not used: expressions here are short enough for a prompt, and splits are by
depth and by length, as in Shen et al. 2019, arXiv 1910.13466, for logical inference.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from types import MappingProxyType

from icl_gap.data.examples import Pair, Sides, sides_from_pairs
from icl_gap.data.loaders import Loader

OPERATORS: Mapping[str, Callable[[Sequence[int]], int]] = MappingProxyType(
    {
        "MAX": max,
        "MIN": min,
        "MED": lambda values: int(median(values)),
        "SM": lambda values: sum(values) % 10,
    }
)
MOST_ARGUMENTS = 5
DEEPEST = 5
LONGEST = 60
"""The most tokens of an expression."""
N_TRAIN, N_TEST = 8_000, 2_000
SHALLOW, SHORT = 3, 24
"""The most levels in the train set of `depth`, and the most tokens in that of `length`."""


@dataclass(frozen=True, slots=True)
class ListOpsExpression:
    """An expression, its value and its depth."""

    tokens: tuple[str, ...]
    value: int
    depth: int


def generate_listops(split: str) -> Sides:
    """Generate the two sides of a split, always the same.

    Args:
        split: `depth` (train up to `SHALLOW` levels, test deeper), `length` (train up to `SHORT`
            tokens, test longer) or `random`.
    """
    rules: Mapping[str, Callable[[ListOpsExpression], bool]] = {
        "depth": lambda each: each.depth > SHALLOW,
        "length": lambda each: len(each.tokens) > SHORT,
    }
    expressions = _expressions()
    if split not in rules:
        pairs = [_pair(each) for each in expressions[: N_TRAIN + N_TEST]]
        return sides_from_pairs("listops", pairs[:N_TRAIN], pairs[N_TRAIN:])
    is_test = rules[split]
    sides = {
        side: [_pair(each) for each in expressions if is_test(each) == side]
        for side in (False, True)
    }
    return sides_from_pairs("listops", sides[False][:N_TRAIN], sides[True][:N_TEST])


@cache
def _expressions() -> tuple[ListOpsExpression, ...]:
    """Return distinct expressions, enough for every split: a quarter each of two to five levels."""
    rng = random.Random("listops")  # noqa: S311 (no secret)
    found: dict[tuple[str, ...], ListOpsExpression] = {}
    while len(found) < 2 * (N_TRAIN + N_TEST):
        depth = 2 + len(found) % (DEEPEST - 1)
        made = _operation(rng, depth)
        if len(made.tokens) <= LONGEST:
            found.setdefault(made.tokens, made)
    return tuple(found.values())


def _operation(rng: random.Random, depth: int) -> ListOpsExpression:
    """Draw an operation of a given depth, which one argument reaches and the others may."""
    if depth == 0:
        digit = rng.randrange(10)
        return ListOpsExpression((str(digit),), digit, 0)
    n_arguments = rng.randint(2, MOST_ARGUMENTS)
    deepest = rng.randrange(n_arguments)
    levels = [rng.choice((0, 0, 0, rng.randrange(depth))) for _ in range(n_arguments)]
    levels[deepest] = depth - 1
    arguments = [_operation(rng, each) for each in levels]
    name = rng.choice(list(OPERATORS))
    inner = [token for each in arguments for token in each.tokens]
    value = OPERATORS[name]([each.value for each in arguments])
    return ListOpsExpression((f"[{name}", *inner, "]"), value, depth)


def _pair(expression: ListOpsExpression) -> Pair:
    return " ".join(expression.tokens), str(expression.value)


LOADER = Loader(lambda inputs: generate_listops(inputs.split))

"""SCAN: commands and their actions, generated from the grammar.

Source: Lake & Baroni 2018, *Generalization without systematicity*, arXiv 1711.00350, figures 6-7.
The grammar gives exactly the 20,910 published pairs, so no file is read.

Commands are numbered in the order in which `commands` makes them, and an example's id is
`scan-<number>`. Where a published training file repeats an example (addprim), the second copy is
`scan-<number>#2`, and so on; the copies stand at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product

from icl_gap.data.examples import Sides
from icl_gap.data.loaders import Loader
from icl_gap.data.loaders._scan_members import SPLITS_BY_MEMBERSHIP, shipped_members
from icl_gap.errors import DataError
from icl_gap.schema import Example

PRIMITIVES = ("walk", "look", "run", "jump")
DIRECTIONS = ("left", "right")
REPETITIONS = (("", 1), (" twice", 2), (" thrice", 3))

TEST, TRAIN, NEITHER = "test", "train", ""


@cache
def commands() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return all commands with their actions, in the order of their numbers.

    First the 102 sentences without a conjunction, then all `X and Y`, then all `X after Y`, with X
    in the outer loop. Actions carry their `I_`.

    Returns:
        20,910 pairs of a command and its action tokens.
    """
    sentences = tuple(_sentences())
    pairs = tuple(product(sentences, repeat=2))
    return (
        *sentences,
        *((f"{x} and {y}", first + second) for (x, first), (y, second) in pairs),
        *((f"{x} after {y}", second + first) for (x, first), (y, second) in pairs),
    )


def _sentences() -> Iterator[tuple[str, tuple[str, ...]]]:
    for (phrase, actions), (suffix, times) in product(tuple(_phrases()), REPETITIONS):
        yield phrase + suffix, actions * times


def _phrases() -> Iterator[tuple[str, tuple[str, ...]]]:
    for primitive in PRIMITIVES:
        yield primitive, (f"I_{primitive.upper()}",)
    for primitive, direction in product((*PRIMITIVES, "turn"), DIRECTIONS):
        turn = (f"I_TURN_{direction.upper()}",)
        action = () if primitive == "turn" else (f"I_{primitive.upper()}",)
        yield f"{primitive} {direction}", turn + action
        yield f"{primitive} opposite {direction}", turn * 2 + action
        yield f"{primitive} around {direction}", (turn + action) * 4


Rule = Callable[[str, int], str]
"""A function from a command and its number of actions to its side."""


def _length(_command: str, n_actions: int) -> str:
    """Split by length, Lake & Baroni 2018, experiment 2: train to 22 actions, test from 24."""
    return TRAIN if n_actions <= 22 else TEST


def _primitive(primitive: str) -> Rule:
    """Return the rule of experiment 3: the primitive alone in train, its compositions in test."""

    def rule(command: str, _n_actions: int) -> str:
        return TEST if primitive in command and command != primitive else TRAIN

    return rule


def _template(held_out: tuple[str, ...], left_out: str) -> Rule:
    """Return the rule of Loula et al. 2018, arXiv 1807.07545: only test holds a template.

    The same template with `turn` is in neither side.
    """

    def rule(command: str, _n_actions: int) -> str:
        if left_out in command:
            return NEITHER
        return TEST if any(phrase in command for phrase in held_out) else TRAIN

    return rule


RULES: dict[str, Rule] = {
    "length": _length,
    "addprim_jump": _primitive("jump"),
    "addprim_turn_left": _primitive("turn left"),
    "template_jump_around_right": _template(("jump around right",), "turn around right"),
    "template_right": _template(tuple(f"{p} right" for p in PRIMITIVES), "turn right"),
    "template_opposite_right": _template(
        tuple(f"{p} opposite right" for p in PRIMITIVES), "turn opposite right"
    ),
    "template_around_right": _template(
        tuple(f"{p} around right" for p in PRIMITIVES), "turn around right"
    ),
}

REPEATED: dict[str, tuple[str, int]] = {
    "addprim_jump": ("jump", 1467),
    "addprim_turn_left": ("turn left", 2189),
}
"""The copies of the bare primitive in the published training file: a tenth of the file."""

SPLITS = (*RULES, *SPLITS_BY_MEMBERSHIP)


def generate_scan(split: str, *, action_prefix: bool = False) -> Sides:
    """Generate the two sides of a split.

    Args:
        split: One of `SPLITS`.
        action_prefix: Keep the `I_` of the published actions (`I_JUMP`). Otherwise they are `JUMP`,
            `TURN_LEFT`, as in Hosseini et al. 2022.

    Returns:
        Both sides in the order of the numbers; repeats at the end of train.

    Raises:
        DataError: There is no such split.
    """
    if split not in SPLITS:
        raise DataError("SCAN has no such split", value=split, allowed=SPLITS)
    train, test = _by_rule(split) if split in RULES else shipped_members(split)
    sides = Sides(_examples(train, action_prefix), _examples(test, action_prefix))
    if split in REPEATED:
        primitive, times = REPEATED[split]
        first = next(example for example in sides.train if example.source == primitive)
        sides.train.extend(
            Example(f"{first.id}#{copy}", first.source, first.target)
            for copy in range(2, times + 1)
        )
    return sides


def _by_rule(split: str) -> tuple[list[int], list[int]]:
    rule = RULES[split]
    sides: dict[str, list[int]] = {TRAIN: [], TEST: [], NEITHER: []}
    for number, (command, actions) in enumerate(commands()):
        sides[rule(command, len(actions))].append(number)
    return sides[TRAIN], sides[TEST]


def _examples(numbers: list[int], action_prefix: bool) -> list[Example]:
    known = commands()
    chosen = ((number, *known[number]) for number in numbers)
    if action_prefix:
        return [Example(f"scan-{n}", command, " ".join(actions)) for n, command, actions in chosen]
    return [
        Example(f"scan-{n}", command, " ".join(actions).replace("I_", ""))
        for n, command, actions in chosen
    ]


LOADER = Loader(
    lambda inputs, **options: generate_scan(inputs.split, **options),
    options={"action_prefix": False},
)

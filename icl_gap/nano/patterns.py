"""The patterns of SCAN's commands: commands with their verbs and directions left open.

There are 903. Each has up to four slots: the verb and the direction of each of its two clauses. Its
actions have the same slots.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from icl_gap.data.loaders.scan import DIRECTIONS, PRIMITIVES, commands, generate_scan

HELD_OUT_SPLITS = ("mcd1", "length")
"""The splits whose test patterns the default family never sees."""

_SLOTS = {"walk": 0, "left": 1, "look": 2, "right": 3}
"""The words that mark the slots in the one command that is read for each pattern."""
_ACTION_SLOTS = {"I_WALK": 0, "I_TURN_LEFT": 1, "I_LOOK": 2, "I_TURN_RIGHT": 3}
_CLAUSES = (frozenset(("look", "right")), frozenset(("walk", "left")))
"""The words that the first and the second clause may not have."""

_OPEN = [
    (re.compile(rf"\b({'|'.join(PRIMITIVES)})\b"), "VERB"),
    (re.compile(rf"\b({'|'.join(DIRECTIONS)})\b"), "DIRECTION"),
]


@dataclass(frozen=True, slots=True)
class CommandPattern:
    """A pattern of commands."""

    name: str
    """`VERB around DIRECTION twice and turn DIRECTION`."""
    source: tuple[str | int, ...]
    """The words of the command; a number is a slot: 0 and 2 the clauses' verbs, 1 and 3 their
    directions."""
    target: tuple[int, ...]
    """The actions, as slots."""
    commands: int
    """The number of SCAN's 20,910 commands with this pattern."""


DIRECTION = CommandPattern("DIRECTION", source=(1,), target=(1,), commands=2)
"""A direction alone, which is no command of SCAN's but the shortest way to show a word. Without it,
a model that never sees `VERB` alone learns words late, and a narrow one not at all."""


def pattern_of(command: str) -> str:
    """Return the name of a command's pattern."""
    for words, name in _OPEN:
        command = words.sub(name, command)
    return command


@cache
def patterns() -> tuple[CommandPattern, ...]:
    """Return all patterns of SCAN's grammar, in the order of its commands."""
    counts = Counter(pattern_of(command) for command, _ in commands())
    return tuple(
        CommandPattern(
            name=pattern_of(command),
            source=tuple(_SLOTS.get(word, word) for word in command.split()),
            target=tuple(_ACTION_SLOTS[action] for action in actions),
            commands=counts[pattern_of(command)],
        )
        for command, actions in commands()
        if _is_model(command)
    )


@cache
def held_out() -> frozenset[str]:
    """Return the names of the patterns in only the test sets of `HELD_OUT_SPLITS`."""
    names: set[str] = set()
    for split in HELD_OUT_SPLITS:
        sides = generate_scan(split)
        names |= {pattern_of(example.source) for example in sides.test} - {
            pattern_of(example.source) for example in sides.train
        }
    return frozenset(names)


def _is_model(command: str) -> bool:
    clauses = re.split(" and | after ", command)
    return not any(
        banned & set(clause.split()) or {"run", "jump"} & set(clause.split())
        for clause, banned in zip(clauses, _CLAUSES, strict=False)
    )

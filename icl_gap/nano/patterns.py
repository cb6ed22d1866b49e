"""The patterns of SCAN's commands: commands with their verbs and directions left open.

There are 903. Each holds up to four slots, the verb and the direction of each of its two clauses;
its actions hold the same slots.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

from icl_gap.data.scan import DIRECTIONS, PRIMITIVES, commands, generate

SPLITS = ("mcd1", "length")
"""The splits whose train sets hold all the patterns that the default family sees."""
ONE_WORD = "VERB"
"""The pattern of commands such as `jump`."""

_SLOTS = {"walk": 0, "left": 1, "look": 2, "right": 3}
"""The words that mark the slots in the one command that is read for each pattern."""
_ACTION_SLOTS = {"I_WALK": 0, "I_TURN_LEFT": 1, "I_LOOK": 2, "I_TURN_RIGHT": 3}
_CLAUSES = (frozenset(("look", "right")), frozenset(("walk", "left")))
"""What the first clause may not hold, and what the second."""

_OPEN = [
    (re.compile(rf"\b({'|'.join(PRIMITIVES)})\b"), "VERB"),
    (re.compile(rf"\b({'|'.join(DIRECTIONS)})\b"), "DIRECTION"),
]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of commands."""

    name: str
    """`VERB around DIRECTION twice and turn DIRECTION`."""
    source: tuple[str | int, ...]
    """Its words; a number is a slot: 0 and 2 the clauses' verbs, 1 and 3 their directions."""
    target: tuple[int, ...]
    """Its actions, as slots."""
    clauses: tuple[tuple[str, int], ...]
    """Its clauses in the order in which they are carried out: the name of each one's form, and
    where its slots start (0 for the clause that is written first, 2 for the other)."""
    commands: int
    """How many of SCAN's 20,910 commands have this pattern."""


def pattern_of(command: str) -> str:
    """The name of a command's pattern."""
    for words, name in _OPEN:
        command = words.sub(name, command)
    return command


@cache
def patterns() -> tuple[Pattern, ...]:
    """All patterns, read off SCAN's own grammar, in the order of its commands."""
    counts = Counter(pattern_of(command) for command, _ in commands())
    return tuple(
        Pattern(
            name=pattern_of(command),
            source=tuple(_SLOTS.get(word, word) for word in command.split()),
            target=tuple(_ACTION_SLOTS[action] for action in actions),
            clauses=_clauses(pattern_of(command)),
            commands=counts[pattern_of(command)],
        )
        for command, actions in commands()
        if _is_model(command)
    )


@cache
def forms() -> tuple[Pattern, ...]:
    """The 21 forms of a clause: the patterns without a conjunction."""
    return tuple(pattern for pattern in patterns() if len(pattern.clauses) == 1)


@cache
def held_out() -> frozenset[str]:
    """The patterns that the default family never sees: all but those of the train sets, and `VERB`.

    These are more than the patterns of the test sets. MCD1 leaves many patterns out of both its
    sides, and these hold the very clauses that its test set has and its train set lacks
    (`VERB around DIRECTION twice`, say), so that they would give its test set away. The command of
    one word is seen, though MCD1 has none in its train set (and one in its test set): it is how an
    episode can tell a word, and without it words are learned late or never.
    """
    seen = [{pattern_of(example.source) for example in generate(split).train} for split in SPLITS]
    every = frozenset(pattern.name for pattern in patterns())
    return every - set.intersection(*seen) - {ONE_WORD}


def _clauses(name: str) -> tuple[tuple[str, int], ...]:
    if " after " in name:
        first, second = name.split(" after ")
        return (second, 2), (first, 0)
    return tuple(zip(name.split(" and "), (0, 2), strict=False))


def _is_model(command: str) -> bool:
    clauses = re.split(" and | after ", command)
    return not any(
        banned & set(clause.split()) or {"run", "jump"} & set(clause.split())
        for clause, banned in zip(clauses, _CLAUSES, strict=False)
    )

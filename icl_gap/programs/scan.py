"""What a SCAN program does: the walk of an agent over a grid.

The agent stands on a cell and faces one of four ways. `I_WALK`, `I_RUN` and `I_JUMP` take it to the
cell ahead, each in its own manner; `I_LOOK` looks from where it stands; `I_TURN_LEFT` and
`I_TURN_RIGHT` turn it a quarter. Actions may be written without their `I_`.
"""

from __future__ import annotations

from dataclasses import dataclass

Cell = tuple[int, int]
"""East and north of where the agent began."""

_QUARTERS = {"TURN_LEFT": 1, "TURN_RIGHT": -1}
_STEPS = {"WALK": 1, "RUN": 1, "JUMP": 1, "LOOK": 0}
"""How far an act takes the agent."""
_HEADINGS: tuple[Cell, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Each a quarter to the left of the one before; the agent faces the first."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that the agent did, other than turning."""

    name: str
    """Without its `I_`."""
    cell: Cell
    """Where it stood before."""
    heading: Cell


@dataclass(frozen=True, slots=True)
class Walk:
    """Where an agent went, and what it did there."""

    path: tuple[Act, ...]
    end: Cell
    heading: Cell
    """Which way it faces in the end."""


class NoActionError(Exception):
    """A word that stands for no action."""


def walk(program: str) -> Walk:
    """Follow a program; turns that undo each other, or make a whole circle, leave no trace.

    Args:
        program: Actions between white space.

    Raises:
        NoActionError: A word is none.
    """
    (east, north), facing = (0, 0), 0
    path = []
    for word in program.split():
        name = word.removeprefix("I_")
        if name in _QUARTERS:
            facing = (facing + _QUARTERS[name]) % len(_HEADINGS)
        elif name in _STEPS:
            ahead = _HEADINGS[facing]
            path.append(Act(name, (east, north), ahead))
            east, north = east + _STEPS[name] * ahead[0], north + _STEPS[name] * ahead[1]
        else:
            raise NoActionError(word)
    return Walk(tuple(path), (east, north), _HEADINGS[facing])

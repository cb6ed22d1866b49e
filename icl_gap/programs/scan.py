"""SCAN's actions, and the walk of an agent over a grid that they describe.

The agent stands on a cell and faces one of four ways. `I_WALK`, `I_RUN` and `I_JUMP` take it to the
cell ahead, each in its own manner; `I_LOOK` leaves it where it stands; `I_TURN_LEFT` and
`I_TURN_RIGHT` turn it a quarter. Actions may be written without their `I_`.
"""

from __future__ import annotations

from dataclasses import dataclass

from icl_gap.programs.language import Database, NoResultError
from icl_gap.programs.tokens import TokenSequence

Position = tuple[int, int]
"""East and north of the start."""

_QUARTERS = {"TURN_LEFT": 1, "TURN_RIGHT": -1}
_STEPS = {"WALK": 1, "RUN": 1, "JUMP": 1, "LOOK": 0}
"""Cells that an act moves the agent by."""
_HEADINGS: tuple[Position, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Each a quarter to the left of the one before; the agent faces the first."""


@dataclass(frozen=True, slots=True)
class Act:
    """Action of the agent, other than a turn."""

    name: str
    """Name without its `I_`."""
    position: Position
    """Position before the act."""
    heading: Position


@dataclass(frozen=True, slots=True)
class Walk:
    """Result of a program: the agent's acts, and where it ends up."""

    path: tuple[Act, ...]
    end: Position
    heading: Position
    """Heading at the end."""


class ScanActions(TokenSequence):
    """Sequences of SCAN's actions; equal up to spacing, run as walks."""

    name = "scan"
    execution = "run"

    def execute(
        self, program: str, database: Database | None = None, example_id: str | None = None
    ) -> Walk:
        """Run a program as `walk` does; it needs no database."""
        del database, example_id
        return walk(program)


def walk(program: str) -> Walk:
    """Follow a program; turns that undo each other, or make a whole circle, leave no trace.

    Args:
        program: Actions between white space.

    Raises:
        NoResultError: A token is not an action.
    """
    (east, north), facing = (0, 0), 0
    path = []
    for token in program.split():
        name = token.removeprefix("I_")
        if name in _QUARTERS:
            facing = (facing + _QUARTERS[name]) % len(_HEADINGS)
        elif name in _STEPS:
            ahead = _HEADINGS[facing]
            path.append(Act(name, (east, north), ahead))
            east, north = east + _STEPS[name] * ahead[0], north + _STEPS[name] * ahead[1]
        else:
            raise NoResultError(f"`{token}` is not an action")
    return Walk(tuple(path), (east, north), _HEADINGS[facing])


SCAN = ScanActions()

"""Whether two programs come to the same when they are run.

That is less than the same meaning: another program may happen to have the same answer. Of
GeoQuery's 880 gold programs 59 have an empty one, which any program without an answer matches.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import assert_never

from icl_gap.programs.faults import MalformedError
from icl_gap.programs.funql.execution import Answer, NoAnswerError, execute
from icl_gap.programs.funql.geobase import Entity, read_geobase
from icl_gap.programs.scan import NoActionError, walk
from icl_gap.schema import Execution, World

Alike = Callable[[str, str, str | None], bool | None]
"""Whether programs that differ in normal form come to the same all the same: of a prediction, its
target, and the id of the example whose placeholders they hold (None where that is not known). What
is no program is like no other. None where it cannot be known."""


_KEPT = 2000
"""Characters of the longest program whose answer is kept for others that are equal to it."""


def alike(execution: Execution | None, world: World | None) -> Alike | None:
    """How to compare what a benchmark's programs do.

    Args:
        execution: What running them comes to; None where they are not run.
        world: What they are asked of, for `geobase`.

    Returns:
        None where programs are not run, or what they are asked of is not at hand.
    """
    match execution:
        case None:
            return None
        case "canonical":
            return _by_form_alone
        case "walk":
            return _same_walk
        case "geobase":
            return None if world is None else _over(world)
        case _:
            assert_never(execution)


def _by_form_alone(_prediction: str, _target: str, _id: str | None) -> bool:
    return False


def _same_walk(prediction: str, target: str, _id: str | None) -> bool:
    try:
        return walk(prediction) == walk(target)
    except NoActionError:
        return False


def _over(world: World) -> Alike:
    """Evaluate FunQL over geobase."""
    database = read_geobase(world.facts)

    def run(program: str, example_id: str) -> Answer:
        return execute(program, database, _entities(world, example_id))

    run_once = lru_cache(maxsize=4096)(run)

    def same_answer(prediction: str, target: str, example_id: str | None) -> bool | None:
        if example_id is None or example_id not in world.mentions:
            return None
        try:
            answers = [
                (run_once if len(program) <= _KEPT else run)(program, example_id)
                for program in (prediction, target)
            ]
        except (MalformedError, NoAnswerError):
            return False
        return answers[0] == answers[1]

    return same_answer


def _entities(world: World, example_id: str) -> dict[str, Entity]:
    return {name: _entity(text) for name, text in world.mentions[example_id].items()}


def _entity(text: str) -> Entity:
    """E.g. `cityid('austin', 'tx')`."""
    kind, _, names = text.partition("(")
    listed = names.rstrip(" )").split(",")
    return (kind.strip(), *(name.strip(" '") for name in listed))

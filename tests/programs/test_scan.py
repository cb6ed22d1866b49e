"""What SCAN's programs do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.data.loaders.scan import generate_scan
from icl_gap.programs.language import NoResultError
from icl_gap.programs.scan import Act, Walk, walk

ACTIONS = ("I_WALK", "I_RUN", "I_JUMP", "I_LOOK", "I_TURN_LEFT", "I_TURN_RIGHT")
NOTHING = (
    "I_TURN_LEFT I_TURN_RIGHT",
    "I_TURN_RIGHT I_TURN_LEFT",
    " ".join(["I_TURN_LEFT"] * 4),
    " ".join(["I_TURN_RIGHT"] * 4),
)
PROGRAMS = st.lists(st.sampled_from(ACTIONS), max_size=20)


def test_an_agent_walks_looks_and_turns() -> None:
    found = walk("I_WALK I_TURN_LEFT I_RUN I_LOOK I_TURN_LEFT")
    assert found == Walk(
        path=(
            Act("WALK", (0, 0), (1, 0)),
            Act("RUN", (1, 0), (0, 1)),
            Act("LOOK", (1, 1), (0, 1)),
        ),
        end=(1, 1),
        heading=(-1, 0),
    )


@given(PROGRAMS, st.integers(0, 20), st.sampled_from(NOTHING))
def test_turns_that_come_to_nothing_leave_no_trace(
    actions: list[str], place: int, nothing: str
) -> None:
    longer = [*actions[:place], *nothing.split(), *actions[place:]]
    assert walk(" ".join(longer)) == walk(" ".join(actions))


@given(PROGRAMS, st.data())
def test_leaving_an_action_out_is_seen(actions: list[str], data: st.DataObject) -> None:
    actions = [*actions, "I_RUN"]
    gone = data.draw(st.integers(0, len(actions) - 1))
    left = [*actions[:gone], *actions[gone + 1 :]]
    assert walk(" ".join(left)) != walk(" ".join(actions))


@given(PROGRAMS)
def test_the_prefix_of_actions_may_be_left_out(actions: list[str]) -> None:
    bare = " ".join(action.removeprefix("I_") for action in actions)
    assert walk(bare) == walk(" ".join(actions))


@pytest.mark.parametrize("program", ["I_FLY", "walk", "I_WALK, I_RUN", "I_I_WALK"])
def test_another_word_is_no_action(program: str) -> None:
    with pytest.raises(NoResultError):
        walk(program)


def test_programs_of_scan_that_do_the_same_do_so_for_a_reason_that_is_known() -> None:
    """All of its programs can be followed; those alike differ in turns alone."""
    sides = generate_scan("simple", action_prefix=True)
    walks: dict[Walk, set[str]] = {}
    for example in (*sides.train, *sides.test):
        walks.setdefault(walk(example.target), set()).add(example.target)
    alike = [programs for programs in walks.values() if len(programs) > 1]
    assert alike
    for programs in alike:
        acts = {tuple(a for a in p.split() if "TURN" not in a) for p in programs}
        assert len(acts) == 1

"""Prompts, letter by letter."""

from __future__ import annotations

from icl_gap.prompts import Template, gold_with_stop, parts, render
from icl_gap.schema import Example, Exemplars

TEMPLATE = Template(instruction="Translate.", source_label="Command:", target_label="Actions:")
QUERY = Example("q", "jump twice", "JUMP JUMP")
SHOWN = (Example("a", "walk", "WALK"), Example("b", "run left", "TURN_LEFT RUN"))


def test_exemplars_stand_before_the_query_whose_target_is_empty() -> None:
    prompt = render(TEMPLATE, Exemplars(QUERY, SHOWN, (0, 0, 0)))
    assert prompt.text == (
        "Translate.\n\n"
        "Command: walk\nActions: WALK\n\n"
        "Command: run left\nActions: TURN_LEFT RUN\n\n"
        "Command: jump twice\nActions:"
    )
    assert (prompt.query_id, prompt.source, prompt.shots) == ("q", "jump twice", 2)


def test_no_shots_and_no_instruction_leave_the_query_alone() -> None:
    bare = TEMPLATE.model_copy(update={"instruction": ""})
    prompt = render(bare, Exemplars(QUERY, (), (0,)))
    assert prompt.text == "Command: jump twice\nActions:"


def test_prompt_and_answer_join_to_an_exemplar_block() -> None:
    text = render(TEMPLATE, Exemplars(QUERY, (), (0,))).text + gold_with_stop(
        TEMPLATE, QUERY.target
    )
    assert text.endswith("Command: jump twice\nActions: JUMP JUMP\n")


def test_the_hash_is_of_the_text() -> None:
    one, two = (render(TEMPLATE, Exemplars(QUERY, SHOWN[:n], (0,) * (n + 1))) for n in (1, 2))
    assert one.sha256 != two.sha256
    assert len(one.sha256) == 64


def test_without_their_sources_exemplars_are_a_list_of_answers() -> None:
    bare = TEMPLATE.model_copy(update={"exemplar_sources": False})
    exemplars = Exemplars(QUERY, SHOWN, (0, 0, 0))
    prompt = render(bare, exemplars)
    assert prompt.text == (
        "Translate.\n\nActions: WALK\n\nActions: TURN_LEFT RUN\n\nCommand: jump twice\nActions:"
    )
    assert [example.source for example in prompt.exemplars] == ["", ""]
    assert all(part.startswith(" ") for part in parts(bare, exemplars)[1:])
    none = Exemplars(QUERY, (), (0,))
    assert render(bare, none).text == render(TEMPLATE, none).text

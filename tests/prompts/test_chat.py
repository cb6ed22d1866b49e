"""Prompts as messages: the words of the text prompt, cut into turns."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from strategies import programs, words

from icl_gap.prompts import Template, chat_messages, render
from icl_gap.schema import ChatLayout, Example, Exemplars, Message

TEMPLATE = Template(instruction="Translate.", source_label="Command:", target_label="Actions:")
QUERY = Example("q", "jump twice", "JUMP JUMP")
SHOWN = (Example("a", "walk", "WALK"), Example("b", "run left", "TURN_LEFT RUN"))
DRAWN = Exemplars(QUERY, SHOWN, (0, 0, 0))


def test_exemplars_are_turns_of_user_and_assistant() -> None:
    assert chat_messages(TEMPLATE, DRAWN, ChatLayout()) == (
        Message("system", "Translate."),
        Message("user", "Command: walk\nActions:"),
        Message("assistant", "WALK"),
        Message("user", "Command: run left\nActions:"),
        Message("assistant", "TURN_LEFT RUN"),
        Message("user", "Command: jump twice\nActions:"),
    )


def test_exemplars_as_text_are_one_turn() -> None:
    layout = ChatLayout(exemplars="text", system="Be brief.")
    assert chat_messages(TEMPLATE, DRAWN, layout) == (
        Message("system", "Be brief."),
        Message(
            "user",
            "Command: walk\nActions: WALK\n\nCommand: run left\nActions: TURN_LEFT RUN\n\n"
            "Command: jump twice\nActions:",
        ),
    )


def test_an_empty_system_message_is_none() -> None:
    for layout in (ChatLayout(system=""), ChatLayout("text", " ")):
        assert chat_messages(TEMPLATE, DRAWN, layout)[0].role == "user"


def test_sources_that_stay_hidden_are_in_no_message() -> None:
    bare = TEMPLATE.model_copy(update={"exemplar_sources": False})
    assert chat_messages(bare, DRAWN, ChatLayout())[1:3] == (
        Message("user", "Actions:"),
        Message("assistant", "WALK"),
    )


@given(
    st.lists(st.tuples(words, programs), max_size=4),
    words,
    st.booleans(),
    st.sampled_from(["", "Translate."]),
)
def test_all_forms_hold_the_words_of_the_text_prompt(pairs, source, shown, instruction) -> None:
    template = TEMPLATE.model_copy(update={"exemplar_sources": shown, "instruction": instruction})
    examples = tuple(Example(str(n), *pair) for n, pair in enumerate(pairs))
    drawn = Exemplars(Example("q", source, "SECRET"), examples, (0.0,) * (len(pairs) + 1))
    text = render(template, drawn).text
    for form in ("turns", "text"):
        messages = chat_messages(template, drawn, ChatLayout(form))
        joined = ""
        for each in messages:
            before = " " if each.role == "assistant" else ""
            after = "" if each.role == "user" else "\n\n"
            joined += f"{before}{each.content}{after}"
        assert joined == text
        assert "SECRET" not in joined
        assert messages[-1].role == "user"
        assert messages[-1].content.endswith("Actions:")


def test_the_hash_of_messages_tells_roles_apart() -> None:
    prompt = render(TEMPLATE, DRAWN)
    forms = [chat_messages(TEMPLATE, DRAWN, ChatLayout(form)) for form in ("turns", "text")]
    found = {replace(prompt, messages=messages).messages_sha256 for messages in forms}
    swapped = (Message("user", "Translate."), *forms[0][1:])
    found.add(replace(prompt, messages=swapped).messages_sha256)
    assert len(found - {prompt.sha256}) == 3

"""Chat templates: the same text as `transformers` writes, and what cannot be written."""

from __future__ import annotations

from typing import Any

import pytest
from chatting import CHATML, DATED, GEMMA, LAST_TURN, LLAMA_2, PLAIN, THINKING
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from icl_gap.errors import ModelError
from icl_gap.models import ChatTemplate
from icl_gap.models.chat_template import make_chat_template
from icl_gap.schema import ChatLayout, Message

SPECIAL = {"bos_token": "<bos>", "eos_token": "<eos>"}
HELLO = (
    Message("system", "Be brief."),
    Message("user", "one"),
    Message("assistant", "1"),
    Message("user", "two"),
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zs")), min_size=1)
contents = texts.map(str.strip).filter(bool)


def made(text: str, layout: ChatLayout | None = None, **changes: Any) -> ChatTemplate:
    fields = {
        "layout": layout or ChatLayout(),
        "special_tokens": SPECIAL,
        "variables": {},
        "thinking": None,
    }
    return make_chat_template(text, **{**fields, **changes})


def as_transformers(text: str, messages: Any, **variables: Any) -> str:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE({"a": 0}, [])), **SPECIAL
    )
    written: str = tokenizer.apply_chat_template(
        [{"role": each.role, "content": each.content} for each in messages],
        chat_template=text,
        tokenize=False,
        add_generation_prompt=True,
        **variables,
    )
    return written


@pytest.mark.parametrize("text", [CHATML, LLAMA_2, THINKING, PLAIN])
@given(data=st.data())
def test_the_text_is_that_of_transformers(text: str, data: st.DataObject) -> None:
    turns = data.draw(st.lists(st.tuples(contents, contents), max_size=3))
    messages = [Message("system", data.draw(contents))] if data.draw(st.booleans()) else []
    for user, assistant in turns:
        messages += [Message("user", user), Message("assistant", assistant)]
    messages.append(Message("user", data.draw(contents)))
    assert made(text).render(messages) == as_transformers(text, messages)


ALL = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    "text",
    [
        ALL + "{{ tools is none }}{{ messages | tojson }}",
        ALL + "{% for m in messages %}{{ loop.index }}{% break %}{% endfor %}",
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
        ALL + "{{ missing_token }}{{ mood | default('x') }}",
    ],
)
def test_jinja_is_set_up_as_in_transformers(text: str) -> None:
    assert made(text).render(HELLO) == as_transformers(text, HELLO)
    variables = {"mood": "é"}
    assert made(text, variables=variables).render(HELLO) == as_transformers(
        text, HELLO, **variables
    )


def test_a_template_without_system_messages_gets_the_instruction_in_the_first_of_the_user() -> None:
    template = made(GEMMA)
    assert not template.takes_system
    merged = (Message("user", "Be brief.\n\none"), *HELLO[2:])
    assert template.render(HELLO) == as_transformers(GEMMA, merged)
    assert template.render(HELLO[1:]) == as_transformers(GEMMA, HELLO[1:])
    dropping = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    assert not made(dropping).takes_system
    assert made(dropping).render(HELLO) == "Be brief.\n\none1two"
    assert made(CHATML).takes_system


@pytest.mark.parametrize(
    ("text", "layout", "said"),
    [
        ("{% for m in %}", ChatLayout(), "cannot write a prompt"),
        ("{{ messages[9].content.strip() }}", ChatLayout(), "cannot write a prompt"),
        ("{{ messages.__class__.__mro__ }}", ChatLayout(), "leaves out|unsafe"),
        (LAST_TURN, ChatLayout(), "leaves out earlier turns"),
        ("{{ raise_exception('no such thing') }}", ChatLayout("text"), "no such thing"),
    ],
)
def test_what_cannot_be_written_is_an_error(text: str, layout: ChatLayout, said: str) -> None:
    with pytest.raises(ModelError, match=said) as found:
        made(text, layout)
    assert "chat_template" in str(found.value.within("models[0]"))


def test_exemplars_as_text_need_no_earlier_turns() -> None:
    messages = (Message("user", "one: 1, two:"),)
    assert made(LAST_TURN, ChatLayout("text")).render(messages) == "one: 1, two:</think>"


def test_no_prompt_changes_from_day_to_day() -> None:
    assert made(DATED).render(HELLO) == "26 Jul 2024\nBe brief.one1two"


@pytest.mark.parametrize(
    ("text", "expected"), [(CHATML, "2"), (LLAMA_2, " 2"), (GEMMA, "2"), (DATED, "2")]
)
def test_an_answer_follows_a_prompt_as_the_template_would_write_it(text, expected) -> None:
    template = made(text)
    assert template.continuation(HELLO, "2") == expected
    assert template.continuation(HELLO, " ") == ""


@given(turns=st.lists(st.tuples(contents, contents), max_size=3), query=contents, answer=contents)
def test_what_is_right_of_an_exemplar_is_right_of_the_query(turns, query, answer) -> None:
    messages = [m for u, a in turns for m in (Message("user", u), Message("assistant", a))]
    messages.append(Message("user", query))
    for text in (CHATML, LLAMA_2):
        template = made(text)
        right = template.render(messages) + template.continuation(messages, answer)
        later = (*messages, Message("assistant", answer), Message("user", "next"))
        assert template.render(later).startswith(right)


def test_whether_thoughts_come_first_is_seen_in_the_prompt() -> None:
    tags = ("<think>", "</think>")
    closed = CHATML.replace("assistant\\n' }}", "assistant\\n<think>\\n\\n</think>\\n\\n' }}")
    thinking = {text: made(text, thinking=tags) for text in (CHATML, THINKING, closed)}
    assert [t.continuation(HELLO, "2") for t in thinking.values()] == ["", "", "2"]
    prompts = {text: template.render(HELLO) for text, template in thinking.items()}
    assert [t.opens_thinking(prompts[text]) for text, t in thinking.items()] == [
        False,
        True,
        False,
    ]
    assert not made(THINKING).opens_thinking(prompts[THINKING])

"""Chat templates of folders, and what they change in a model's identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from chatting import CHATML, GEMMA, PLAIN, THINKING, chatting_nano

from icl_gap.errors import InputError, ModelError
from icl_gap.models import Identity, TransformersSpec, expand, identify, load_tokenizer
from icl_gap.models.family_spec import FamilySpec
from icl_gap.specs import check_spec


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chatting_nano(tmp_path_factory.mktemp("models") / "chatty")


NAMING = "{# </think> #}" + THINKING


def spec(folder: Path, **fields: Any) -> TransformersSpec:
    return check_spec({"model": str(folder), **fields}, TransformersSpec)


def identified(folder: Path, **fields: Any) -> Identity:
    return identify(spec(folder, **{"chat_template": "auto", **fields}))


def test_a_model_continues_a_text_unless_it_is_asked_to_chat(chatty, tmp_path) -> None:
    bare = identify(spec(chatty))
    assert bare.chat_template is None
    assert "chat" not in bare.key
    without = chatting_nano(tmp_path / "without", None)
    assert identify(spec(without)).key == bare.key
    assert identify(spec(without)).tokenizer == bare.tokenizer


@pytest.mark.parametrize(
    "settings",
    [
        {"chat_template": CHATML},
        {
            "chat_template": [
                {"name": "tool_use", "template": "x"},
                {"name": "default", "template": CHATML},
            ]
        },
    ],
)
def test_a_template_may_stand_in_the_settings_of_the_tokenizer(tmp_path, settings) -> None:
    folder = chatting_nano(tmp_path / "m", None, **settings)
    assert identified(folder).chat_template.text == CHATML
    (folder / "chat_template.jinja").write_text(GEMMA, encoding="utf-8")
    assert identified(folder).chat_template.text == GEMMA


def test_a_model_without_a_template_says_what_to_do(tmp_path) -> None:
    folder = chatting_nano(tmp_path / "m", None)
    with pytest.raises(ModelError, match=r"(?s)no chat template.*`chat_template: none`"):
        identified(folder)
    with pytest.raises(ModelError, match="cannot read the chat template: No such file"):
        identified(folder, chat_template=str(tmp_path / "none.jinja"))
    own = tmp_path / "own.jinja"
    own.write_text(CHATML, encoding="utf-8")
    assert identified(folder, chat_template=str(own)).chat_template.text == CHATML


@pytest.mark.parametrize(
    "change",
    [
        {"chat_template": "none"},
        {"exemplars": "text"},
        {"system": "Be brief."},
        {"system": ""},
        {"answer": "last_line"},
        {"answer": "regex", "answer_pattern": "x"},
        {"thinking": ["<think>", "</think>"]},
        {"thinking_tokens": 7},
        {"chat_template_kwargs": {"enable_thinking": False}},
    ],
)
def test_every_option_of_a_chat_changes_the_key(chatty, change) -> None:
    one, other = identified(chatty), identified(chatty, **change)
    assert one.key != other.key
    assert one.tokenizer != other.tokenizer
    assert json.loads(json.dumps(other.key)) == other.key


def test_the_text_of_the_template_is_in_the_key_and_its_place_is_not(chatty, tmp_path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text(PLAIN, encoding="utf-8")
    assert identified(chatty, chat_template=str(own)).key == identified(chatty).key
    own.write_text(PLAIN + " ", encoding="utf-8")
    assert identified(chatty, chat_template=str(own)).key != identified(chatty).key
    moved = chatting_nano(tmp_path / "moved", PLAIN)
    assert identified(moved).key == identified(chatty).key


@pytest.mark.parametrize(
    ("template", "fields", "thinking", "tokens"),
    [
        (PLAIN, {}, None, 0),
        (PLAIN, {"thinking_tokens": 9}, None, 9),
        (NAMING, {}, ("<think>", "</think>"), 4096),
        (NAMING, {"thinking": "none"}, None, 0),
        (THINKING + "</think>", {}, ("<think>", "</think>"), 0),
        (PLAIN, {"thinking": ["[a]", "[z]"]}, ("[a]", "[z]"), 4096),
        (PLAIN, {"thinking": ["[a]", "[z]"], "thinking_tokens": 5}, ("[a]", "[z]"), 5),
    ],
)
def test_room_to_think_is_there_where_the_model_thinks(
    tmp_path, template, fields, thinking, tokens
) -> None:
    found = identified(chatting_nano(tmp_path / "m", template), **fields).chat_template
    assert (found.thinking, found.thinking_tokens) == (thinking, tokens)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"exemplars": "text"}, "`exemplars` is for a chat: set `chat_template: auto`"),
        ({"thinking_tokens": 5}, "`thinking_tokens` is for a chat"),
        ({"chat_template": "auto", "bos": "always"}, "leave `bos` out"),
        ({"chat_template": "auto", "answer": "regex"}, "need each other"),
        ({"chat_template": "auto", "thinking": ["a"]}, "thinking"),
        ({"chat_template": "auto", "chat_template_kwargs": {"messages": []}}, "messages cannot be"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(chatty, fields, problem) -> None:
    with pytest.raises(InputError, match=problem):
        spec(chatty, **fields)


def test_families_that_are_tuned_to_chat_do_so() -> None:
    def models(**fields: Any) -> list[Any]:
        return [*expand(check_spec({"kind": "zoo", **fields}, FamilySpec))]

    assert {each.chat_template for each in models(family="olmo-2-instruct")} == {"auto"}
    assert {each.chat_template for each in models(family="opt")} == {"none"}
    (alone,) = models(family="qwen-3", sizes=["0.6b"], chat_template="none")
    assert alone.chat_template == "none"


def test_the_end_of_a_message_ends_a_response(tmp_path) -> None:
    ends = {}
    for name, template in {
        "special": PLAIN.replace("\\n\\n' }}{% else", "<unk>\\n' }}{% else"),
        "plain": PLAIN,
    }.items():
        folder = chatting_nano(tmp_path / name, template)
        tokenizer = load_tokenizer(spec(folder, chat_template="auto"), identified(folder))
        ends[name] = tokenizer.eos
    assert ends == {"special": {0, 1, 14}, "plain": {1, 14}}


def test_tokens_of_the_template_are_special_and_bos_comes_once(tmp_path) -> None:
    folder = chatting_nano(tmp_path / "m", "{{ bos_token }}" + PLAIN)
    identity = identified(folder)
    tokenizer = load_tokenizer(spec(folder, chat_template="auto"), identity)
    ids = tokenizer.encode_prompt("</s>Command: walk")
    assert ids.count(1) == 1
    assert ids[0] == 1
    assert len(ids) == tokenizer.prompt_length("</s>Command: walk")

"""Bodies of chat responses, in the shapes of servers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models.reasoning import split_reasoning
from icl_gap.models.server.chat_responses import read_chat_body
from icl_gap.models.server.responses import BodyError


def body(finish_reason: str = "stop", **message: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}}
    return json.dumps({"choices": [{**choice, "finish_reason": finish_reason}]}).encode()


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": " A"}, " A", None),
        ({"content": ""}, "", None),
        ({"content": "A", "reasoning_content": "hm"}, "A", "hm"),
        ({"content": "A", "reasoning": "hm"}, "A", "hm"),
        ({"content": "A", "reasoning_content": None, "refusal": None}, "A", None),
        ({"content": None, "reasoning_content": "hm"}, "", "hm"),
        ({"content": "<think>\nhm\n</think>\n\nA"}, "A", "hm"),
        ({"content": "hm</think>A"}, "A", "hm"),
        ({"content": "<think>hm"}, "", "hm"),
        ({"content": "<think></think>A"}, "A", ""),
        ({"content": None, "refusal": "I can't help."}, "I can't help.", None),
        ({"content": [{"type": "text", "text": "A"}, {"type": "image"}]}, "A", None),
        ({"content": "A", "tool_calls": []}, "A", None),
    ],
)
def test_a_message_is_read_in_any_usual_shape(message, text, reasoning) -> None:
    found = read_chat_body(body(**message))
    assert (found.text, found.reasoning, found.finish_reason) == (text, reasoning, "stop")


def test_a_cut_response_may_have_no_content() -> None:
    assert read_chat_body(body("length", content=None)).text == ""


@pytest.mark.parametrize(
    ("content", "reason", "final"),
    [
        (body(content=None, tool_calls=[{"type": "function"}]), "calls a tool", True),
        (body("tool_calls", content="", tool_calls=[{}]), "calls a tool", True),
        (body("function_call", content=None, function_call={"name": "f"}), "calls a tool", True),
        (body("content_filter", content=""), "finish_reason is 'content_filter'", True),
        (body(content=None), "lacks a content", False),
        (b'{"choices": []}', "lacks one choice", False),
        (b'{"choices": [{"text": "A", "finish_reason": "stop"}]}', "lacks one choice", False),
        (b'{"error": {"message": "overloaded"}}', "it is an error", False),
        (b"<html>", "not JSON", False),
    ],
)
def test_what_is_no_response_is_a_failure(content, reason, final) -> None:
    with pytest.raises(BodyError, match=reason) as raised:
        read_chat_body(content)
    assert raised.value.final == final


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "finish_reason", "usage", "error"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_a_response_or_a_failure(value) -> None:
    try:
        found = read_chat_body(json.dumps(value).encode())
    except BodyError:
        return
    assert isinstance(found.text, str)


@given(JSON)
def test_any_message_is_a_response_or_a_failure(value) -> None:
    message = value if isinstance(value, dict) else {"content": value, "reasoning": value}
    try:
        found = read_chat_body(body(**message))
    except BodyError:
        return
    assert found.reasoning is None or isinstance(found.reasoning, str)


PLAIN = st.text(st.characters(exclude_characters="<>"), max_size=20)


@given(PLAIN, PLAIN, st.sampled_from(["think", "THINK", "thinking", "thought"]))
def test_reasoning_between_tags_is_set_apart(reasoning, answer, tag) -> None:
    found, thought = split_reasoning(f"<{tag}>{reasoning}</{tag}>{answer}")
    assert (found, thought) == (answer.lstrip(), reasoning.strip())
    assert split_reasoning(answer) == (answer, None)

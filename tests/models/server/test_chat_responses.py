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
from icl_gap.schema import Usage


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
        ({"content": [{"type": "text", "text": "A"}, {"type": "image"}]}, "A", None),
        ({"content": "A", "tool_calls": []}, "A", None),
    ],
)
def test_a_message_is_read_in_any_usual_shape(message, text, reasoning) -> None:
    found = read_chat_body(body(**message))
    assert (found.text, found.reasoning, found.finish_reason) == (text, reasoning, "stop")


@pytest.mark.parametrize(
    ("usage", "found"),
    [
        ({}, Usage(7, 30)),
        ({"completion_tokens_details": {"reasoning_tokens": 20}}, Usage(7, 30, 20)),
        ({"completion_tokens_details": None, "reasoning_tokens": 20}, Usage(7, 30, 20)),
        ({"completion_tokens_details": {"reasoning_tokens": 0}}, Usage(7, 30, 0)),
        # Counted beside the answer: the total says so, or they are more than the response.
        ({"reasoning_tokens": 20, "total_tokens": 57}, Usage(7, 50, 20)),
        ({"reasoning_tokens": 20, "total_tokens": 37}, Usage(7, 30, 20)),
        ({"reasoning_tokens": 40}, Usage(7, 70, 40)),
        ({"prompt_tokens_details": {"cached_tokens": 4}}, Usage(7, 30, None, 4)),
        # A detail that cannot be read fails no response.
        ({"completion_tokens_details": {"reasoning_tokens": -1}}, Usage(7, 30)),
        ({"completion_tokens_details": [3], "reasoning_tokens": "x"}, Usage(7, 30)),
    ],
)
def test_tokens_of_thinking_are_part_of_those_of_the_response(usage, found) -> None:
    counts = {"prompt_tokens": 7, "completion_tokens": 30, **usage}
    content = json.loads(body(content="A")) | {"usage": counts}
    assert read_chat_body(json.dumps(content).encode()).usage == found


@given(
    prompt=st.integers(0, 99),
    answer=st.integers(0, 99),
    thought=st.integers(0, 99),
    beside=st.booleans(),
)
def test_both_ways_to_count_thinking_come_to_the_same(prompt, answer, thought, beside) -> None:
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": answer if beside else answer + thought,
        "total_tokens": prompt + answer + thought,
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    content = json.loads(body(content="A")) | {"usage": counts}
    found = read_chat_body(json.dumps(content).encode()).usage
    assert found == Usage(prompt, answer + thought, thought)


def test_a_cut_response_may_have_no_content() -> None:
    assert read_chat_body(body("length", content=None)).text == ""


@pytest.mark.parametrize(
    ("message", "end", "text", "withheld"),
    [
        ({"content": None, "refusal": "I can't help."}, "stop", "I can't help.", "refused"),
        ({"content": "", "refusal": "No."}, "stop", "No.", "refused"),
        ({"refusal": "No."}, "stop", "No.", "refused"),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop", "No.", "refused"),
        ({"content": None, "refusal": "No", "reasoning": "hm"}, "length", "No", "refused"),
        ({"content": "A", "refusal": None}, "stop", "A", None),
        ({"content": "A", "refusal": ""}, "stop", "A", None),
        ({"content": "A", "refusal": "No."}, "stop", "A", None),
        ({"content": ""}, "content_filter", "", "filtered"),
        ({"content": None}, "content_filter", "", "filtered"),
        ({"content": "A 1 then"}, "content_filter", "A 1 then", "filtered"),
        ({"content": None, "refusal": "No."}, "content_filter", "No.", "filtered"),
    ],
)
def test_a_refusal_and_a_filter_are_responses_and_no_answers(message, end, text, withheld) -> None:
    found = read_chat_body(body(end, **message))
    assert (found.text, found.withheld) == (text, withheld)


def recorded(content: str, end: str, new: int, thinking: int) -> bytes:
    """A chat response as OpenAI's reasoning models send it."""
    message = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    usage = {
        "prompt_tokens": 31,
        "completion_tokens": new,
        "total_tokens": 31 + new,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": thinking,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    choice = {"index": 0, "message": message, "finish_reason": end, "logprobs": None}
    whole = {
        "id": "chatcmpl-CZ1",
        "object": "chat.completion",
        "created": 1764460800,
        "model": "o4-mini-2025-04-16",
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": None,
    }
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("content", "end", "new", "thinking"),
    [("A 1", "stop", 200, 192), ("", "length", 4096, 4096), ("", "stop", 64, 64)],
)
def test_thinking_that_is_counted_and_not_shown_is_no_answer(content, end, new, thinking) -> None:
    found = read_chat_body(recorded(content, end, new, thinking))
    assert (found.text, found.finish_reason, found.reasoning) == (content, end, None)
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (31, new)
    assert (found.model, found.withheld) == ("o4-mini-2025-04-16", None)


@pytest.mark.parametrize(
    ("content", "reason", "final"),
    [
        (body(content=None, tool_calls=[{"type": "function"}]), "calls a tool", True),
        (body("tool_calls", content="", tool_calls=[{}]), "calls a tool", True),
        (body("function_call", content=None, function_call={"name": "f"}), "calls a tool", True),
        (body("abort", content=""), "finish_reason is 'abort'", True),
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

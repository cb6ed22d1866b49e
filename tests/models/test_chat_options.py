"""Options of a chat: what fits together, and what stands in the key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from icl_gap.errors import InputError
from icl_gap.models import OpenAISpec, identify
from icl_gap.schema import ChatLayout
from icl_gap.specs import check_spec


def spec(**fields: Any) -> OpenAISpec:
    return check_spec(
        {"kind": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", **fields}, OpenAISpec
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"api": "completions", "system": "Be brief."}, "`system` is for a chat"),
        ({"api": "completions", "answer": "last_line"}, "`answer` is for a chat"),
        ({"answer": "regex"}, "need each other"),
        ({"answer_pattern": "x"}, "need each other"),
        ({"answer": "regex", "answer_pattern": "("}, "not a regular expression"),
        ({"extra_body": {"temperature": 1, "top_k": 1}}, "temperature cannot be set here"),
        ({"extra_body": {"messages": []}}, "messages cannot be set here"),
        ({"thinking_tokens": -1}, "thinking_tokens"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields, problem) -> None:
    with pytest.raises(InputError, match=problem):
        spec(**fields)


def test_a_model_keeps_the_key_that_it_had_before_there_were_chats() -> None:
    before = {"kind", "model", "base_url", "tokenizer", "context_length", "logprobs"}
    for fields in ({}, {"api": "completions"}, {"exemplars": "turns", "thinking_tokens": 4096}):
        assert identify(spec(**fields)).key.keys() == before


@pytest.mark.parametrize(
    "change",
    [
        {"api": "chat"},
        {"exemplars": "text"},
        {"system": ""},
        {"answer": "fenced"},
        {"answer": "first_line"},
        {"answer": "regex", "answer_pattern": "x"},
        {"thinking_tokens": 0},
        {"max_completion_tokens": 9},
        {"reasoning_effort": "low"},
        {"seed": 0},
        {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}},
    ],
)
def test_each_option_that_can_change_a_response_is_in_the_key(change) -> None:
    plain, changed = identify(spec()).key, identify(spec(**change)).key
    assert plain != changed
    assert json.loads(json.dumps(changed)) == changed


def test_messages_have_a_layout_unless_there_are_none() -> None:
    assert spec(api="completions").chat_layout is None
    assert spec().chat_layout == ChatLayout()
    assert spec(exemplars="text", system="s").chat_layout == ChatLayout("text", "s")

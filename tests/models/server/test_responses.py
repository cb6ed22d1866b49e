"""What is read out of a server's bodies, without a server."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.models import OpenAISpec, Request, TransformersSpec, identify, load_tokenizer
from icl_gap.models.server.failures import retry_after
from icl_gap.models.server.logprobs import GoldToken, read_gold_tokens, score_gold
from icl_gap.models.server.responses import BodyError, RawCompletion, read_body, read_response
from icl_gap.schema import Completion, Divergence, Prompt
from icl_gap.specs import check_spec

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "text", "finish_reason", "usage", "logprobs", "tokens", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_an_answer_or_a_fault(value) -> None:
    try:
        served = read_body(json.dumps(value).encode())
    except BodyError:
        return
    assert isinstance(served.text, str)


@given(st.binary())
def test_any_bytes_are_no_answer(content) -> None:
    with pytest.raises(BodyError):
        read_body(content)


def test_depth_is_no_crash() -> None:
    with pytest.raises(BodyError):
        read_body(b"[" * 100_000)


@given(JSON, st.sampled_from(["echo", "prompt_logprobs"]))
def test_log_probabilities_in_any_shape_are_read_or_left(value, mode) -> None:
    choice = value if isinstance(value, dict) else {"logprobs": value, "prompt_logprobs": value}
    assert read_gold_tokens(mode, RawCompletion("", "stop", None, choice), " A") is None


def body(**choice: Any) -> bytes:
    return json.dumps({"choices": [{"text": " A", "finish_reason": "stop", **choice}]}).encode()


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({}, "stop"),
        ({"stop_reason": None}, "eos"),
        ({"stop_reason": 2}, "eos"),
        ({"stop_reason": "\n"}, "stop"),
        ({"finish_reason": "length", "stop_reason": None}, "length"),
    ],
)
def test_eos_is_known_where_the_server_tells_it(choice, reason) -> None:
    assert read_body(body(**choice)).finish_reason == reason


def request(gold: str = " A B", **more: Any) -> Request:
    return Request(Prompt("q", "", (), "Q:"), gold, "\n", 12, **more)


@pytest.mark.parametrize(
    ("text", "served", "completion"),
    [
        (" A B", "stop", Completion(" A B", "stop")),
        (" A B\nQ: more", "length", Completion(" A B", "stop")),
        ("", "stop", Completion("", "stop")),
        (" A", "eos", Completion(" A", "eos")),
        (" A", "length", Completion(" A", "length")),
        (" A B C D E F G\n", "stop", Completion(" A B C D E F ", "length")),
    ],
)
def test_an_answer_ends_where_a_local_one_does(text, served, completion) -> None:
    found, _ = read_response(RawCompletion(text, served, None, {}), request(), None)
    assert found == completion


def test_an_answer_that_runs_on_ends_with_the_token_that_is_too_much() -> None:
    """As a local model's does, though the server wrote on and its text is cut before it is read."""
    spec = TransformersSpec(model="nano-codegen-m")
    tokenizer = load_tokenizer(spec, identify(spec))
    text = " JUMP" * 400 + " WALK"
    found, _ = read_response(
        RawCompletion(text, "length", None, {}), request(" JUMP WALK"), tokenizer
    )
    assert found == Completion(" JUMP JUMP JUMP", "length")
    unknown = " JUMP JUMP JU"
    found, _ = read_response(
        RawCompletion(unknown, "length", None, {}), request(" JUMP WALK"), tokenizer
    )
    assert found == Completion(unknown, "length")


def cut(text: str) -> RawCompletion:
    return RawCompletion(text, "length", None, {})


def forced(*tokens: tuple[str, str]) -> list[GoldToken]:
    return [GoldToken(text, -0.5, best, text == best) for text, best in tokens]


RIGHT = forced((" A", " A"), (" B", " B"))
WRONG = forced((" A", " A"), (" B", " C"))


@pytest.mark.parametrize(
    ("tokens", "after", "eos", "text"),
    [
        (RIGHT, "\n", False, " A B"),
        (RIGHT, "\n\nQ:", False, " A B"),
        (RIGHT, "", True, " A B"),
        (forced((" A", "\n"), (" B", " B")), "", False, ""),
    ],
)
def test_a_forced_answer_that_ends_is_known_whole(tokens, after, eos, text) -> None:
    score = score_gold(request(), tokens, after, eos=eos)
    assert score.response.completion.text == text
    assert (score.response.divergence is None) == (text == " A B")
    assert score.gold_logprob == -0.5


def test_a_forced_answer_that_is_wrong_for_good_is_not_followed() -> None:
    score = score_gold(request(), WRONG, "\n", eos=False)
    assert score.response.completion is None
    assert score.response.divergence == Divergence(1, " B", " C", " A")
    longer = score_gold(request(), RIGHT, " C", eos=False)
    assert longer.response.divergence == Divergence(2, None, " C", " A B")


@pytest.mark.parametrize(
    ("tokens", "after", "more"),
    [
        (forced((" A", " A"), (" B", " ")), "\n", {}),  # the same text in other tokens
        (RIGHT, " ", {}),  # white space around an answer does not count
        (forced((" A", " A"), (" B", "")), "\n", {}),  # EOS, perhaps
        (forced((" A", " A"), (" B", "</s>")), "\n", {}),
        (forced((" A", " A"), (" B", "\ufffd")), "\n", {}),  # a part of a character
        (WRONG, "\n", {"can_still_match": lambda text: text == " A C"}),  # an equivalent program
    ],
)
def test_a_forced_answer_that_may_still_be_right_is_decoded(tokens, after, more) -> None:
    assert score_gold(request(**more), tokens, after, eos=False).response is None


def test_tokens_that_do_not_begin_with_the_gold_answer_tell_nothing() -> None:
    logprobs = {
        "tokens": ["Q", ": A", " B", "\n"],
        "token_logprobs": [None, -1.0, -1.0, -1.0],
        "top_logprobs": [None, {": A": -1.0}, {" B": -1.0}, {"\n": -1.0}],
    }
    served = RawCompletion("", "stop", None, {"logprobs": logprobs})
    assert read_gold_tokens("echo", served, " A B") is None
    assert [token.text for token in read_gold_tokens("echo", served, " B")] == [" B"]


@pytest.mark.parametrize("value", ["3", " 3 "])
def test_seconds_to_wait(value) -> None:
    assert retry_after({"retry-after": value}) == 3.0


def test_a_date_to_wait_for() -> None:
    assert 50 < retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)}) < 61
    assert retry_after({"retry-after": formatdate(0, usegmt=True)}) == 0.0


@given(st.text())
def test_what_is_no_time_is_left(value) -> None:
    found = retry_after({"retry-after": value})
    assert found is None or found >= 0


def test_a_cost_needs_a_price() -> None:
    with pytest.raises(Exception, match="max_cost needs"):
        check_spec({"kind": "openai", "model": "m", "max_cost": 1}, OpenAISpec)

"""What a server sends that looks like a verdict or an answer, and is none."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scoring_servers import MadeUpScores, Row, echoed
from serving import Connection, serving

from icl_gap.errors import InferenceError, InputError, ModelError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.models import Model, OpenAISpec, Request, identify, load_model
from icl_gap.schema import Prompt, Response
from icl_gap.specs import check_spec

PROMPT, GOLD = "Say\nAnswer:", " a b"
REQUEST = Request(Prompt("q", "", (), PROMPT), GOLD, "\n", 40)
PRICE = {"prompt": 1.0, "completion": 1.0}


def model(url: str, **fields: Any) -> Model:
    entry = {"kind": "openai", "model": "m", "base_url": url, "api": "completions", **fields}
    spec = OpenAISpec.model_validate(entry)
    return load_model(spec, identify(spec))


def echoing(tokens: list[tuple[str, float, dict[str, float]]], *, before: str = "") -> Any:
    """A server that echoes the prompt with these tokens of the gold answer, and decodes ` x`."""
    probed = MadeUpScores(echoed)

    def answer(connection: Connection, body: dict[str, Any]) -> None:
        if PROMPT not in body["prompt"]:
            probed(connection, body)
            return
        if not body.get("echo"):
            connection.send_text(" a b\n" if body["prompt"] == PROMPT else " x\n")
            return
        head = [(before + PROMPT, None, None)]
        texts, logprobs, top = zip(*head, *tokens, ("\n", -0.1, {"\n": -0.1}), strict=True)
        found = {"tokens": texts, "token_logprobs": logprobs, "top_logprobs": top}
        text = before + body["prompt"] + "\n"
        choice = {"index": 0, "text": text, "finish_reason": "length", "logprobs": found}
        usage = {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8}
        connection.send_json({"choices": [choice], "usage": usage})

    return answer


SURE = [(" a", -0.1, {" a": -0.1}), (" b", -0.1, {" b": -0.1})]


@pytest.mark.parametrize(
    ("tokens", "before", "sent"),
    [
        (SURE, "", 1),
        (SURE, "<s>", 2),
        ([SURE[0], (" b", -0.7, {" c": -0.7})], "", 2),
    ],
    ids=["sure", "another echo", "a tie"],
)
def test_what_is_in_doubt_is_decoded(tokens, before, sent) -> None:
    with serving(echoing(tokens, before=before)) as server:
        ((_, outcome),) = model(server.url, logprobs="echo").respond([REQUEST])
        assert isinstance(outcome, Response)
        assert outcome.completion is not None
        assert outcome.completion.text == GOLD
        assert outcome.gold_logprob is None or math.isfinite(outcome.gold_logprob)
        assert len([body for body in server.bodies if PROMPT in body["prompt"]]) == sent


@pytest.mark.parametrize(
    ("own", "rival"),
    [
        (math.nan, math.nan),
        (-math.inf, -0.1),
        (math.inf, -0.1),
        (-0.1, math.nan),
        (0.01, -0.1),
        (-0.1, 2e-6),
    ],
)
def test_a_log_probability_that_is_none_fails_the_request(own, rival) -> None:
    with serving(echoing([SURE[0], (" b", own, {" c": rival})])) as server:
        ((_, outcome),) = model(server.url, logprobs="echo").respond([REQUEST])
        assert len([body for body in server.bodies if PROMPT in body["prompt"]]) == 1
    assert isinstance(outcome, InferenceError)
    assert "log-probability" in str(outcome)
    assert "a finite number, at most 0" in str(outcome)


def test_a_log_probability_that_rounding_has_lifted_above_0_counts_as_0() -> None:
    with serving(echoing([(" a b", 5e-7, {" a b": 5e-7})])) as server:
        ((_, outcome),) = model(server.url, logprobs="echo").respond([REQUEST])
    assert isinstance(outcome, Response)
    assert outcome.gold_logprob == 0.0


def test_a_server_whose_log_probabilities_are_none_fails_its_model() -> None:
    def broken(rows: list[Row], *_: object) -> list[Row]:
        return [(token, math.nan, *best) for token, _, *best in rows]

    with (
        serving(MadeUpScores(echoed, broken)) as server,
        pytest.raises(ModelError, match="the log-probability nan"),
    ):
        model(server.url)


@pytest.mark.parametrize(("text", "tokens"), [("", 0), (" a", 2), ("", None)])
def test_an_answer_that_the_server_cut_short_is_a_failure(text, tokens) -> None:
    def answer(connection: Connection, _: dict[str, Any]) -> None:
        usage = None if tokens is None else {"prompt_tokens": 7, "completion_tokens": tokens}
        choice = {"index": 0, "text": text, "finish_reason": "length"}
        connection.send_json({"choices": [choice], "usage": usage})

    with serving(answer) as server:
        ((_, outcome),) = model(server.url, logprobs="none").respond([REQUEST])
    assert isinstance(outcome, InferenceError)
    assert "cut the response short" in str(outcome)


def test_what_comes_back_unusable_is_paid_and_a_filter_is_final() -> None:
    def answer(connection: Connection, _: dict[str, Any]) -> None:
        choice = {"index": 0, "text": "", "finish_reason": "content_filter"}
        usage = {"prompt_tokens": 600_000, "completion_tokens": 0}
        connection.send_json({"choices": [choice], "usage": usage})

    requests = [Request(Prompt(str(n), "", (), f"Q{n}"), " a", "\n", 40) for n in range(6)]
    with serving(answer) as server:
        guarded = model(server.url, logprobs="none", concurrency=1, price=PRICE, max_cost=1.0)
        outcomes = [str(outcome) for _, outcome in guarded.respond(requests)]
        assert len(server.bodies) == 2
    assert sum("content_filter" in each for each in outcomes) == 2
    assert sum("max_cost" in each for each in outcomes) == 4


def test_a_server_that_falls_over_the_question_for_log_probabilities_is_decoded() -> None:
    def answer(connection: Connection, body: dict[str, Any]) -> None:
        if "stop" in body:
            connection.send_text(" a b\n")
        else:
            connection.send(500, b"no")

    with serving(answer) as server:
        ((_, outcome),) = model(server.url, max_attempts=1).respond([REQUEST])
    assert isinstance(outcome, Response)


@pytest.mark.parametrize(
    "url", ["http://[bad/v1", "http://localhost:abc/v1", "http://h:99999/v1", "http:///v1"]
)
def test_what_is_no_address_is_refused_where_it_stands(url) -> None:
    fields = {"name": "s", "datasets": ["scan"], "models": [{"kind": "openai", "model": "m"}]}
    fields["models"][0]["base_url"] = url
    with pytest.raises(InputError, match="not an address") as caught:
        check_spec(fields, SweepSpec)
    assert caught.value.place.key == "models[0].base_url"


def test_an_address_that_nothing_is_at_fails_its_model_alone() -> None:
    with pytest.raises(ModelError, match="m does not respond"):
        model("http://127.0.0.1:9/v1", timeout=1)

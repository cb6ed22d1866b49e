"""Servers that send on, contradict themselves, or never end: each is told, and none is scored."""

from __future__ import annotations

import gzip
import math
import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import Connection, bomb, serving
from toys import sweep

from icl_gap.errors import InferenceError, InputError, ModelError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Model, OpenAISpec, Request, identify, load_model
from icl_gap.models.server.budget import Budget
from icl_gap.models.server.plausible import most_usage
from icl_gap.models.server.transport import MOST_BYTES
from icl_gap.schema import Prompt, Response, Usage
from icl_gap.specs import check_spec

REQUEST = Request(Prompt("q", "", (), "Say\nAnswer:"), " a b", "\n", 40)
PRICE = {"prompt": 1_000_000, "completion": 1_000_000}  # a dollar a token


def spec(url: str, **fields: Any) -> OpenAISpec:
    chosen = {
        "kind": "openai",
        "model": "m",
        "base_url": url,
        "api": "completions",
        "logprobs": "none",
        "max_attempts": 1,
    }
    return check_spec({**chosen, **fields}, OpenAISpec)


def model(url: str, **fields: Any) -> Model:
    one = spec(url, **fields)
    return load_model(one, identify(one))


def ask(answer: Any, **fields: Any) -> Response | InferenceError:
    with serving(answer) as server:
        ((_, outcome),) = model(server.url, **fields).respond([REQUEST])
    assert isinstance(outcome, Response | InferenceError)
    return outcome


def reason(answer: Any, **fields: Any) -> str:
    outcome = ask(answer, **fields)
    assert isinstance(outcome, InferenceError)
    return str(outcome)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_told_and_nothing_goes_there(status, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-tests-alone")
    with serving(lambda c, _: c.send_text(" a b")) as elsewhere:
        target = f"{elsewhere.url}/completions"
        said = reason(lambda c, _: c.send(status, b"", location=target))
        assert elsewhere.bodies == []
        assert elsewhere.headers == []
    assert f"status {status}: the server redirects to {elsewhere.url}, " in said
    assert f"if you trust it, put it in the model's entry: `base_url: {elsewhere.url}`" in said


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ({"location": "/v2/completions"}, "/v2`"),
        ({"location": "//example.invalid/v1/completions"}, "`base_url: http://example.invalid/v1`"),
        ({}, "without saying where to"),
        ({"location": "http://h/" + "x" * 9000}, "…"),
        ({"location": "http://h/\x1b[2J"}, ""),
        ({"location": "http://[bad"}, ""),
    ],
)
def test_whatever_a_redirect_names_is_no_answer(location, shown) -> None:
    said = reason(lambda c, _: c.send(307, b"", **location))
    assert shown in said
    assert len(said) < 700
    assert said.isprintable()


def test_a_server_that_redirects_all_fails_its_model() -> None:
    with (
        serving(lambda c, _: c.send(308, b"", location="https://example.invalid/v1")) as server,
        pytest.raises(ModelError, match=re.escape("`base_url: https://example.invalid/v1`")),
    ):
        model(server.url, logprobs="auto")


@pytest.mark.parametrize("error", [{"message": "overloaded"}, "overloaded", ["overloaded"]])
def test_an_error_beside_an_answer_is_an_error(error) -> None:
    assert "overloaded" in reason(lambda c, _: c.send_text(" a b", error=error))
    choice = {"text": " a b", "finish_reason": "stop", "error": error}
    assert "overloaded" in reason(lambda c, _: c.send_json({"choices": [choice]}))


def test_no_error_beside_an_answer_is_none() -> None:
    outcome = ask(lambda c, _: c.send_text(" a b", error=None))
    assert isinstance(outcome, Response)


@pytest.mark.parametrize(
    ("requested", "alias", "served"),
    [
        ("gpt-4o", (), "gpt-4o"),
        ("gpt-4o", (), None),
        ("gpt-4o", (), "gpt-4o@main"),
        ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("gpt-4o", ["x", "gpt-4o-2024-08-06"], "gpt-4o-2024-08-06"),
    ],
)
def test_the_model_that_responds_is_the_one_that_was_requested(requested, alias, served) -> None:
    more = {} if served is None else {"model": served}
    outcome = ask(lambda c, _: c.send_text(" a b", **more), model=requested, model_alias=alias)
    assert isinstance(outcome, Response)
    assert outcome.served_model == served


def test_records_hold_the_name_of_the_model_that_answered(toy_card, tmp_path) -> None:
    with serving(lambda c, _: c.send_text(" A 1", model="m-2024")) as server:
        one = {"kind": "openai", "model": "m", "base_url": server.url, "model_alias": "m-2024"}
        plan = sweep(toy_card, models=[one], seeds=[0], limit=2)
        results = evaluate_sweep(plan, tmp_path / "out")
    assert {record.served_model for cell in results for record in cell.records} == {"m-2024"}
    assert set(results.frame().served_model) == {"m-2024"}


@pytest.mark.parametrize("served", ["gpt-4o-2024-08-06", "gpt-4", "gpt-4o@dev"])
def test_another_model_is_a_failure_that_names_the_way_out(served) -> None:
    said = reason(lambda c, _: c.send_text(" a b", model=served), model="gpt-4o")
    assert f"the model {served} responded, where gpt-4o was requested" in said
    assert said.endswith(f"`model_alias: {served}`")


@pytest.mark.parametrize("served", [7, ["m"], {"id": "m"}, True])
def test_a_model_that_is_no_name_is_a_failure(served) -> None:
    assert "its model is not a name" in reason(lambda c, _: c.send_text(" a b", model=served))


def test_a_name_of_any_length_and_kind_leaves_the_way_out_to_be_read() -> None:
    said = reason(lambda c, _: c.send_text(" a b", model="\x1b[2J" + "y" * 5000), model="z" * 5000)
    assert said.endswith("`")
    assert "`model_alias: " in said
    assert said.isprintable()
    assert len(said) < 6000


def test_another_model_fails_the_model_where_it_is_probed() -> None:
    with (
        serving(lambda c, _: c.send_text(" a b", model="another")) as server,
        pytest.raises(ModelError, match="`model_alias: another`"),
    ):
        model(server.url, logprobs="auto")


def test_aliases_and_plain_http_are_no_part_of_who_a_model_is() -> None:
    url = "http://127.0.0.1:1/v1"
    plain = identify(spec(url))
    more = identify(spec(url, model_alias=["a", "b"], allow_plain_http=True))
    assert more.key == plain.key
    assert set(plain.key) == {
        "kind", "model", "base_url", "tokenizer", "context_length", "logprobs",
    }  # fmt: skip


@pytest.mark.parametrize("alias", ["", [""], 3, {"a": "b"}])
def test_an_alias_is_a_name_or_a_list_of_names(alias) -> None:
    with pytest.raises(InputError, match="model_alias"):
        spec("http://127.0.0.1:1/v1", model_alias=alias)


@pytest.mark.parametrize("text", [" a", " a b\nQ:", "x" * 300])
def test_an_answer_that_ends_before_the_bound_it_is_said_to_reach_is_a_failure(text) -> None:
    said = reason(lambda c, _: c.send_text(text, finish_reason="length"))
    assert "the server cut the response short, after 3 of 42 tokens" in said


def usage(prompt: object, completion: object) -> dict[str, object]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


ABSURD = [
    usage(-1, 3), usage(7, -3), usage(True, 3), usage(7, False), usage(7.0, 3), usage("7", 3),
    usage(math.nan, 3), usage(7, math.inf), usage([7], 3), usage(7, 43), usage(10**6, 3),
    usage(10**400, 3), usage(7, 10**400), usage(-(10**400), 3), "seven", [7], True,
]  # fmt: skip


@pytest.mark.parametrize("found", ABSURD, ids=str)
def test_a_usage_that_cannot_be_is_a_failure_and_lowers_no_cost(found) -> None:
    one = spec("http://127.0.0.1:1/v1", price=PRICE, max_cost=30, concurrency=1)
    requests = [Request(Prompt(str(n), "", (), f"Q{n}"), " a", "\n", 20) for n in range(5)]
    with serving(lambda c, _: c.send_text(" a", usage=found)) as server:
        guarded = load_model(one.model_copy(update={"base_url": server.url}), identify(one))
        outcomes = [str(outcome) for _, outcome in guarded.respond(requests)]
        assert 1 <= len(server.bodies) <= 3, "what cannot be read costs the most that can be"
    assert sum("usage" in each for each in outcomes) == len(server.bodies)
    assert sum("max_cost" in each for each in outcomes) == 5 - len(server.bodies)


@pytest.mark.parametrize("found", [None, {}, {"total_tokens": 3}, usage(None, 3), usage(7, None)])
def test_a_server_that_does_not_count_is_taken_at_its_word(found) -> None:
    outcome = ask(lambda c, _: c.send_text(" a b", usage=found))
    assert isinstance(outcome, Response)
    assert outcome.usage is None


@given(st.integers() | st.just(10**400), st.integers() | st.just(-(10**400)))
def test_no_usage_lowers_a_cost(prompt, completion) -> None:
    budget = Budget(spec("http://127.0.0.1:1/v1", price=PRICE))
    budget.pay(Usage(5, 5))
    before = budget.cost
    budget.pay(Usage(prompt, completion))
    assert before <= budget.cost < math.inf


def test_the_most_that_a_request_takes_is_in_bytes() -> None:
    assert most_usage("é\ud800", 9) == Usage(3, 9)


@pytest.mark.parametrize(("thought", "good"), [(40, True), (41, True), (10**9, False)])
def test_thinking_may_be_counted_on_top_of_the_bound_but_not_without_end(thought, good) -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "reasoning_tokens": thought}
    outcome = ask(lambda c, _: c.send_text(" a b", usage=usage))
    assert isinstance(outcome, Response) == good


def sent(content: bytes, encoding: str, status: int = 200) -> Any:
    return lambda c, _: c.send(status, content, content_encoding=encoding)


@pytest.mark.parametrize("status", [200, 400, 404, 500])
def test_a_body_that_is_too_long_once_it_is_decompressed_is_a_failure(status) -> None:
    said = reason(sent(bomb(MOST_BYTES), "gzip", status))
    assert f"status {status}, but the body is longer than 67,108,864 bytes" in said


def test_a_body_that_grows_without_end_takes_no_more_memory() -> None:
    content = bomb(8 * MOST_BYTES)
    tracemalloc.start()
    said = reason(sent(content, "gzip"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "longer than" in said
    assert peak < 1.5 * MOST_BYTES


def test_an_endless_body_ends() -> None:
    def endless(connection: Connection, _: object) -> None:
        connection.send_response(200)
        connection.end_headers()
        while True:
            connection.wfile.write(b" " * 2**20)

    assert "longer than" in reason(endless)


def test_a_body_that_is_compressed_twice_is_not_read() -> None:
    twice = gzip.compress(gzip.compress(b"{}"))
    assert "compressed more than once" in reason(sent(twice, "gzip, gzip"))


def test_a_body_that_is_compressed_is_read() -> None:
    choice = b'{"choices": [{"text": " a b", "finish_reason": "stop"}]}'
    assert isinstance(ask(sent(gzip.compress(choice), "gzip")), Response)
    assert "connection: " in reason(sent(gzip.compress(choice)[:10] + b"?" * 20, "gzip"))


def test_what_a_server_says_of_a_404_is_told() -> None:
    said = {"message": "no model m;\n\x1b[2J only n" + "!" * 900}
    shown = reason(lambda c, _: c.send_json({"error": said}, 404))
    assert r"status 404: no model m; \x1b[2J only n!!!" in shown
    assert "check that the server has the model 'm', and that /v1/completions is" in shown
    assert len(shown) < 500

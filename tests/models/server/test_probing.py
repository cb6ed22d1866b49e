"""The probes of a server when a model is loaded: endpoint and parameters."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from serving import Body, Connection, Server, chat_only, query_of, serving

from icl_gap.errors import InputError, ModelError
from icl_gap.models import Model, OpenAISpec, Request, identify, load_model
from icl_gap.schema import Message, Prompt, Response
from icl_gap.specs import check_spec


def model(url: str, **fields: Any) -> Model:
    spec = check_spec({"kind": "openai", "model": "m", "base_url": url, **fields}, OpenAISpec)
    return load_model(spec, identify(spec))


def request(name: str = "q") -> Request:
    messages = (Message("system", "Do."), Message("user", name))
    return Request(Prompt(name, "", (), f"Do.\n\n{name}", messages), " A", "\n", 40)


def echo(connection: Connection, body: Body) -> None:
    connection.send_message(f"to {query_of(body)}")


def completions_only(connection: Connection, _: Body) -> None:
    if connection.path.endswith("/chat/completions"):
        connection.send_json({"detail": "Not Found"}, 404)
    else:
        connection.send_text(" A")


def both(connection: Connection, body: Body) -> None:
    if "messages" in body:
        echo(connection, body)
    else:
        connection.send_text(" A")


def refusing(*parameters: str, shape: str = "param") -> Callable[[Connection, Body], None]:
    """A chat that refuses parameters, as OpenAI's reasoning models do."""

    def respond(connection: Connection, body: Body) -> None:
        for name in parameters:
            if name in body:
                said = f"Unsupported parameter: '{name}' is not supported with this model."
                if name == "max_tokens":
                    said += " Use 'max_completion_tokens' instead."
                error = {"message": said} | ({"param": name} if shape == "param" else {})
                connection.send_json({"error": error}, 422 if shape == "detail" else 400)
                return
        echo(connection, body)

    return chat_only(respond)


def test_a_chat_server_needs_its_address_and_a_name(caplog) -> None:
    with serving(chat_only(echo)) as server, caplog.at_level(logging.WARNING):
        found = model(server.url)
        ((_, outcome),) = found.respond([request()])
    assert found.info.api == "chat"
    assert found.info.left_out == ()
    assert isinstance(outcome, Response)
    assert outcome.completion.text == "to q"
    assert "m: the server responds to messages (`api: chat`)" in caplog.text
    assert "stop" not in server.bodies[-1]
    assert server.bodies[-1]["temperature"] == 0
    assert server.bodies[-1]["messages"] == [
        {"role": "system", "content": "Do."},
        {"role": "user", "content": "q"},
    ]


@pytest.mark.parametrize("answer", [completions_only, both])
def test_completions_are_preferred(answer, caplog) -> None:
    with serving(answer) as server, caplog.at_level(logging.WARNING):
        found = model(server.url, logprobs="none")
        ((_, outcome),) = found.respond([request()])
        assert len(server.bodies) == 2
    assert found.info.api == "completions"
    assert outcome.completion.text == " A"
    assert not caplog.text


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_an_endpoint_may_be_missing_in_several_ways(status) -> None:
    def respond(connection: Connection, body: Body) -> None:
        if "prompt" in body:
            connection.send_json({"error": "no completions"}, status)
        else:
            echo(connection, body)

    with serving(respond) as server:
        assert model(server.url).info.api == "chat"


def test_a_server_with_neither_endpoint_is_told_with_both_messages() -> None:
    def respond(connection: Connection, body: Body) -> None:
        which = "messages" if "messages" in body else "text"
        connection.send_json({"error": {"message": f"no model takes {which}"}}, 404)

    with serving(respond) as server, pytest.raises(ModelError) as raised:
        model(server.url)
    shown = str(raised.value)
    assert "/completions: status 404: no model takes text" in shown
    assert "/chat/completions: status 404: no model takes messages" in shown
    assert server.url in shown


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_no_missing_endpoint(status) -> None:
    with serving(lambda c, _: c.send_json({"error": "who?"}, status)) as server:
        with pytest.raises(ModelError, match="who\\?; check the key"):
            model(server.url)
        assert len(server.bodies) == 1


@pytest.mark.parametrize("shape", ["param", "message", "detail"])
@pytest.mark.parametrize(
    "refused", [(), ("temperature",), ("max_tokens",), ("max_tokens", "temperature")]
)
def test_refused_parameters_are_found_once_and_left_out(refused, shape, caplog) -> None:
    with serving(refusing(*refused, shape=shape)) as server:
        found = model(server.url, api="chat")
        probes = len(server.bodies)
        outcomes = dict(found.respond([request(name) for name in "abc"]))
        sent = server.bodies[probes:]
    assert all(isinstance(outcome, Response) for outcome in outcomes.values())
    assert sorted(found.info.left_out) == sorted(refused)
    assert probes == 1 + len(refused)
    assert len(sent) == 3
    for body in sent:
        assert not {*refused} & body.keys()
        assert ("max_completion_tokens" in body) == ("max_tokens" in refused)
    assert ("the server refuses" in caplog.text) == bool(refused)


@pytest.mark.parametrize("refused", ["temperature", "max_tokens"])
@pytest.mark.parametrize("api", ["chat", "completions"])
def test_a_parameter_that_is_refused_only_under_load_is_found_once(api, refused, caplog) -> None:
    probed = threading.Event()
    refusals: list[Body] = []

    def respond(connection: Connection, body: Body) -> None:
        if probed.is_set() and refused in body:
            refusals.append(body)
            connection.dawdle(0.1)
            connection.send_json({"error": {"message": f"'{refused}'?", "param": refused}}, 400)
        else:
            both(connection, body)

    with serving(respond) as server, caplog.at_level(logging.WARNING):
        found = model(server.url, api=api, logprobs="none", concurrency=4)
        assert found.info.left_out == ()
        probed.set()
        outcomes = dict(found.respond([request(str(n)) for n in range(20)]))
        again = dict(found.respond([request(str(n)) for n in range(20, 30)]))
    assert all(isinstance(each, Response) for each in (*outcomes.values(), *again.values()))
    assert len(outcomes) + len(again) == 30
    assert len(refusals) <= 4, "those in flight at the time"
    assert found.info.left_out == (refused,)
    said = [record.message for record in caplog.records]
    assert said == [f"m: the server now refuses {refused}, which is left out"]


def test_a_refusal_that_nothing_mends_is_a_failure() -> None:
    def respond(connection: Connection, body: Body) -> None:
        if query_of(body) != "q":
            echo(connection, body)
            return
        name = "max_tokens" if "max_tokens" in body else "max_completion_tokens"
        connection.send_json({"error": {"message": "no bound, please", "param": name}}, 400)

    with serving(respond) as server:
        ((_, outcome),) = model(server.url, api="chat").respond([request()])
        assert len(server.bodies) == 1 + 2
    assert "no bound, please" in str(outcome)


def test_a_server_that_takes_no_bound_at_all_is_refused() -> None:
    with (
        serving(refusing("max_tokens", "max_completion_tokens")) as server,
        pytest.raises(ModelError, match="'max_completion_tokens' is not supported"),
    ):
        model(server.url, api="chat")


@pytest.mark.parametrize("name", ["seed", "reasoning_effort", "top_k"])
def test_a_parameter_of_the_user_is_passed_on_or_its_refusal_is(name) -> None:
    fields = {"seed": 3, "reasoning_effort": "low", "extra_body": {"top_k": 1}}
    with serving(chat_only(echo)) as server:
        dict(model(server.url, **fields).respond([request()]))
        body = server.bodies[-1]
    assert (body["seed"], body["reasoning_effort"], body["top_k"]) == (3, "low", 1)
    with (
        serving(refusing(name)) as server,
        pytest.raises(ModelError, match=f"'{name}' is not supported"),
    ):
        model(server.url, **fields)


def test_options_of_a_chat_need_one() -> None:
    with (
        serving(completions_only) as server,
        pytest.raises(ModelError, match="`system` is for a chat"),
    ):
        model(server.url, system="Be brief.")
    with serving(chat_only(echo)) as server, pytest.raises(ModelError, match="needs `api: comp"):
        model(server.url, logprobs="echo")


def bound(server: Server, **fields: Any) -> int:
    dict(model(server.url, api="chat", **fields).respond([request()]))
    body = server.bodies[-1]
    return body.get("max_tokens") or body["max_completion_tokens"]


def test_the_bound_follows_from_the_longest_target_and_the_thinking() -> None:
    with serving(echo) as server:
        plain = bound(server, thinking_tokens=0)
        assert plain == 40 + 2 + 64  # its bytes, the stop and a space marker, the frame
        assert bound(server, thinking_tokens=1000) == plain + 1000
        assert bound(server) == plain + 4096
        assert bound(server, max_completion_tokens=77) == 77
        assert "max_completion_tokens" in server.bodies[-1]


def test_an_unknown_api_is_refused() -> None:
    with pytest.raises(InputError, match="auto"):
        check_spec({"kind": "openai", "model": "m", "api": "responses"}, OpenAISpec)

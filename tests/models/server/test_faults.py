"""A server that fails in every way: each request ends as right, or as a failure."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Any

import pytest
from asking import numbered
from serving import Faults, serving

from icl_gap.errors import InferenceError
from icl_gap.models import Model, OpenAISpec, Request, identify, load_model
from icl_gap.schema import Prompt, Response, Usage


def model(url: str, **fields: Any) -> Model:
    spec = OpenAISpec.model_validate(
        {
            "kind": "openai",
            "model": "m",
            "base_url": url,
            "api": "completions",
            "logprobs": "none",
            **fields,
        }
    )
    return load_model(spec, identify(spec))


def requests(n: int) -> list[Request]:
    return [Request(Prompt(str(k), "", (), f"Q: {k}\nA:"), f" {k} {k}", "\n", 40) for k in range(n)]


def response_text(prompt: str) -> str:
    number = prompt.split()[1]
    return f" {number} {number}"


FINAL = (
    "content_filter",
    "redirects",
    "the model another responded",
    "cut the response short",
    "its usage is impossible",
    "longer than",
    "repeats the key",
)
"""How requests fail that are not sent again."""


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_every_request_ends_as_right_or_as_a_failure(seed, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-tests-alone")
    faults = Faults(response_text, share=0.6, seed=seed)
    before = random.getstate()
    with serving(faults) as server:
        client = model(server.url, timeout=2, max_attempts=6, concurrency=16)
        outcomes = list(client.respond(requests(160)))
    assert sorted(int(query) for (_, query), _ in outcomes) == list(range(160))
    right = {int(query) for (_, query), outcome in outcomes if isinstance(outcome, Response)}
    for (_, place), outcome in outcomes:
        if isinstance(outcome, Response):
            assert outcome.completion.text == f" {place} {place}"
            assert outcome.usage == Usage(7, 3)
        else:
            assert isinstance(outcome, InferenceError)
            assert f"m failed on {place}: " in str(outcome)
            final = any(reason in str(outcome) for reason in FINAL)
            assert final != ("max_attempts: 6" in str(outcome))
    assert 50 < len(right) <= 160
    sent = Counter(requests(160)[place].prompt.text for place in right)
    assert set(faults.right.values()) == {1}
    assert sent <= faults.right, "an answer that comes after the deadline is none"
    assert max(faults.attempts.values()) <= 6
    assert len(faults.done) == 25, "each fault happened"
    assert len(server.bodies) == sum(faults.attempts.values())
    assert server.most_at_once <= 16
    assert random.getstate() == before, "waits are drawn from dice of their own"


def test_no_more_than_max_requests_are_sent_and_what_is_answered_stays() -> None:
    with serving(Faults(response_text, share=0.3, slow=0.5)) as server:
        client = model(server.url, max_requests=50, concurrency=4, timeout=3)
        outcomes = dict(client.respond(requests(120)))
        assert len(server.bodies) == 50
        again = dict(client.respond(requests(2)))
    assert len(outcomes) == 120
    right = [outcome for outcome in outcomes.values() if isinstance(outcome, Response)]
    assert 20 < len(right) < 50
    failed = [str(outcome) for outcome in outcomes.values() if not isinstance(outcome, Response)]
    assert sum("max_requests (50) is reached" in text for text in failed) >= 70
    assert all("max_requests" in str(outcome) for outcome in again.values())


def test_no_more_than_max_cost_and_what_was_under_way_is_spent() -> None:
    price = {"prompt": 100_000, "completion": 100_000}  # a dollar for an answer of ten tokens
    with serving(Faults(response_text, share=0)) as server:
        client = model(server.url, max_cost=10, price=price, concurrency=3)
        outcomes = dict(client.respond(requests(60)))
        assert 10 <= len(server.bodies) < 10 + 3
    right = [outcome for outcome in outcomes.values() if isinstance(outcome, Response)]
    assert len(right) == len(server.bodies)
    failed = next(outcome for outcome in outcomes.values() if not isinstance(outcome, Response))
    assert "max_cost ($10) is reached" in str(failed)


def test_the_limit_is_used_and_kept() -> None:
    def slowly(connection, body) -> None:
        connection.dawdle(0.05)
        connection.send_text(response_text(body["prompt"]))

    with serving(slowly) as server:
        began = time.monotonic()
        assert len(dict(model(server.url, concurrency=5).respond(requests(50)))) == 50
        assert time.monotonic() - began < 50 * 0.05
    assert server.most_at_once == 5


def test_a_deadline_ends_a_request_that_trickles() -> None:
    def trickle(connection, _) -> None:
        connection.send_response(200)
        connection.send_header("content-length", "100000")
        connection.end_headers()
        for _ in range(200):
            connection.wfile.write(b" ")
            time.sleep(0.05)

    with serving(trickle) as server:
        began = time.monotonic()
        ((_, outcome),) = model(server.url, timeout=1.0).respond(requests(1))
        assert 0.4 < time.monotonic() - began < 2.5
    assert "no response within" in str(outcome)


@pytest.mark.parametrize("dated", [False, True])
def test_a_server_is_given_the_time_that_it_asks_for(dated) -> None:
    times = []

    def busy(connection, body) -> None:
        times.append(time.time())
        if len(times) > 1:
            connection.send_text(response_text(body["prompt"]))
            return
        date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2.5))
        connection.send_json({}, 429, retry_after=date if dated else "2")

    with serving(busy) as server:
        ((_, outcome),) = model(server.url).respond(requests(1))
    assert isinstance(outcome, Response)
    assert 1.4 < times[1] - times[0] < 4


def test_a_server_that_asks_for_more_than_the_deadline_is_not_waited_for() -> None:
    with serving(lambda c, _: c.send_json({}, 503, retry_after="600")) as server:
        began = time.monotonic()
        ((_, outcome),) = model(server.url, timeout=20).respond(requests(1))
        assert time.monotonic() - began < 5
        assert len(server.bodies) == 1
    assert "status 503" in str(outcome)
    assert "asks to wait 600 s" in str(outcome)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_would_fail_again_is_not_sent_again(status) -> None:
    with serving(lambda c, _: c.send_json({"error": {"message": "no\n such"}}, status)) as server:
        ((_, outcome),) = model(server.url).respond(requests(1))
        assert len(server.bodies) == 1
    assert f"status {status}" in str(outcome)
    named = {
        401: "OPENAI_API_KEY",
        403: "OPENAI_API_KEY",
        404: "check that the server has the model 'm', and that /v1/completions",
    }
    assert "no such" in str(outcome)
    assert named.get(status, "") in str(outcome)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"error": {"message": "use /v1/chat/completions", "code": 404}}, "use /v1/chat"),
        ({"error": "use /v1/chat/completions"}, "use /v1/chat"),
        ({"detail": [{"loc": ["body"], "msg": "no prompt"}]}, '"msg": "no prompt"'),
        ({"object": "error", "message": "use\n chat\x1b[31m"}, r"use chat\x1b[31m"),
        ({"reason": "no such path"}, '{"reason": "no such path"}'),
        ("use /v1/chat/completions", "use /v1/chat"),
        ({"error": {"message": "long " * 1000}}, "long…"),
    ],
)
def test_an_error_passes_the_message_of_the_server_on(body, shown) -> None:
    with serving(lambda c, _: c.send_json(body, 404)) as server:
        ((_, outcome),) = model(server.url).respond(requests(1))
    assert "failed on 0: status 404: " in str(outcome)
    assert shown in str(outcome)
    assert len(str(outcome)) < 500


def test_an_error_does_not_repeat_the_key(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-tests-alone")

    def refuse(connection, _) -> None:
        message = f"bad key: {connection.headers['authorization']}"
        connection.send_json({"error": {"message": message}}, 401)

    with serving(refuse) as server:
        ((_, outcome),) = model(server.url).respond(requests(1))
    assert "bad key: Bearer …; check the key" in str(outcome)
    assert "sk-for" not in str(outcome)


def test_a_port_where_nobody_listens() -> None:
    with serving(Faults(response_text)) as server:
        url = server.url
    ((_, outcome),) = model(url, max_attempts=2, timeout=5).respond(requests(1))
    assert "connection" in str(outcome)
    assert "sent 2 times" in str(outcome)


def test_the_same_question_is_sent_once() -> None:
    with serving(Faults(response_text, share=0)) as server:
        twice = numbered(requests(3) * 2)
        wanted = [twice[n].id for n in (0, 1, 3, 4, 5)]
        outcomes = dict(model(server.url).respond(twice, wanted=wanted))
        assert len(server.bodies) == 3
    assert sorted(outcomes) == wanted
    usages = [outcomes[place].usage for place in sorted(outcomes)]
    assert usages.count(Usage(7, 3)) == 3
    assert usages.count(Usage(0, 0)) == 2


def test_nothing_goes_on_when_the_answers_are_not_wanted_any_more() -> None:
    def slowly(connection, body) -> None:
        if " 0" not in body["prompt"]:
            connection.dawdle(30)
        connection.send_text(response_text(body["prompt"]))

    with serving(slowly) as server:
        outcomes = model(server.url, concurrency=4).respond(requests(50))
        next(outcomes)
        began = time.monotonic()
        outcomes.close()
        assert time.monotonic() - began < 2
        time.sleep(0.5)  # the server may still be reading what was sent before
        sent = len(server.bodies)
        time.sleep(0.5)
        assert len(server.bodies) == sent <= 5
        assert server.now == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "icl-gap-server"]


def test_an_interrupt_ends_what_is_under_way() -> None:
    with serving(lambda c, _: c.dawdle(30)) as server:
        outcomes = model(server.url, concurrency=4).respond(requests(20))
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            next(outcomes)
        assert time.monotonic() - began < 3
        timer.join()
    assert not [thread for thread in threading.enumerate() if thread.name == "icl-gap-server"]


def test_it_works_where_a_loop_is_running() -> None:
    async def notebook(url: str) -> int:
        return len(dict(model(url).respond(requests(4))))

    with serving(Faults(response_text, share=0)) as server:
        assert asyncio.run(notebook(server.url)) == 4


def test_a_server_that_crashes_on_stops_is_asked_without_them() -> None:
    def answer(connection, body) -> None:
        if "stop" in body:
            connection.send(500, b"Internal Server Error")
        else:
            connection.send_text(response_text(body["prompt"]) + "\nand more")

    with serving(answer) as server:
        outcomes = dict(model(server.url, concurrency=1).respond(requests(5)))
        known = [True, True, False] * 3
        assert ["stop" in body for body in server.bodies] == [*known, False, False]
    assert [outcomes["", str(n)].completion.text for n in range(5)] == [
        f" {n} {n}" for n in range(5)
    ]


def test_a_long_answer_is_cut_where_no_gold_answer_reaches() -> None:
    with serving(lambda c, _: c.send_text("é" * 1_000_000)) as server:
        ((_, outcome),) = model(server.url).respond(requests(1))
    assert outcome.completion.finish_reason == "length"
    assert outcome.completion.text == "é" * 21

"""Chat responses that fail, or are cut: none is an empty answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from serving import Body, Connection, Faults, query_of, serving

from icl_gap.errors import InferenceError
from icl_gap.models import Model, OpenAISpec, Request, identify, load_model
from icl_gap.schema import Message, Prompt, Response

MOST = 40 + 2 + 64


def model(url: str, **fields: Any) -> Model:
    entry = {"kind": "openai", "model": "m", "base_url": url, "api": "chat", "thinking_tokens": 0}
    spec = OpenAISpec.model_validate(entry | fields)
    return load_model(spec, identify(spec))


def requests(n: int) -> list[Request]:
    return [
        Request(Prompt(str(k), "", (), "", (Message("user", f"Q: {k}"),)), f" {k}", "\n", 40)
        for k in range(n)
    ]


def outcome(send: Callable[[Connection], None], **fields: Any) -> Response | Exception:
    """The outcome of a request to a server that responds well only to the probe."""

    def respond(connection: Connection, body: Body) -> None:
        if query_of(body).startswith("Q: "):
            send(connection)
        else:
            connection.send_message("OK")

    with serving(respond) as server:
        ((_, found),) = model(server.url, max_attempts=1, **fields).respond(requests(1))
    return found


def used(completion_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": completion_tokens}


@pytest.mark.parametrize(
    ("send", "reason"),
    [
        (lambda c: c.send_message(None, tool_calls=[{"type": "function"}]), "calls a tool"),
        (lambda c: c.send_message("", finish_reason="abort"), "finish_reason is 'abort'"),
        (lambda c: c.send_message(None), "lacks a content"),
        (lambda c: c.send_text(" A"), "lacks one choice"),
        (lambda c: c.send_message("A", model="another"), "another responded"),
        (
            lambda c: c.send_message("A", finish_reason="length", usage=used(MOST - 1)),
            "cut the response short",
        ),
        (
            lambda c: c.send_message(None, finish_reason="length", usage=used(3)),
            "cut the response short",
        ),
        (
            lambda c: c.send_message("", finish_reason="length", usage=None),
            f"cut the response short, after 0 of {MOST} tokens",
        ),
        (lambda c: c.send_message("A", usage=used(MOST + 1)), "its usage is impossible"),
    ],
)
def test_what_is_no_response_fails(send, reason) -> None:
    found = outcome(send)
    assert isinstance(found, InferenceError)
    assert reason in str(found)


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": None}, "", None),
        ({"content": "", "reasoning_content": "hm"}, "", "hm"),
        ({"content": "<think>hm"}, "", "hm"),
        ({"content": "<think>hm", "usage": None}, "", "hm"),
        ({"content": "A and on and on"}, "A and on and on", None),
    ],
)
def test_a_response_that_reaches_the_bound_is_one(message, text, reasoning) -> None:
    found = outcome(lambda c: c.send_message(finish_reason="length", **message))
    assert isinstance(found, Response), found
    assert (found.completion.text, found.completion.finish_reason) == (text, "length")
    assert found.reasoning == reasoning


@pytest.mark.parametrize(
    ("message", "withheld"),
    [
        ({"content": None, "refusal": "No."}, "refused"),
        ({"content": "A and", "finish_reason": "content_filter", "usage": used(3)}, "filtered"),
    ],
)
def test_a_response_says_that_it_was_withheld(message, withheld) -> None:
    found = outcome(lambda c: c.send_message(**message))
    assert isinstance(found, Response), found
    assert found.withheld == withheld


@pytest.mark.parametrize("seed", range(2))
def test_every_request_ends_as_right_or_as_a_failure(seed, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-tests-alone")
    faults = Faults(lambda prompt: f"to {prompt}", share=0.5, seed=seed, slow=0.2)

    def respond(connection: Connection, body: Body) -> None:
        if query_of(body).startswith("Q: "):
            faults(connection, body)
        else:
            connection.send_message("OK")

    with serving(respond) as server:
        found = model(server.url, timeout=1, max_attempts=6, concurrency=16)
        outcomes = {query: each for (_, query), each in found.respond(requests(40))}
    assert len(outcomes) == 40
    right = {query for query, each in outcomes.items() if isinstance(each, Response)}
    assert len(right) > 10
    for query in right:
        assert outcomes[query].completion.text == f"to Q: {query}"
    for query in outcomes.keys() - right:
        assert isinstance(outcomes[query], InferenceError)

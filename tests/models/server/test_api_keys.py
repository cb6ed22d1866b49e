"""Keys come from the environment, and are nowhere else."""

from __future__ import annotations

import base64
import json
import logging
import os
import string
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from serving import Connection, Server, serving

from icl_gap.errors import InferenceError, ModelError
from icl_gap.models import OpenAISpec, Request, identify, load_model
from icl_gap.models.server.api_keys import holds_key, without_key
from icl_gap.models.server.failures import redacted
from icl_gap.schema import Prompt, Response
from icl_gap.specs import check_spec

KEY = "sk-Zx81-not-to-be-told"
FIELDS = {"shots": [1], "seeds": [0], "limit": 2, "figures": []}


def run(server: Server, tmp_path: Path, card: str, **fields: Any) -> tuple[int, str]:
    """Run a sweep as a user does, with all the logging that there is; give code and output."""
    model = {
        "kind": "openai",
        "model": "m",
        "base_url": server.url,
        "api_key_env": "MY_KEY",
        "api": "completions",
        **fields,
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({"name": "s", "datasets": [card], "models": [model], **FIELDS}))
    done = subprocess.run(
        [sys.executable, "-m", "icl_gap.cli", "run", str(path), "--out", str(tmp_path / "out")],
        env={**os.environ, "MY_KEY": KEY, "OPENAI_LOG": "debug", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert server.headers
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    return done.returncode, done.stdout + done.stderr


def files(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_a_key_is_not_told_where_all_goes_well(toy_card, tmp_path) -> None:
    with serving(lambda c, _: c.send_text(" A 1")) as server:
        code, shown = run(server, tmp_path, toy_card)
    assert code == 0, shown
    kept = files(tmp_path / "out")
    assert '"prompt_tokens": 7' in kept or '"prompt_tokens":7' in kept
    assert "MY_KEY" in kept
    assert KEY not in kept + shown
    assert "HTTP Request" not in shown


@pytest.mark.parametrize(
    "status", [200, 401, *(pytest.param(n, marks=pytest.mark.slow) for n in (400, 404, 500))]
)
def test_a_key_that_the_server_repeats_is_not_told(toy_card, tmp_path, status) -> None:
    def tell(connection: Connection, _: object) -> None:
        told = {"message": f"bad key {connection.headers['authorization']}"}
        connection.send_json({"error": told}, status)

    with serving(tell) as server:
        code, shown = run(server, tmp_path, toy_card, logprobs="none", max_attempts=1)
    assert code == 1
    assert "failed on" in shown
    assert KEY not in shown + files(tmp_path / "out")


def test_a_key_in_a_completion_is_not_stored(toy_card, tmp_path) -> None:
    with serving(lambda c, _: c.send_text(f" {c.headers['authorization']}")) as server:
        code, shown = run(server, tmp_path, toy_card, logprobs="none", max_attempts=1)
    assert code == 1
    assert "it repeats the key of the environment variable MY_KEY" in shown
    assert not any(part in shown + files(tmp_path / "out") for part in parts(KEY))


@pytest.mark.parametrize("before", range(170, 210))
def test_a_key_at_the_edge_of_what_is_shown_is_not_told_in_part(before) -> None:
    shown = redacted("x" * before + KEY + "y" * 20, KEY)
    assert len(shown) <= 200
    assert "sk-" not in shown


ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of more": lambda key: base64.b64encode(f"user:{key}\n".encode()).decode(),
    "base64 for addresses": lambda key: base64.urlsafe_b64encode(f"k={key}".encode()).decode(),
    "percent signs": lambda key: quote(key, safe=""),
    "percent signs throughout": lambda key: "".join(f"%{ord(c):02x}" for c in key),
    "percent signs twice": lambda key: quote(quote(key, safe=""), safe=""),
    "JSON": lambda key: json.dumps(key).replace("/", r"\/"),
    "JSON throughout": lambda key: "".join(f"\\u{ord(c):04x}" for c in key),
    "JSON in JSON": lambda key: json.dumps(json.dumps(key)),
    "repr": lambda key: repr(key.encode()),
}
KEYS = st.text(string.ascii_letters + string.digits + "+/=_-.%\\\"'", min_size=12, max_size=40)
AROUND = st.text(" \nΓΔΛ{}:,", max_size=30)


def parts(key: str) -> Iterator[str]:
    """All parts of a key that would help to guess it."""
    return (key[n : n + 8] for n in range(len(key) - 7))


@given(KEYS, st.sampled_from(list(ENCODINGS)), AROUND, AROUND, st.integers(8, 400))
def test_no_reason_gives_a_key_away(key, encoding, before, after, cut) -> None:
    text = before + ENCODINGS[encoding](key) + after
    assert holds_key(text, key)
    # A body may be cut anywhere, and then be shown as bytes or within another text.
    for shown in (text, text[:cut], repr(text[:cut].encode()), f"{text[:cut]} (sent 2 times)"):
        reason = redacted(shown, key)
        assert not holds_key(reason, key)
        if encoding == "plain":
            assert not any(part in reason for part in parts(key))


@given(KEYS, st.sampled_from(list(ENCODINGS)), AROUND, AROUND, st.booleans())
def test_no_body_hides_a_key(key, encoding, before, after, ascii_only) -> None:
    choice = {"text": before + ENCODINGS[encoding](key) + after, "finish_reason": "stop"}
    assert holds_key(json.dumps({"choices": [choice]}, ensure_ascii=ascii_only), key)
    choice["text"] = before + key[:7] + after
    assert not holds_key(json.dumps({"choices": [choice]}, ensure_ascii=ascii_only), key)


@given(KEYS, AROUND, AROUND)
def test_what_is_not_the_key_is_left(key, before, after) -> None:
    assert without_key(before + key + after, key) == f"{before}…{after}"
    assert without_key(before + after, key) == before + after
    assert without_key(before + key + after, None) == before + key + after


@given(st.text(string.ascii_letters, min_size=1, max_size=7), AROUND, AROUND)
def test_a_short_key_is_left_out_of_reasons_and_fails_no_answer(key, before, after) -> None:
    assert key not in without_key(before + key + after, key)
    assert not holds_key(before + key + after, key)


REQUEST = Request(Prompt("q", "", (), "Say\nAnswer:"), " a b", "\n", 40)


def outcome_of(answer: Any, **fields: Any) -> Response | InferenceError:
    with serving(answer) as server:
        one = spec(base_url=server.url, max_attempts=1, **fields)
        ((_, outcome),) = load_model(one, identify(one)).respond([REQUEST])
    assert isinstance(outcome, Response | InferenceError)
    return outcome


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("place", ["text", "model", "id", "logprobs"])
def test_an_answer_that_holds_the_key_is_a_failure(encoding, place) -> None:
    echo = f" A {ENCODINGS[encoding](KEY)} B"

    def tell(connection: Connection, _: object) -> None:
        match place:
            case "text":
                connection.send_text(echo)
            case "logprobs":
                choice = {"text": " A", "finish_reason": "stop", "logprobs": {"tokens": [echo]}}
                connection.send_json({"choices": [choice]})
            case _:
                connection.send_text(" A", **{place: echo})

    outcome = outcome_of(tell)
    assert isinstance(outcome, InferenceError)
    assert "it repeats the key of the environment variable OPENAI_API_KEY" in str(outcome)
    assert not holds_key(str(outcome), KEY)


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("length", [8, 12, len(KEY) - 1])
def test_an_answer_that_was_cut_within_the_key_is_a_failure(length) -> None:
    outcome = outcome_of(lambda c, _: c.send_text(f" A {KEY[:length]}"))
    assert isinstance(outcome, InferenceError)
    assert "repeats the key" in str(outcome)
    assert isinstance(outcome_of(lambda c, _: c.send_text(f" A {KEY[:7]}")), Response)


def told_in_headers(connection: Connection, _: object) -> None:
    connection.send(
        503, b"", **{"X_Key": KEY, f"X_{KEY}": "1", "retry_after": KEY, "set_cookie": KEY}
    )


def told_in_a_broken_header(connection: Connection, _: object) -> None:
    connection.wfile.write(f"HTTP/1.1 200 OK\r\n{KEY}\r\n\r\n".encode())
    connection.close_connection = True


def told_in_the_status(connection: Connection, _: object) -> None:
    connection.wfile.write(f"HTTP/1.1 418 {KEY}\r\ncontent-length: 0\r\n\r\n".encode())


REPEATS: dict[str, Callable[[Connection, Any], None]] = {
    "headers": told_in_headers,
    "a broken header": told_in_a_broken_header,
    "the status": told_in_the_status,
    "a redirect": lambda c, _: c.send(307, b"", location=f"https://h.invalid/{KEY}/v1"),
    "a redirect that is none": lambda c, _: c.send(307, b"", location=f"http://[{KEY}/v1"),
    "a cut body": lambda c, _: c.send(200, f'{{"choices": [{{"text": "{KEY[:-5]}'.encode()),
    "a cut body of an error": lambda c, _: c.send(500, f"bad key {KEY[:-5]}".encode()),
    "a 404": lambda c, _: c.send_json({"error": {"message": KEY}}, 404),
    "a finish reason": lambda c, _: c.send_text(" A", finish_reason=KEY),
    "another model": lambda c, _: c.send_text(" A", model=KEY),
    "a usage": lambda c, _: c.send_text(" A", usage={"prompt_tokens": KEY, "completion_tokens": 1}),
}


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("way", REPEATS)
def test_a_key_that_comes_back_in_any_way_reaches_no_reason(way) -> None:
    outcome = outcome_of(REPEATS[way])
    assert isinstance(outcome, InferenceError)
    assert not any(part in str(outcome) for part in parts(KEY))


PASSED_OVER = {"headers", "a cut body of an error"}
"""Statuses of 500 and above, which the request for log-probabilities takes for a refusal."""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and all that were at hand when it was raised."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("api", ["auto", "completions", "chat"])
@pytest.mark.parametrize("way", REPEATS)
def test_no_exception_that_is_raised_holds_the_key(way, api) -> None:
    errors: list[BaseException] = []
    with serving(REPEATS[way]) as server:
        one = spec(base_url=server.url, max_attempts=1, logprobs="none")
        try:
            unknown = one.model_copy(update={"api": api, "logprobs": "auto"})
            load_model(unknown, identify(unknown))
        except ModelError as error:
            errors += chain(error)
        ((_, outcome),) = load_model(one, identify(one)).respond([REQUEST])
    assert isinstance(outcome, InferenceError)
    assert bool(errors) == (api != "completions" or way not in PASSED_OVER)
    for error in (*errors, *chain(outcome)):
        assert type(error).__module__.startswith("icl_gap"), "those of libraries hold the request"
        assert KEY not in repr(vars(error)) + "".join(traceback.format_exception(error))


@pytest.mark.usefixtures("keyed")
def test_no_log_holds_the_key_at_whatever_level(caplog, monkeypatch) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "openai._base_client", "httpx2", "httpcore2.http11", "httpcore2"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)
        logging.getLogger(name).manager._clear_cache()
    outcome_of(told_in_headers)
    outcome_of(lambda c, _: c.send_text(c.headers["authorization"]))
    assert "authorization" not in caplog.text.lower()
    assert not any(part in caplog.text for part in parts(KEY))


@pytest.mark.parametrize("url", ["http://example.org/v1", "http://10.0.0.8:8000/v1"])
def test_a_key_does_not_go_over_a_network_in_plain_text(url, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with pytest.raises(ModelError, match="plain text") as raised:
        identify(spec(base_url=url))
    assert "allow_plain_http: true" in str(raised.value)
    assert "OPENAI_API_KEY" in str(raised.value)
    assert raised.value.place.key == "base_url"
    assert identify(spec(base_url=url, allow_plain_http=True)).name == "m"


@pytest.mark.parametrize(
    "url",
    ["https://example.org/v1", "http://localhost:1/v1", "http://127.8.0.1/v1", "http://[::1]:8/v1"],
)
def test_a_key_goes_to_this_machine_and_over_https(url) -> None:
    assert identify(spec(base_url=url)).name == "m"


def test_an_entry_that_repeats_the_key_is_refused_unseen(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    one = spec(base_url=f"https://example.org/{KEY}/v1")
    with pytest.raises(ModelError, match="this entry repeats the key") as raised:
        load_model(one, identify(one))
    assert KEY not in str(raised.value)


def spec(**fields: Any) -> OpenAISpec:
    known = {"kind": "openai", "model": "m", "api": "completions", "logprobs": "none"}
    return check_spec({**known, **fields}, OpenAISpec)


def test_a_server_elsewhere_needs_a_key(monkeypatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    elsewhere = spec(base_url="https://example.org/v1", api_key_env="SOME_KEY")
    with pytest.raises(ModelError, match=r"SOME_KEY holds no key for https://example\.org/v1"):
        load_model(elsewhere, identify(elsewhere))


@pytest.mark.parametrize("key", ["two words", "a\nb", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused_unseen(monkeypatch, key) -> None:
    monkeypatch.setenv("SOME_KEY", key)
    one = spec(api_key_env="SOME_KEY")
    with pytest.raises(ModelError, match="not a key") as raised:
        load_model(one, identify(one))
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": f"https://user:{KEY}@example.org/v1"},
        {"base_url": f"https://example.org/v1?key={KEY}"},
        {"api_key_env": KEY},
    ],
)
def test_a_key_in_the_sweep_is_refused_unseen(fields) -> None:
    with pytest.raises(ModelError) as raised:
        identify(spec(**fields))
    assert KEY not in str(raised.value)


def test_the_identity_holds_neither_key_nor_price(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    plain = identify(spec(family="codex", context_length=2048))
    dear = identify(
        spec(price={"prompt": 2, "completion": 3}, max_cost=1, max_attempts=2, timeout=9)
    )
    assert plain.key | {"context_length": None} == dear.key
    assert (plain.name, plain.family, plain.trained) == ("m", "codex", True)
    assert KEY not in repr(plain)
    assert identify(spec(base_url="https://example.org/v1/")).key != plain.key

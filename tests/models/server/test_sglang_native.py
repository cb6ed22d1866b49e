"""SGLang's own endpoint: its bodies, and verdicts that are those of the local backend."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring_servers import SGLANG_INFO, SGLang
from serving import Body, Connection, Server, serving
from toys import sweep

from icl_gap.errors import ModelError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Model, OpenAISpec, Request, identify, load_model
from icl_gap.models.server.logprobs import read_gold_tokens
from icl_gap.models.server.responses import BodyError, RawCompletion
from icl_gap.models.server.sglang_native import (
    describes_model,
    native_body,
    native_url,
    read_native_body,
)
from icl_gap.models.shipped import shipped_folder
from icl_gap.results import Results
from icl_gap.schema import Prompt, Record, Usage

NAME = "nano-codegen-m"
RECORDED = {
    "text": " Paris",
    "meta_info": {
        "id": "26223ea355df4c0ab45e5af04505ed67",
        "finish_reason": {"type": "length", "length": 1},
        "prompt_tokens": 5,
        "completion_tokens": 1,
        "input_token_logprobs": [
            [None, 6722, " capital"],
            [-0.58203125, 315, " of"],
            [-3.53125, 9625, " France"],
            [-2.84375, 374, " is"],
        ],
        "input_top_logprobs": [
            None,
            [[-0.58203125, 315, " of"]],
            [[-1.0390625, 279, " the"]],
            [[-2.09375, 13, "."]],
        ],
    },
}
"""Response to `the capital of France is` with `logprob_start_len: 1` and texts."""


def spec(url: str = "http://127.0.0.1:30000/v1", **fields: Any) -> OpenAISpec:
    entry = {"kind": "openai", "model": NAME, "base_url": url}
    return OpenAISpec.model_validate({**entry, **fields})


def model(server: Server, **fields: Any) -> Model:
    one = spec(server.url, **fields)
    return load_model(one, identify(one))


def recorded(**info: Any) -> bytes:
    return json.dumps(RECORDED | {"meta_info": RECORDED["meta_info"] | info}).encode()


def test_a_recorded_body_is_read() -> None:
    found = read_native_body(recorded())
    assert (found.text, found.finish_reason, found.usage) == (" Paris", "length", Usage(5, 1))
    tokens = read_gold_tokens("sglang", found, " France is")
    assert [(t.text, t.logprob, t.best, t.is_best) for t in tokens] == [
        (" France", -3.53125, " the", False),
        (" is", -2.84375, ".", False),
    ]
    (of, *_) = read_gold_tokens("sglang", found, " of France is")
    assert (of.is_best, of.lead) == (True, 0.0)
    assert read_gold_tokens("sglang", found, " capital of France is") is None, "it has no value"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ({"type": "stop", "matched": 2}, "eos"),
        ({"type": "stop", "matched": "\n"}, "stop"),
        ({"type": "stop"}, "eos"),
        ({"type": "length", "length": 1}, "length"),
    ],
)
def test_its_end_is_read(end, reason) -> None:
    assert read_native_body(recorded(finish_reason=end)).finish_reason == reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (recorded(finish_reason={"type": "abort", "message": "overloaded"}), "is 'abort'"),
        (recorded(finish_reason=None), "lacks text and meta_info"),
        (recorded(prompt_tokens=-1), "its usage is impossible"),
        (b'{"error": {"message": "The input is longer"}}', "it is an error"),
        (b'{"choices": [{"text": "A", "finish_reason": "stop"}]}', "lacks text and meta_info"),
        (b"<html>", "not JSON"),
    ],
)
def test_what_is_no_response_of_it_is_a_failure(content, reason) -> None:
    with pytest.raises(BodyError, match=reason):
        read_native_body(content)


ROWS = st.recursive(
    st.none() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@given(ROWS, ROWS)
def test_rows_in_any_shape_are_read_or_left(own, top) -> None:
    info = {"input_token_logprobs": own, "input_top_logprobs": top}
    found = RawCompletion("", "stop", None, info)
    assert read_gold_tokens("sglang", found, " a gold text") is None


@pytest.mark.parametrize(
    "info",
    [
        {"input_token_logprobs": [[-1.0, 5, None]], "input_top_logprobs": [[[-1.0, 5, None]]]},
        {"input_token_logprobs": [[-1.0, 5, " A"]], "input_top_logprobs": [None]},
        {"input_token_logprobs": [[-1.0, 5, " A"]], "input_top_logprobs": []},
        {"input_token_logprobs": [[None, 5, " A"]], "input_top_logprobs": [[[-1.0, 5, " A"]]]},
        {"input_token_logprobs": [[-1.0, 5, " A"]]},
        {"input_token_logprobs": []},
    ],
)
def test_rows_without_texts_or_values_are_left(info) -> None:
    assert read_gold_tokens("sglang", RawCompletion("", "stop", None, info), " A") is None


@pytest.mark.parametrize(
    ("content", "described"),
    [
        (json.dumps(SGLANG_INFO).encode(), True),
        (json.dumps(SGLANG_INFO | {"is_generation": False}).encode(), False),
        (b'{"model_path": "m"}', False),
        (b'{"error": {"message": "File Not Found", "code": 404}}', False),
        (b"<html>", False),
        (b"[]", False),
    ],
)
def test_a_description_of_a_model_is_known(content, described) -> None:
    assert describes_model(content) == described


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:30000/v1", "http://127.0.0.1:30000/generate"),
        ("http://127.0.0.1:30000/v1/", "http://127.0.0.1:30000/generate"),
        ("https://host.invalid/sglang/v1", "https://host.invalid/sglang/generate"),
        ("http://127.0.0.1:30000", "http://127.0.0.1:30000/generate"),
    ],
)
def test_its_own_endpoints_stand_beside_the_others(base_url, url) -> None:
    assert native_url(spec(base_url), "/generate") == url


def test_log_probabilities_are_wanted_from_a_start_alone() -> None:
    assert native_body(spec(), {"text": "A", "max_tokens": 1}) == {
        "text": "A",
        "sampling_params": {"temperature": 0, "max_new_tokens": 1},
    }
    found = native_body(spec(), {"text": "A", "max_tokens": 1, "logprob_start_len": 0})
    assert (found["return_logprob"], found["logprob_start_len"]) == (True, 0)


def records(results: Results) -> dict[object, Record]:
    return {
        (cell.info.query_split, cell.info.condition, record.query_id): record
        for cell in results
        for record in cell.records
    }


FIELDS: dict[str, Any] = {"shots": [5], "seeds": [0], "limit": 6}


@pytest.mark.parametrize("tokenizer", [NAME, None])
def test_its_records_are_those_of_the_local_backend(tokenizer, tmp_path) -> None:
    answers = SGLang(shipped_folder(NAME))
    with serving(answers) as server:
        entry = spec(server.url, tokenizer=tokenizer).model_dump(mode="json")
        plan = sweep("scan", models=[entry], selection="random", **FIELDS)
        results = evaluate_sweep(plan, tmp_path / "there")
    assert {info.provenance["prompt_logprobs"] for info in results.infos} == {"sglang"}
    here = sweep("scan", models=[NAME], selection="random", **FIELDS)
    ours, theirs = records(evaluate_sweep(here, tmp_path / "here")), records(results)
    assert ours.keys() == theirs.keys()
    for at, mine in ours.items():
        assert theirs[at].scores == mine.scores
        assert theirs[at].divergence == mine.divergence
        assert theirs[at].gold_tokens == mine.gold_tokens
        assert theirs[at].gold_logprob == pytest.approx(mine.gold_logprob, abs=1e-3)
    assert {record.scores["raw"] for record in ours.values()} == {True, False}
    most = max(record.gold_tokens for record in ours.values())
    assert max(answers.n_rows) <= most + 4, "the prompt may come from the cache"


def test_a_verdict_takes_one_request_with_a_tokenizer_and_two_without() -> None:
    request = Request(Prompt("q", "", (), "Command: walk\nActions:"), " WALK", "\n", 40)
    with serving(SGLang(shipped_folder(NAME))) as server:
        for tokenizer, n in ((NAME, 1), (None, 2)):
            found = model(server, tokenizer=tokenizer)
            before = len(server.bodies)
            ((_, outcome),) = found.respond([request])
            assert len([body for body in server.bodies[before:] if "text" in body]) == n
            assert outcome.gold_tokens == 1


def test_without_texts_of_tokens_the_echo_is_used() -> None:
    with serving(SGLang(shipped_folder(NAME), texts=False)) as server:
        assert model(server).info.prompt_logprobs == "echo"
        with pytest.raises(ModelError, match="`logprobs: sglang`, and the server gives no"):
            model(server, logprobs="sglang")


def test_fields_for_other_endpoints_leave_its_own_alone() -> None:
    with serving(SGLang(shipped_folder(NAME))) as server:
        found = model(server, extra_body={"lora_path": "a"})
        assert found.info.prompt_logprobs == "echo"
        assert model(server, logprobs="sglang").info.prompt_logprobs == "sglang"


class Other:
    """A server with another description of its model, or none."""

    def __init__(self, info: Body | None) -> None:
        self.info = info

    def __call__(self, connection: Connection, body: Body) -> None:
        assert "text" not in body
        connection.send_text(" A")


@pytest.mark.parametrize("info", [None, {"model_path": "/m"}])
def test_a_server_without_its_endpoints_is_not_sent_texts(info) -> None:
    with serving(Other(info)) as server:
        assert model(server).info.prompt_logprobs == "none"

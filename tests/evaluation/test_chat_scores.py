"""Sweeps of chats, on a server and here: records, both scores, the same records after faults."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chatting import PLAIN, chatting_nano
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import Body, Connection, Faults, ModelAnswers, chat_only, query_of, serving
from toys import sweep, write_toy
from typer.testing import CliRunner

from icl_gap.cli import app
from icl_gap.errors import InferenceError, StoreError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models.shipped import shipped_folder
from icl_gap.results import Results, merge_stores, open_results, verify_store
from icl_gap.schema import Record

GEMMA_LIKE = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + PLAIN
)
ALONE: dict[str, Any] = {"shots": [2], "seeds": [0], "limit": 3}


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_toy(tmp_path_factory.mktemp("toys"))


def entry(url: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "openai", "model": "m", "base_url": url, "thinking_tokens": 0, **fields}


def target(query: str) -> str:
    """The target of the toy benchmark's query in a message: `Q: a 1` asks for `A 1`."""
    return query.splitlines()[0].removeprefix("Q: ").upper()


def records(results: Results) -> dict[object, Record]:
    """The records of a sweep, without what may differ between two runs."""
    return {
        (cell.info.query_split, cell.info.condition, record.query_id): replace(
            record, seconds=0.0, usage=None
        )
        for cell in results
        for record in cell.records
    }


def answered(card: str, folder: Path, message: Any, **fields: Any) -> list[Record]:
    """The records of a sweep whose server responds to each query by a function."""

    def respond(connection: Connection, body: Body) -> None:
        if query_of(body).startswith("Q: "):
            message(connection, query_of(body))
        else:
            connection.send_message("OK")

    with serving(chat_only(respond)) as server:
        results = evaluate_sweep(sweep(card, models=[entry(server.url, **fields)], **ALONE), folder)
    return list(records(results).values())


@pytest.mark.parametrize(
    ("say", "fields", "raw", "strict", "reason"),
    [
        ("{}", {}, True, True, None),
        ("Query: {}\nThat is it.", {"answer": "first_line"}, False, False, ...),
        ("A: {}\nThat is it.", {}, True, False, None),
        ("Let me see.\n{}", {}, False, False, ...),
        ("Let me see.\n{}", {"answer": "last_line"}, True, False, None),
        ("So:\n```\n{}\n```", {"answer": "fenced"}, True, False, None),
        ("{}", {"answer": "fenced"}, False, True, "no answer"),
        ("{}", {"answer": "after_label"}, False, True, "no answer"),
        ("is ({})", {"answer": "regex", "answer_pattern": r"\((.*)\)"}, True, False, None),
        ("", {}, False, False, "no answer"),
    ],
)
def test_the_extracted_answer_counts_and_the_whole_one_stands_beside_it(
    toy_card, tmp_path, say, fields, raw, strict, reason
) -> None:
    found = answered(
        toy_card,
        tmp_path / "r",
        lambda c, query: c.send_message(say.format(target(query))),
        **fields,
    )
    assert len(found) == 12
    for record in found:
        assert record.status == "scored"
        assert record.scores["raw"] == raw
        assert record.chat.strict_raw == strict
        assert reason is ... or record.reason == reason
        assert (record.prediction is None) == (record.reason == "no answer")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": "{}\nand on and on"}, "ran on"),
        ({"content": "", "reasoning_content": "hm"}, "truncated"),
        ({"content": "<think>hm, {}"}, "truncated"),
        ({"content": None}, "truncated"),
    ],
)
def test_a_response_that_reaches_the_bound_is_wrong_for_a_reason_of_its_own(
    toy_card, tmp_path, message, reason
) -> None:
    def send(connection: Connection, query: str) -> None:
        content = message["content"] and message["content"].format(target(query))
        connection.send_message(finish_reason="length", **{**message, "content": content})

    for record in answered(toy_card, tmp_path / "r", send):
        assert (record.status, record.reason) == ("scored", reason)
        assert set(record.scores.values()) == {False}
        assert record.finish_reason == "length"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"content": None, "refusal": "{}"}, "refused"),
        ({"content": "{}", "finish_reason": "content_filter"}, "filtered"),
        ({"content": None, "finish_reason": "content_filter"}, "filtered"),
    ],
)
def test_a_refusal_and_a_filter_are_wrong_answers_with_their_reason(
    toy_card, tmp_path, message, reason
) -> None:
    """Even where the text that is left would be right."""

    def send(connection: Connection, query: str) -> None:
        said = {
            name: text and text.format(target(query))
            for name, text in message.items()
            if name != "finish_reason"
        }
        end = message.get("finish_reason", "stop")
        connection.send_message(**said, finish_reason=end, usage=None)

    for record in answered(toy_card, tmp_path / "r", send):
        assert (record.status, record.reason, record.prediction) == ("scored", reason, None)
        assert set(record.scores.values()) == {False}
    outcome = CliRunner().invoke(app, ["analyze", str(tmp_path / "r"), "-v"])
    said = " ".join(outcome.output.split())
    assert f"responses without an answer: {reason} 6 of 6 ID, 6 of 6 OOD" in said


def test_a_call_of_a_tool_is_a_failure(toy_card, tmp_path) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    with pytest.raises(InferenceError, match="the model calls a tool, where none was offered"):
        answered(
            toy_card,
            tmp_path / "r",
            lambda c, _: c.send_message(None, finish_reason="tool_calls", tool_calls=[call]),
        )


def test_analyze_tells_of_truncated_responses(toy_card, tmp_path) -> None:
    def send(connection: Connection, query: str) -> None:
        if query.startswith("Q: a"):
            connection.send_message("<think>", finish_reason="length")
        else:
            connection.send_message(target(query))

    answered(toy_card, tmp_path / "r", send)
    outcome = CliRunner().invoke(app, ["analyze", str(tmp_path / "r"), "-v"])
    assert outcome.exit_code == 0
    assert "note: m on toy/plain: responses without an answer: truncated" in outcome.output


def test_reasoning_is_kept_and_is_no_answer(toy_card, tmp_path) -> None:
    def send(connection: Connection, query: str) -> None:
        connection.send_message(f"<think>Z 9\n</think>\n{target(query)}")

    for record in answered(toy_card, tmp_path / "r", send):
        assert record.scores["raw"]
        assert record.chat.reasoning == "Z 9"
        assert record.chat.strict_raw


def test_a_cell_says_how_its_server_was_used(toy_card, tmp_path) -> None:
    def respond(connection: Connection, body: Body) -> None:
        if "temperature" in body:
            connection.send_json({"error": {"message": "no 'temperature', please"}}, 400)
        else:
            connection.send_message("A 1")

    with serving(chat_only(respond)) as server:
        results = evaluate_sweep(
            sweep(toy_card, models=[entry(server.url)], **ALONE), tmp_path / "r"
        )
    for info in results.infos:
        about = info.provenance
        assert (about["api"], about["answer"]) == ("chat", "first_line")
        assert about["left_out"] == ["temperature"]
    frame = results.frame()
    assert set(frame["chat_text"]) == {"A 1"}
    assert {"chat_reasoning", "chat_strict_raw"} <= {*frame.columns}


def test_the_records_name_the_messages(toy_card, tmp_path) -> None:
    with serving(chat_only(lambda c, _: c.send_message("A"))) as server:
        chosen = sweep(toy_card, models=[entry(server.url)], **ALONE)
        found = records(evaluate_sweep(chosen, tmp_path / "r"))
    plan = plan_sweep(chosen)
    for cell in plan.cells:
        for request in plan.requests(cell):
            record = found[cell.info.query_split, cell.info.condition, request.query_id]
            assert record.prompt_sha256 == request.prompt.messages_sha256 != request.prompt.sha256
            assert record.prompt_tokens is None


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 999), concurrency=st.sampled_from([1, 3, 8]))
def test_faults_and_order_change_no_record(toys, tmp_path_factory, seed, concurrency) -> None:
    faults = Faults(target, share=0.5, seed=seed, slow=0.1)

    def respond(connection: Connection, body: Body) -> None:
        if query_of(body).startswith("Q: "):
            faults(connection, body)
        else:
            connection.send_message("OK")

    whole, faulty = (tmp_path_factory.mktemp(name) for name in ("whole", "faulty"))
    with serving(chat_only(lambda c, b: c.send_message(target(query_of(b))))) as server:
        chosen = sweep(toys, models=[entry(server.url)], **ALONE)
        expected = records(evaluate_sweep(chosen, whole))
    with serving(chat_only(respond)) as server:
        fields = {"concurrency": concurrency, "max_attempts": 2, "timeout": 1.0}
        chosen = sweep(toys, models=[entry(server.url, **fields)], **ALONE)
        while True:
            try:
                found = records(evaluate_sweep(chosen, faulty))
            except InferenceError:
                continue
            break
    assert found == expected
    assert len(found) == 12


def test_a_chat_gives_the_scores_of_the_model_on_this_machine(tmp_path) -> None:
    name = "nano-codegen-m"
    more = {"shots": [5], "seeds": [0], "limit": 6, "predictions": "full"}
    answers = ModelAnswers(shipped_folder(name))
    with serving(chat_only(answers.chat)) as server:
        remote = {"kind": "openai", "model": name, "base_url": server.url, "tokenizer": name}
        there = evaluate_sweep(sweep("scan", models=[remote], **more), tmp_path / "there")
    here = evaluate_sweep(sweep("scan", models=[name], **more), tmp_path / "here")
    ours, theirs = records(here), records(there)
    assert ours.keys() == theirs.keys()
    for at, mine in ours.items():
        assert theirs[at].scores == mine.scores
        assert theirs[at].exemplar_ids == mine.exemplar_ids
        assert theirs[at].chat.text.strip() == mine.prediction.strip()
    assert {record.scores["raw"] for record in ours.values()} == {True, False}


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chatting_nano(tmp_path_factory.mktemp("models") / "chatty")


@pytest.fixture(scope="module")
def behind_a_server(chatty: Path) -> ModelAnswers:
    return ModelAnswers(chatty)


LOCAL: dict[str, Any] = {"shots": [5], "seeds": [0], "limit": 4, "query_splits": ["test"]}


def here(folder: Path, out: Path, fields: dict[str, Any], **changes: Any) -> dict[object, Record]:
    """The records of the model on this machine, as far as a server could make them too."""
    model = {"model": str(folder), "chat_template": "auto", "thinking_tokens": 0, **fields}
    results = evaluate_sweep(sweep("scan", **{**LOCAL, "models": [model], **changes}), out)
    return {
        at: replace(
            record,
            prompt_tokens=None,
            gold_logprob=None,
            gold_tokens=None,
            finish_reason=str(record.finish_reason).replace("eos", "stop"),
        )
        for at, record in records(results).items()
    }


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"exemplars": "text"},
        {"system": "", "answer": "last_line"},
        {"answer": "after_label"},
    ],
)
def test_a_chat_on_this_machine_gives_the_records_of_a_server(
    chatty, behind_a_server, tmp_path, fields
) -> None:
    with serving(chat_only(behind_a_server.chat_by_template)) as server:
        remote = sweep("scan", models=[entry(server.url, tokenizer=str(chatty), **fields)], **LOCAL)
        theirs = records(evaluate_sweep(remote, tmp_path / "there"))
    ours = here(chatty, tmp_path / "here", fields)
    assert ours == theirs
    assert len(ours) == 8
    assert all(record.chat is not None for record in ours.values())
    if not fields:
        assert {record.scores["raw"] for record in ours.values()} == {True, False}


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 999))
def test_they_are_the_same_after_faults_and_an_interrupted_run(
    chatty, behind_a_server, tmp_path_factory, seed
) -> None:
    there, parts = (tmp_path_factory.mktemp(name) for name in ("there", "parts"))
    texts: dict[str, str] = {}
    faults = Faults(lambda query: texts[query], share=0.4, seed=seed, slow=0.1)

    def respond(connection: Connection, body: Body) -> None:
        if not query_of(body).startswith("Command: "):
            connection.send_message("OK")
            return
        texts[query_of(body)] = behind_a_server.chat_text(body)
        faults(connection, body)

    with serving(chat_only(respond)) as server:
        fields = {"tokenizer": str(chatty), "max_attempts": 2, "timeout": 5.0}
        chosen = sweep("scan", models=[entry(server.url, **fields)], **LOCAL)
        for _ in range(30):
            with contextlib.suppress(InferenceError):
                theirs = records(evaluate_sweep(chosen, there))
                break
    for limit in (1, 3):  # a run that was stopped, and goes on
        here(chatty, parts, {}, limit=limit)
    assert here(chatty, parts, {}) == theirs


def test_a_cell_of_a_local_chat_says_how_its_prompts_were_written(tmp_path, caplog) -> None:
    folder = chatting_nano(tmp_path / "m", GEMMA_LIKE)
    model = {"model": str(folder), "chat_template": "auto"}
    results = evaluate_sweep(sweep("scan", models=[model], **LOCAL), tmp_path / "r")
    for cell in results:
        about = cell.info.provenance
        assert (about["api"], about["answer"]) == ("chat", "first_line")
        assert about["system"] == "in the first message of the user"
        for record in cell.records:
            assert record.prompt_tokens > 20
            assert record.gold_logprob < 0
            assert record.divergence is None
    assert caplog.text.count("its chat template has no system message") == 1


@pytest.mark.parametrize("kv_cache_tokens", [1, 200, 8192])
def test_batches_and_order_change_no_record(chatty, tmp_path, kv_cache_tokens) -> None:
    fields = {"kv_cache_tokens": kv_cache_tokens}
    whole = here(chatty, tmp_path / "whole", fields)
    assert whole == here(chatty, tmp_path / "other", {})
    few = here(chatty, tmp_path / "few", fields, limit=2, shots=[5, 1])
    five = {at: each for at, each in few.items() if each.shots == 5}
    assert five.items() <= whole.items()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("<think>", "truncated"), ("", "ran on")],
)
def test_thinking_that_reaches_the_bound_is_truncated(tmp_path, text, reason) -> None:
    template = PLAIN + f"{{% if add_generation_prompt %}}{text}{{% endif %}}"
    folder = chatting_nano(tmp_path / "m", template)
    _never_ends(folder)
    model = {
        "model": str(folder),
        "chat_template": "auto",
        "thinking": ["<think>", "</think>"],
        "thinking_tokens": 3,
    }
    results = evaluate_sweep(sweep("scan", models=[model], **LOCAL), tmp_path / "r")
    for record in records(results).values():
        assert (record.status, record.reason) == ("scored", reason)
        assert record.finish_reason == "length"
        assert not any(record.scores.values())
        assert record.gold_logprob is None
        assert (record.chat.reasoning is not None) == (reason == "truncated")


def _never_ends(folder: Path) -> None:
    """Take EOS from a model: token 0 (`<unk>`) is what it never writes."""
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        path = folder / name
        fields = json.loads(path.read_text())
        fields |= {"eos_token": "<unk>"} if "tokenizer" in name else {"eos_token_id": 0}
        path.write_text(json.dumps(fields), encoding="utf-8")


def stopping(connection: Connection, body: Body) -> None:
    """A chat server that fails on one query of each side."""
    if "prompt" in body:
        connection.send_json({"error": "no completions"}, 404)
    elif query_of(body).startswith("Q: a 1\n") or query_of(body).startswith("Q: d 1\n"):
        connection.send_json({"error": "not this one"}, 400)
    else:
        connection.send_message("A 1")


def both(connection: Connection, body: Body) -> None:
    """A server that has meanwhile got completions."""
    if "prompt" in body:
        connection.send_text(" A 1")
    else:
        connection.send_message("A 1")


def auto(card: str, url: str, **fields: Any) -> SweepSpec:
    model = {"kind": "openai", "model": "m", "base_url": url, "logprobs": "none", **fields}
    return sweep(card, models=[model], **{**ALONE, "limit": 20})


TWO = "its responses are of `api: chat`, and the server now has `api: completions`"


def test_two_endpoints_never_fill_one_cell(toy_card, tmp_path) -> None:
    with serving(stopping) as server:
        chosen = auto(toy_card, server.url)
        with pytest.raises(InferenceError, match="not this one"):
            evaluate_sweep(chosen, tmp_path / "r")
        server.answer = both
        with pytest.raises(StoreError, match=TWO):
            evaluate_sweep(chosen, tmp_path / "r")
        assert open_results(tmp_path / "r").failed
        named = evaluate_sweep(auto(toy_card, server.url, api="chat"), tmp_path / "r")
    assert {info.provenance["api"] for info in named.infos} == {"chat"}


def test_two_endpoints_never_fill_two_conditions(toy_card, tmp_path) -> None:
    """A finished cell beside a new one: their gap would be one of the endpoints."""
    with serving(chat_only(lambda c, _: c.send_message("A 1"))) as server:
        chosen = auto(toy_card, server.url)
        evaluate_sweep(chosen, tmp_path / "r")
        next((tmp_path / "r" / "cells").iterdir()).unlink()
        server.answer = both
        with pytest.raises(StoreError, match=TWO):
            evaluate_sweep(chosen, tmp_path / "r")


def test_an_endpoint_without_responses_is_given_up(toy_card, tmp_path) -> None:
    def failing(connection: Connection, body: Body) -> None:
        if "messages" in body and query_of(body).startswith("Reply with OK"):
            connection.send_message("OK")
        else:
            connection.send_json({"error": "not today"}, 400)

    with serving(failing) as server:
        chosen = auto(toy_card, server.url)
        with pytest.raises(InferenceError, match="not today"):
            evaluate_sweep(chosen, tmp_path / "r")
        server.answer = both
        results = evaluate_sweep(chosen, tmp_path / "r")
    assert {info.provenance["api"] for info in results.infos} == {"completions"}
    assert {record.status for cell in results for record in cell.records} == {"scored"}


def test_two_endpoints_are_not_merged(toy_card, tmp_path) -> None:
    with serving(chat_only(lambda c, _: c.send_message("A 1"))) as server:
        chosen = auto(toy_card, server.url)
        evaluate_sweep(chosen, tmp_path / "one")
        evaluate_sweep(chosen, tmp_path / "again")
        server.answer = both
        evaluate_sweep(chosen, tmp_path / "two")
    merge_stores([tmp_path / "one", tmp_path / "again"], tmp_path / "same")
    first, *others = sorted(path.name for path in (tmp_path / "one" / "cells").iterdir())
    (tmp_path / "two" / "cells" / first).unlink()
    for name in others:
        (tmp_path / "one" / "cells" / name).unlink()
    with pytest.raises(StoreError, match=r"of `api: completions`, and those of .* of `api: chat`"):
        merge_stores([tmp_path / "one", tmp_path / "two"], tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_a_cell_says_which_parameters_were_refused_while_it_was_filled(toy_card, tmp_path) -> None:
    sent: list[Body] = []

    def respond(connection: Connection, body: Body) -> None:
        sent.append(body)
        if len(sent) > 15 and "temperature" in body:
            connection.send_json({"error": {"message": "no", "param": "temperature"}}, 400)
        else:
            connection.send_message("A 1")

    with serving(chat_only(respond)) as server:
        chosen = auto(toy_card, server.url, api="chat", concurrency=1)
        results = evaluate_sweep(chosen, tmp_path / "r")
        raised = auto(toy_card, server.url, api="chat", concurrency=1)
        server.answer = chat_only(lambda c, _: c.send_message("A 1"))
        again = evaluate_sweep(raised.model_copy(update={"limit": 30}), tmp_path / "r")
    assert ["temperature"] in [info.provenance.get("left_out") for info in results.infos]
    for before, after in zip(results.infos, again.infos, strict=True):
        assert after.provenance.get("left_out") == before.provenance.get("left_out")
    assert verify_store(tmp_path / "r") == []

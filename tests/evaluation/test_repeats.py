"""Requests that are asked several times, of a server that changes its mind and of a model here."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import Body, Connection, Server, chat_only, query_of, serving
from toys import sweep
from typer.testing import CliRunner

from icl_gap import models
from icl_gap.cli import app
from icl_gap.errors import ModelError, StoreError
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.repeated import RepeatedRequest, sample_requests
from icl_gap.evaluation.repeats import SAMPLE, RepeatCheck, read_repeats
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results import verify_store

ALONE: dict[str, Any] = {"shots": [2], "seeds": [0], "limit": 3}
"""Twelve requests."""


class Fickle:
    """Answers right the first time that it sees a prompt, and wrong every second time."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def __call__(self, connection: Connection, body: Body) -> None:
        query = query_of(body)
        if not query.startswith("Q: "):
            connection.send_message("OK")
            return
        key = json.dumps(body["messages"])
        self.seen[key] += 1
        right = query.splitlines()[0].removeprefix("Q: ").upper()
        connection.send_message(right if self.seen[key] % 2 else "no")


def entry(server: Server, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "openai",
        "model": "m",
        "base_url": server.url,
        "thinking_tokens": 0,
        "api": "chat",
        "max_attempts": 1,
        **fields,
    }


def test_flips_of_a_server_are_found_kept_and_not_asked_for_again(toy_card, tmp_path) -> None:
    with serving(chat_only(Fickle())) as server:
        spec = sweep(toy_card, models=[entry(server)], repeats=3, **ALONE)
        results = evaluate_sweep(spec, tmp_path / "r")
        (check,) = read_repeats(results.folder)
        assert [each.raw for each in check.requests] == [(True, False, True)] * 12
        assert [each.strict for each in check.requests] == [(True, False, True)] * 12
        assert (check.flips(), check.canonical_flips(), check.strict_flips()) == (12, 12, 12)
        assert check.gaps() == (0.0, None, 0.0)
        assert {each.condition for each in check.requests} == {"id", "ood"}
        sent = len(server.bodies)
        evaluate_sweep(spec, tmp_path / "r")
        assert len(server.bodies) == sent
        more = spec.model_copy(update={"repeats": 4})
        evaluate_sweep(more, tmp_path / "r")
        probes = sum(not query_of(body).startswith("Q: ") for body in server.bodies[sent:])
        assert len(server.bodies) - sent - probes == 12  # one time more
        evaluate_sweep(spec, tmp_path / "r")  # fewer times: all that was asked is kept
    (check,) = read_repeats(results.folder)
    assert [each.raw for each in check.requests] == [(True, False, True, False)] * 12
    assert [each.raw for each in check.whole] == [(True, False, True)] * 12
    assert verify_store(results.folder) == []


def test_repeats_change_no_result_and_no_key(toy_card, tmp_path) -> None:
    plain, repeated = (
        evaluate_sweep(sweep(toy_card, repeats=n, **ALONE), tmp_path / f"{n}") for n in (1, 3)
    )
    assert [info.key for info in plain.infos] == [info.key for info in repeated.infos]
    assert not (plain.folder / "repeats.json").exists()
    (check,) = read_repeats(repeated.folder)
    assert check.flips() == 0
    assert all(each.strict is None for each in check.requests)


def test_a_model_in_float32_never_flips(tmp_path) -> None:
    spec = sweep("scan", models=["nano-codegen-xxs"], repeats=2, **{**ALONE, "limit": 1})
    (check,) = read_repeats(evaluate_sweep(spec, tmp_path / "r").folder)
    assert len(check.whole) == 4
    assert (check.flips(), check.canonical_flips()) == (0, 0)
    assert check.gaps()[0] == check.gaps()[1]


def test_a_stopped_run_keeps_what_it_has_and_asks_for_the_rest(toy_card, tmp_path) -> None:
    answer = Fickle()

    def failing(connection: Connection, body: Body) -> None:
        if query_of(body).startswith("Q: ") and sum(answer.seen.values()) >= 17:
            connection.send_json({"error": "quota"}, 400)
        else:
            answer(connection, body)

    with serving(chat_only(failing)) as server:
        one_by_one = {"concurrency": 1}
        spec = sweep(toy_card, models=[entry(server, **one_by_one)], repeats=2, **ALONE)
        folder = evaluate_sweep(spec, tmp_path / "r").folder
        (check,) = read_repeats(folder)
        assert (len(check.whole), len(check.requests)) == (5, 12)
        assert "5 requests asked 2 times" in str(check)
        assert "7 more requests lack a response" in str(check)
        server.answer = chat_only(answer)
        before = sum(answer.seen.values())
        evaluate_sweep(spec, folder)
        assert sum(answer.seen.values()) - before == 7
    assert len(read_repeats(folder)[0].whole) == 12


def test_a_model_that_cannot_be_loaded_again_is_left_out(
    toy_card, tmp_path, monkeypatch, caplog
) -> None:
    spec = sweep(toy_card, **ALONE)
    evaluate_sweep(spec, tmp_path / "r")

    def fails(*_: object) -> models.Model:
        raise ModelError("gone")

    monkeypatch.setattr(models, "load_model", fails)
    evaluate_sweep(spec.model_copy(update={"repeats": 2}), tmp_path / "r")
    assert "is not asked again: gone" in caplog.text
    assert read_repeats(tmp_path / "r") == []


def test_a_damaged_file_is_named_and_made_anew(toy_card, tmp_path, caplog) -> None:
    spec = sweep(toy_card, repeats=2, **ALONE)
    folder = evaluate_sweep(spec, tmp_path / "r").folder
    path, checks = folder / "repeats.json", read_repeats(folder)
    path.write_bytes(path.read_bytes().replace(b"false", b"true", 1))
    assert [fault.path for fault in verify_store(folder)] == [path]
    with pytest.raises(StoreError, match=r"repeats\.json: damaged"):
        read_repeats(folder)
    evaluate_sweep(spec, folder)
    assert "it is set aside, and made anew" in caplog.text
    assert read_repeats(folder) == checks


def test_the_conditions_of_a_query_are_chosen_together(toy_card) -> None:
    plan = plan_sweep(sweep(toy_card, shots=[2], seeds=[0, 1], limit=30))
    chosen = sample_requests(plan, plan.models[0], SAMPLE)
    assert len(chosen) == SAMPLE
    infos = {cell.info.key: cell.info for cell in plan.cells}
    at = Counter(
        (infos[each.cell].query_split, infos[each.cell].seed, each.query_id) for each in chosen
    )
    assert set(at.values()) == {2}
    assert sample_requests(plan, plan.models[0], 10) == chosen[:10]


def test_run_analyze_and_json_tell_of_flips(toy_card, tmp_path) -> None:
    with serving(chat_only(Fickle())) as server:
        spec = sweep(toy_card, models=[entry(server)], repeats=2, **ALONE)
        folder = evaluate_sweep(spec, tmp_path / "r").folder
    shown = CliRunner().invoke(app, ["analyze", str(folder), "-v"]).output
    said = (
        "note: repeats: m, 12 requests asked 2 times: 12 flips between right and wrong, "
        "12 canonical, 12 as whole responses; gap of these 0.000 as run, undefined again"
    )
    assert said in " ".join(shown.split())
    found = json.loads(CliRunner().invoke(app, ["analyze", str(folder), "--json"]).output)
    (check,) = found["repeats"]
    assert (check["model"], check["flips"], check["gaps"]) == ("m", 12, [0.0, None])
    assert found["tokens"][0]["completion_tokens"] == 36


@given(
    outcomes=st.lists(
        st.tuples(st.sampled_from(["id", "ood"]), st.lists(st.booleans(), min_size=2, max_size=2))
    )
)
def test_flips_are_those_that_differ_and_never_more_than_there_are(outcomes) -> None:
    requests = tuple(
        RepeatedRequest("c", str(n), condition, tuple(raw), tuple(raw))
        for n, (condition, raw) in enumerate(outcomes)
    )
    check = RepeatCheck("m", 2, requests)
    assert check.flips() == sum(first != again for _, (first, again) in outcomes)
    if check.flips() == 0:
        assert check.gaps()[0] == check.gaps()[1]
    assert len(check.gaps()) == 2

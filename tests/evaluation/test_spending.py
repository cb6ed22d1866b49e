"""What models cost, over several runs into one folder."""

from __future__ import annotations

import json
from typing import Any

import pytest
from serving import Body, Connection, Server, chat_only, query_of, serving
from toys import sweep
from typer.testing import CliRunner

from icl_gap.cli import app
from icl_gap.cli.answer import spent_line
from icl_gap.errors import InferenceError, StoreError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.evaluation.spending import count_tokens_used, read_spending
from icl_gap.results import open_results, verify_store

PRICE = {"prompt": 1_000_000, "completion": 1_000_000}
"""A dollar a token."""
THINKING = {
    "prompt_tokens": 1,
    "completion_tokens": 9,
    "completion_tokens_details": {"reasoning_tokens": 6},
}
"""Ten dollars."""
ALONE: dict[str, Any] = {"shots": [2], "seeds": [0], "limit": 3}
"""Twelve requests."""


def entry(server: Server, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "openai",
        "model": "m",
        "base_url": server.url,
        "thinking_tokens": 100,
        "max_attempts": 1,
        "concurrency": 1,
        "price": PRICE,
        **fields,
    }


def thinks(connection: Connection, body: Body) -> None:
    if query_of(body).startswith("Q: "):
        connection.send_message("A 1", reasoning_content="hm", usage=THINKING)
    else:
        connection.send_message("OK", usage={"prompt_tokens": 0, "completion_tokens": 0})


def asked(server: Server) -> int:
    """The requests that were sent to a chat, without probes."""
    return sum("messages" in body and query_of(body).startswith("Q: ") for body in server.bodies)


def test_max_cost_counts_thinking_and_holds_over_several_runs(toy_card, tmp_path) -> None:
    with serving(chat_only(thinks)) as server:
        for limit, sent in ((45, 5), (45, 5), (49, 5), (75, 8)):
            spec = sweep(toy_card, models=[entry(server, max_cost=limit)], **ALONE)
            with pytest.raises(InferenceError, match=rf"max_cost \(\${limit}\) is reached"):
                evaluate_sweep(spec, tmp_path / "r")
            assert asked(server) == sent
        (spent,) = read_spending(tmp_path / "r")
        assert (spent.model, spent.dollars) == ("m", 80.0)
        done = evaluate_sweep(
            sweep(toy_card, models=[entry(server, max_cost=1000)], **ALONE), tmp_path / "r"
        )
        assert asked(server) == 12
    assert read_spending(done.folder)[0].dollars == 120.0
    assert verify_store(done.folder) == []


def test_failed_attempts_and_repeats_are_paid_too(toy_card, tmp_path) -> None:
    def calling(connection: Connection, body: Body) -> None:
        if query_of(body).startswith("Q: "):
            connection.send_message(None, tool_calls=[{"type": "function"}], usage=THINKING)
        else:
            thinks(connection, body)

    with serving(chat_only(calling)) as server:
        spec = sweep(toy_card, models=[entry(server, max_cost=10_000)], **ALONE)
        with pytest.raises(InferenceError, match="calls a tool"):
            evaluate_sweep(spec, tmp_path / "r")
        assert read_spending(tmp_path / "r")[0].dollars == 120.0
        server.answer = chat_only(thinks)
        evaluate_sweep(spec.model_copy(update={"repeats": 2}), tmp_path / "r")
    assert read_spending(tmp_path / "r")[0].dollars == 120.0 + 120.0 + 120.0


def test_repeats_stop_at_max_cost(toy_card, tmp_path) -> None:
    with serving(chat_only(thinks)) as server:
        spec = sweep(toy_card, models=[entry(server, max_cost=145)], repeats=2, **ALONE)
        evaluate_sweep(spec, tmp_path / "r")
        assert asked(server) == 15
        evaluate_sweep(spec, tmp_path / "r")
        assert asked(server) == 15


def test_tokens_and_dollars_of_each_model_are_shown(toy_card, tmp_path) -> None:
    with serving(chat_only(thinks)) as server:
        spec = sweep(toy_card, models=["nearest", entry(server)], **ALONE)
        results = evaluate_sweep(spec, tmp_path / "r")
    nearest, paid = count_tokens_used(results)
    assert (nearest.prompt_tokens, nearest.completion_tokens, nearest.dollars) == (None,) * 3
    assert (paid.requests, paid.prompt_tokens, paid.completion_tokens) == (12, 12, 108)
    assert (paid.reasoning_tokens, paid.dollars) == (72, 120.0)
    frame = results.frame()
    rows = frame[frame["model"] == "m"]
    assert set(rows["usage_reasoning_tokens"]) == {6}
    assert rows["usage_cached_tokens"].isna().all()
    shown = " ".join(CliRunner().invoke(app, ["analyze", str(tmp_path / "r"), "-v"]).output.split())
    said = "tokens of m: 12 read, 108 written, 72 of these for thinking, $120.0000 in all"
    assert f"{said} (12 requests)" in shown
    assert "tokens of nearest" not in shown
    assert spent_line(tmp_path / "r") == "spent, all runs into this folder: $120.0000 (m $120.0000)"
    found = json.loads(CliRunner().invoke(app, ["analyze", str(tmp_path / "r"), "--json"]).output)
    assert [row["model"] for row in found["tokens"]] == ["m"]
    folder = tmp_path / "csv"
    CliRunner().invoke(app, ["analyze", str(tmp_path / "r"), "--csv", str(folder)])
    head, row = (folder / "tokens.csv").read_text().splitlines()
    assert dict(zip(head.split(","), row.split(","), strict=True))["reasoning_tokens"] == "72"
    assert (folder / "points.csv").exists()


def test_a_model_here_counts_the_tokens_of_its_prompts(tmp_path) -> None:
    results = evaluate_sweep(sweep("scan", models=["nano-codegen-xxs"], **ALONE), tmp_path / "r")
    (use,) = count_tokens_used(results)
    assert use.prompt_tokens == sum(r.prompt_tokens for cell in results for r in cell.records)
    assert (use.completion_tokens, use.dollars) == (None, None)
    assert spent_line(tmp_path / "r") is None


def test_a_damaged_ledger_stops_a_run_before_it_spends(toy_card, tmp_path) -> None:
    with serving(chat_only(thinks)) as server:
        spec = sweep(toy_card, models=[entry(server, max_cost=45)], **ALONE)
        with pytest.raises(InferenceError):
            evaluate_sweep(spec, tmp_path / "r")
        path = tmp_path / "r" / "spending.json"
        path.write_bytes(path.read_bytes().replace(b"50", b"00", 1))
        sent = len(server.bodies)
        with pytest.raises(StoreError, match="move it away, and `max_cost` counts from 0"):
            evaluate_sweep(spec, tmp_path / "r")
        assert len(server.bodies) == sent


def test_results_of_before_have_no_counts_of_thinking(toy_card, tmp_path) -> None:
    """Lines without the newer counts are read as before, by Arrow and one by one."""
    from icl_gap.results.cell_files import with_checksum

    with serving(chat_only(thinks)) as server:
        spec = sweep(toy_card, models=[entry(server, price=None)], **ALONE)
        results = evaluate_sweep(spec, tmp_path / "r")
    for path, info in zip(results.paths, results.infos, strict=True):
        head, *lines = path.read_text().splitlines()
        old = []
        for line in lines:
            value = json.loads(line)
            del value["crc"]
            for name in ("reasoning_tokens", "cached_tokens"):
                del value["usage"][name]
            old.append(with_checksum(json.dumps(value, separators=(",", ":")), info.key))
        path.write_text("\n".join([head, *old]) + "\n")
    again = open_results(results.folder)
    frame = again.frame()
    assert frame["usage_reasoning_tokens"].isna().all()
    assert set(frame["usage_completion_tokens"]) == {9}
    assert again[0].records[0].usage.reasoning_tokens is None
    (use,) = count_tokens_used(again)
    assert (use.completion_tokens, use.reasoning_tokens) == (108, None)

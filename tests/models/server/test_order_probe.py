"""Log-probabilities that are not true, or that depend on what came before, decide nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from scoring_servers import (
    MadeUpScores,
    Row,
    echo_with_new_token_alone,
    echoed,
    new_token_alone,
    nothing,
    nulls,
    rows_of,
    too_short,
    with_prompt_logprobs,
    zeros,
)
from serving import chat_only, serving
from toys import sweep

from icl_gap.errors import ModelError
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.models import Model, OpenAISpec, Request, identify, load_model
from icl_gap.models.server.order_probe import MOST_CHANGE
from icl_gap.schema import Prompt, Response

GOLD = " a b"
REQUESTS = [Request(Prompt(str(n), "", (), f"Say {n}\nAnswer:"), GOLD, "\n", 40) for n in range(6)]
Fault = Callable[[list[Row], int, bool], list[Row]]


def model(url: str, **fields: Any) -> Model:
    spec = OpenAISpec.model_validate({"kind": "openai", "model": "m", "base_url": url, **fields})
    return load_model(spec, identify(spec))


def raised(by: float) -> Callable[[list[Row]], list[Row]]:
    """Lowers the log-probability of every third token; one that was the best no longer is."""
    return lambda rows: [
        (token, value - by, best, rival) if n % 3 == 0 else (token, value, best, rival)
        for n, (token, value, best, rival) in enumerate(rows)
    ]


def stale(rows: list[Row], before: int, known: bool) -> list[Row]:
    """vLLM's issue 42019: parts of the result are those of an earlier request."""
    del known
    return raised(2.0)(rows) if before else rows


def when_warm(rows: list[Row], _: int, known: bool) -> list[Row]:
    """Values change where a text was scored before."""
    return raised(2.0)(rows) if known else rows


def impossible_when_warm(rows: list[Row], _: int, known: bool) -> list[Row]:
    return [(token, 3.0e8, *best) for token, _, *best in rows] if known else rows


def missing_when_warm(rows: list[Row], _: int, known: bool) -> list[Row]:
    return rows[:-20] if known else rows


def verdict_when_warm(rows: list[Row], _: int, known: bool) -> list[Row]:
    """The token keeps its value, and another one is ahead of it."""
    return [(t, v, " other", v + 1.0 if v < -1 else v) for t, v, *_ in rows] if known else rows


@pytest.mark.parametrize(
    "fault", [stale, when_warm, impossible_when_warm, missing_when_warm, verdict_when_warm]
)
@pytest.mark.parametrize("mode", ["auto", "echo"])
def test_values_that_depend_on_what_came_before_are_not_used_and_this_is_said_once(
    fault, mode, caplog
) -> None:
    answers = MadeUpScores(echoed, fault, decoded=f"{GOLD}\n")
    with serving(answers) as server, caplog.at_level(logging.WARNING):
        found = model(server.url, logprobs=mode)
        scored = len(answers.scored)
        outcomes = [outcome for _, outcome in found.respond(REQUESTS)]
    assert found.info.prompt_logprobs == "unstable"
    assert len(answers.scored) == scored, "no verdict is asked for"
    for outcome in outcomes:
        assert isinstance(outcome, Response)
        assert (outcome.completion.text, outcome.gold_logprob) == (GOLD, None)
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith("m: log-probabilities of a prompt (echo) change by ")
    assert "responses are decoded" in said[0]


@pytest.mark.parametrize(
    ("shape", "source"), [(echoed, "echo"), (with_prompt_logprobs, "prompt_logprobs")]
)
def test_values_that_depend_on_the_text_alone_are_used(shape, source, caplog) -> None:
    with serving(MadeUpScores(shape)) as server, caplog.at_level(logging.WARNING):
        found = model(server.url)
        outcomes = dict(found.respond(REQUESTS))
    assert found.info.prompt_logprobs == source
    assert not caplog.text
    for request in REQUESTS:
        rows = rows_of(request.prompt.text + GOLD)[-2:]
        mean = (rows[0][1] + rows[1][1]) / 2
        assert outcomes[request.id].gold_logprob == pytest.approx(mean)


@pytest.mark.parametrize("change", [0.01, 0.24, 0.26, 2.0])
def test_rounding_is_let_pass_and_more_is_not(change) -> None:
    def fault(rows: list[Row], _: int, known: bool) -> list[Row]:
        return [(t, v - change, b, r - change) for t, v, b, r in rows] if known else rows

    with serving(MadeUpScores(echoed, fault)) as server:
        found = model(server.url)
    assert found.info.prompt_logprobs == ("echo" if change < MOST_CHANGE else "unstable")


SILENT = [new_token_alone, echo_with_new_token_alone, nothing, nulls, zeros, too_short]


@pytest.mark.parametrize("shape", SILENT)
def test_a_server_that_gives_none_is_found_out_by_its_values(shape, caplog) -> None:
    answers = MadeUpScores(shape, decoded=f"{GOLD}\n")
    with serving(answers) as server, caplog.at_level(logging.WARNING):
        found = model(server.url)
        scored = len(answers.scored)
        outcomes = [outcome for _, outcome in found.respond(REQUESTS)]
    assert found.info.prompt_logprobs == "none"
    assert len(answers.scored) == scored
    assert {outcome.completion.text for outcome in outcomes} == {GOLD}
    assert {outcome.gold_logprob for outcome in outcomes} == {None}
    assert not caplog.text


@pytest.mark.parametrize("shape", SILENT)
def test_a_way_that_an_entry_names_and_the_server_lacks_fails_the_model(shape) -> None:
    with (
        serving(MadeUpScores(shape)) as server,
        pytest.raises(ModelError, match="`logprobs: echo`, and the server gives no log-prob"),
    ):
        model(server.url, logprobs="echo")


@pytest.mark.parametrize(
    "rows",
    [
        lambda rows: [(t, -1.0, t, -1.0) for t, *_ in rows],
        lambda rows: [(t, -9.0, " other", -0.1) for t, *_ in rows],
        lambda rows: [(t, v / 100, b, r / 100) for t, v, b, r in rows],
        lambda rows: [(t, v, t, v) for t, v, *_ in rows],
    ],
    ids=["one value", "one value, and wrong", "too likely", "all the best"],
)
def test_values_that_no_model_gives_to_random_texts_are_not_used(rows) -> None:
    with serving(MadeUpScores(echoed, lambda found, *_: rows(found))) as server:
        assert model(server.url).info.prompt_logprobs == "none"


def test_provenance_says_where_verdicts_come_from(toy_card, tmp_path) -> None:
    chosen = {"shots": [2], "seeds": [0], "limit": 2}
    for fault, source in ((lambda rows, *_: rows, "echo"), (stale, "unstable")):
        with serving(MadeUpScores(echoed, fault, decoded=" A 1\n")) as server:
            entry = {"kind": "openai", "model": "m", "base_url": server.url}
            plan = sweep(toy_card, models=[entry], **chosen)
            results = evaluate_sweep(plan, tmp_path / source)
        assert {info.provenance["prompt_logprobs"] for info in results.infos} == {source}
    with serving(chat_only(lambda c, _: c.send_message("A"))) as server:
        entry = {"kind": "openai", "model": "m", "base_url": server.url}
        plan = sweep(toy_card, models=[entry], **chosen)
        results = evaluate_sweep(plan, tmp_path / "chat")
    assert not any("prompt_logprobs" in info.provenance for info in results.infos)

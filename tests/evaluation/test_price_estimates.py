"""What a sweep on a server is estimated to cost, beside what it then costs."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from serving import chat_only, query_of, serving
from toys import sweep
from typer.testing import CliRunner

from icl_gap.cli import app
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.price_estimates import cost_warnings, estimate_prices
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.evaluation.spending import read_spending

AWAY = {"kind": "openai", "model": "m", "base_url": "https://example.invalid/v1"}
PRICE = {"prompt": 2.0, "completion": 10.0}
ALONE: dict[str, Any] = {"shots": [2], "seeds": [0], "limit": 3}


def estimates(card: str, *, repeats: int = 1, **fields: Any) -> list[Any]:
    model = {**AWAY, "price": PRICE, **fields}
    return list(estimate_prices(plan_sweep(sweep(card, models=[model], repeats=repeats, **ALONE))))


def test_characters_stand_for_tokens_and_the_bound_for_the_most(toy_card) -> None:
    (found,) = estimates(toy_card, api="chat", thinking_tokens=1000)
    plan = plan_sweep(sweep(toy_card, models=[{**AWAY, "api": "chat"}], **ALONE))
    requests = [request for cell in plan.cells for request in plan.requests(cell)]
    texts = ["".join(each.content for each in r.prompt.messages) for r in requests]
    assert (found.requests, found.counted) == (12, False)
    assert found.tokens.prompt == sum(-(-len(text) // 4) for text in texts)
    assert found.tokens.most_prompt == found.tokens.prompt
    (less,) = estimates(toy_card, api="chat", thinking_tokens=0)
    assert found.tokens.most - less.tokens.most == 12 * 1000
    assert found.most == pytest.approx((found.tokens.prompt * 2 + found.tokens.most * 10) / 1e6)
    assert found.typical < less.most < found.most
    (bound,) = estimates(toy_card, api="chat", max_completion_tokens=7)
    assert bound.tokens.most == 12 * 7


def test_a_tokenizer_counts_prompts() -> None:
    (found,) = estimates("scan", tokenizer="nano-codegen-m", context_length=1024, api="chat")
    plan = plan_sweep(sweep("scan", models=["nano-codegen-m"], **ALONE))
    counted = sum(sum(plan.sizes(cell).prompt_tokens) for cell in plan.cells)
    assert (found.counted, found.tokens.prompt) == (True, counted)


def test_a_completion_may_be_sent_twice(toy_card) -> None:
    (twice,) = estimates(toy_card, api="completions")
    (once,) = estimates(toy_card, api="completions", logprobs="none")
    assert twice.tokens.most_prompt > 2 * once.tokens.most_prompt == 2 * twice.tokens.prompt


def test_repeats_are_estimated_and_free_models_are_not(toy_card) -> None:
    asked, again = estimates(toy_card, api="chat", repeats=3)
    assert (again.benchmark, again.requests) == ("repeats", 24)
    assert again.most == pytest.approx(2 * asked.most)
    assert estimates(toy_card, price=None) == []


@pytest.mark.parametrize(
    ("max_cost", "said"), [(1e-6, "ends the sweep early"), (0.01, "may end"), (100, None)]
)
def test_a_limit_that_ends_the_sweep_early_is_told(toy_card, max_cost, said) -> None:
    model = {**AWAY, "price": PRICE, "max_cost": max_cost, "api": "chat"}
    plan = plan_sweep(sweep(toy_card, models=[model], **ALONE))
    warnings = list(cost_warnings(estimate_prices(plan), plan))
    assert [said in warning for warning in warnings] == ([True] if said else [])


def test_the_plan_shows_prices_and_where_they_come_from(toy_card, tmp_path) -> None:
    path = tmp_path / "sweep.yaml"
    fields = {"name": "s", "datasets": [toy_card], **ALONE}
    path.write_text(yaml.safe_dump({**fields, "models": [{**AWAY, "price": PRICE}]}))
    shown = CliRunner().invoke(app, ["plan", str(path)], catch_exceptions=False).output
    assert "price, without requests that are sent again" in shown
    assert "~ is an estimate of 4 characters a token" in " ".join(shown.split())
    path.write_text(yaml.safe_dump({**fields, "models": [AWAY]}))
    assert "price" not in CliRunner().invoke(app, ["plan", str(path)]).output


def test_no_run_costs_more_than_the_most(toy_card, tmp_path) -> None:
    def at_the_bound(connection: Any, body: dict[str, Any]) -> None:
        most = body["max_tokens"]
        sent = sum(len(each["content"]) for each in body["messages"])
        usage = {"prompt_tokens": -(-sent // 4), "completion_tokens": most}
        if query_of(body).startswith("Q: "):
            connection.send_message("A 1 and on", finish_reason="length", usage=usage)
        else:
            connection.send_message("OK", usage={"prompt_tokens": 0, "completion_tokens": 0})

    with serving(chat_only(at_the_bound)) as server:
        model = {**AWAY, "base_url": server.url, "price": PRICE, "api": "chat"}
        spec = sweep(toy_card, models=[model], **ALONE)
        (found,) = estimate_prices(plan_sweep(spec))
        evaluate_sweep(spec, tmp_path / "r")
    (spent,) = read_spending(tmp_path / "r")
    assert found.most * 0.98 < spent.dollars <= found.most * 1.02

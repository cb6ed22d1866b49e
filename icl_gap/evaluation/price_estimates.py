"""Estimates of what a sweep costs on servers whose `price` is known; nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from icl_gap.evaluation.grid import group_into_jobs
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.evaluation.planning import Plan
from icl_gap.evaluation.repeated import sample_requests
from icl_gap.evaluation.repeats import SAMPLE
from icl_gap.models import OpenAISpec, Request
from icl_gap.models.spec import Price
from icl_gap.models.stopping import max_new_tokens
from icl_gap.schema import Predictions

CHARACTERS = 4
"""Characters of a token, where no tokenizer counts. About that many are in a token of English text
(the help pages of OpenAI say so); programs take fewer."""


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """Tokens of one request, or of several."""

    prompt: int
    """Of the prompt, sent once."""
    typical: int
    """Of a response as long as the gold target, without thinking."""
    most_prompt: int
    """Of the prompt, as often as it may be sent, with what may be sent behind it."""
    most: int
    """Bound on the tokens of the response, those of thinking included."""

    def __add__(self, other: TokenEstimate) -> TokenEstimate:
        """Return the tokens of both."""
        return TokenEstimate(
            self.prompt + other.prompt,
            self.typical + other.typical,
            self.most_prompt + other.most_prompt,
            self.most + other.most,
        )


@dataclass(frozen=True, slots=True)
class PriceEstimate:
    """The price of one model on one benchmark, before anything is sent; retries come on top."""

    model: str
    benchmark: str
    """The benchmark, or `repeats` for the requests that are asked again."""
    requests: int
    """Number of requests, those of equal content once."""
    tokens: TokenEstimate
    counted: bool
    """True if a tokenizer counts the tokens of prompts, False if characters do."""
    price: Price

    @property
    def typical(self) -> float:
        """Dollars for responses as long as the gold targets, without thinking."""
        return self.price.dollars(self.tokens.prompt, self.tokens.typical)

    @property
    def most(self) -> float:
        """Dollars for responses that all reach their bound."""
        return self.price.dollars(self.tokens.most_prompt, self.tokens.most)


def estimate_prices(plan: Plan) -> Iterator[PriceEstimate]:
    """Estimate the price of each priced model on each benchmark, and of its repeats.

    Args:
        plan: The sweep's plan.
    """
    jobs = group_into_jobs(plan.cells)
    for model in plan.models:
        if not isinstance(model.spec, OpenAISpec) or model.spec.price is None:
            continue
        for cells in jobs:
            if cells[0].model is model:
                requests = (request for cell in cells for request in plan.requests(cell))
                name = cells[0].benchmark.data.name
                yield _estimate(name, model, requests, plan.sweep.predictions)
        if plan.sweep.repeats > 1:
            sample = sample_requests(plan, model, SAMPLE)
            again = _estimate("repeats", model, sample, plan.sweep.predictions)
            yield _times(again, plan.sweep.repeats - 1)


def cost_warnings(estimates: Iterable[PriceEstimate], plan: Plan) -> Iterator[str]:
    """Yield a note for each model whose `max_cost` may end the sweep early.

    Args:
        estimates: The estimates of the plan.
        plan: The sweep's plan.
    """
    found = list(estimates)
    for model in plan.models:
        most = getattr(model.spec, "max_cost", None)
        name = model.identity.name
        typical, dearest = (
            sum(getattr(each, field) for each in found if each.model == name)
            for field in ("typical", "most")
        )
        if most is not None and typical > most:
            yield f"max_cost (${most:g}) of {name} ends the sweep early; ${typical:,.2f} is typical"
        elif most is not None and dearest > most:
            yield (
                f"max_cost (${most:g}) of {name} may end the sweep early, "
                f"which costs ${dearest:,.2f} at most"
            )


def _estimate(
    name: str, model: SweepModel, requests: Iterable[Request], predictions: Predictions
) -> PriceEstimate:
    spec = model.spec
    if not isinstance(spec, OpenAISpec) or spec.price is None:
        raise TypeError("only models with a price have an estimate")
    sent = list({request.content: request for request in requests if request.fits}.values())
    total = TokenEstimate(0, 0, 0, 0)
    for request in sent:
        total += _tokens(spec, request, predictions)
    counted = model.tokenizer is not None
    return PriceEstimate(model.identity.name, name, len(sent), total, counted, spec.price)


def _tokens(spec: OpenAISpec, request: Request, predictions: Predictions) -> TokenEstimate:
    from icl_gap.models.server.chat_exchange import most_tokens  # brings openai in

    messages = request.prompt.messages
    text = "".join(each.content for each in messages) if messages else request.prompt.text
    prompt = request.tokens if request.tokens is not None else _from_characters(text)
    gold = _from_characters(request.gold)
    most_prompt = prompt
    if spec.api != "chat" and spec.logprobs != "none" and predictions == "verdict":
        most_prompt = 2 * prompt + gold  # the gold text is scored, then a response is decoded
    most = max_new_tokens(stop=request.stop, max_new_bytes=request.max_new_bytes)
    if spec.api != "completions":
        most = most_tokens(spec, request)
    return TokenEstimate(prompt, min(gold, most), most_prompt, most)


def _from_characters(text: str) -> int:
    return -(-len(text) // CHARACTERS)


def _times(estimate: PriceEstimate, times: int) -> PriceEstimate:
    one = estimate.tokens
    tokens = TokenEstimate(
        *(times * n for n in (one.prompt, one.typical, one.most_prompt, one.most))
    )
    return PriceEstimate(
        estimate.model,
        estimate.benchmark,
        times * estimate.requests,
        tokens,
        estimate.counted,
        estimate.price,
    )

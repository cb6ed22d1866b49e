"""Verdicts out of a real model's log-probabilities, against the local backend."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest
from serving import ModelAnswers, Server, serving

from icl_gap import data, prompts
from icl_gap.models import Model, OpenAISpec, Request, TransformersSpec, identify, load_model
from icl_gap.models.shipped import shipped_folder
from icl_gap.programs.tokens import TOKENS
from icl_gap.sampling import sample_exemplars
from icl_gap.schema import Response

MODELS = ("nano-codegen-xxs", "nano-codegen-xs", "nano-bloom-s")
NEAR = pytest.approx


@pytest.fixture(scope="module", params=[*product(MODELS, ["echo"]), (MODELS[1], "prompt_logprobs")])
def server(request) -> Iterator[tuple[str, str, Server]]:
    name, gives = request.param
    with serving(ModelAnswers(shipped_folder(name), gives)) as server:
        yield name, gives, server


def local(name: str) -> Model:
    spec = TransformersSpec(model=name)
    return load_model(spec, identify(spec))


def remote(name: str, server: Server, **fields: Any) -> Model:
    spec = OpenAISpec.model_validate(
        {"kind": "openai", "model": name, "base_url": server.url, "tokenizer": name, **fields}
    )
    return load_model(spec, identify(spec))


def requests(*, following: bool = True, n: int = 12) -> list[Request]:
    card = data.load_card("scan")
    scan = data.load_split(card, "simple", None)
    template = prompts.Template(**card.template)
    found = []
    for shown in sample_exemplars(
        scan, query_split="test", condition="id", shots=8, seed=0, limit=n
    ):
        target = shown.query.target
        can_still_match = partial(TOKENS.can_still_match, target=target) if following else None
        found.append(
            Request(
                prompts.render(template, shown), prompts.gold(target), "\n", 400, can_still_match
            )
        )
    return found


def responses(model: Model, sent_requests: list[Request], **options: Any) -> list[Response]:
    outcomes = dict(model.respond(sent_requests, **options))
    found = [outcomes[request.id] for request in sent_requests]
    assert all(isinstance(outcome, Response) for outcome in found), found
    return found


@pytest.mark.parametrize("following", [True, False])
def test_a_servers_verdicts_are_those_of_its_model(server, following) -> None:
    name, _, serving_it = server
    sent_requests = requests(following=following)
    here = responses(local(name), sent_requests)
    there = responses(remote(name, serving_it), sent_requests)
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.completion == ours.completion
        assert theirs.divergence == ours.divergence
        assert theirs.gold_tokens == ours.gold_tokens
        assert theirs.gold_logprob == NEAR(ours.gold_logprob, abs=1e-3)
        assert theirs.usage is not None
    if name != "nano-codegen-xxs":
        assert {answer.completion is None for answer in there} == {True, False}


def test_a_verdict_takes_one_request(server) -> None:
    name, gives, serving_it = server
    model = remote(name, serving_it)
    before = len(serving_it.bodies)
    sent_requests = requests(following=False)
    responses(model, sent_requests)
    sent = serving_it.bodies[before:]
    assert len(sent) == len(sent_requests)
    assert all(gives in body and body["max_tokens"] == 1 for body in sent)


def test_whole_answers_are_decoded(server) -> None:
    name, _, serving_it = server
    sent_requests = requests(n=6)
    here = responses(local(name), sent_requests, predictions="full")
    there = responses(remote(name, serving_it), sent_requests, predictions="full")
    assert [each.completion for each in there] == [each.completion for each in here]
    assert [each.divergence for each in there] == [each.divergence for each in here]
    assert {each.gold_logprob for each in there} == {None}


def test_without_a_tokenizer_right_and_wrong_are_the_same(server) -> None:
    name, _, serving_it = server
    sent_requests = requests(n=6)
    here = responses(local(name), sent_requests)
    there = responses(remote(name, serving_it, tokenizer=None), sent_requests)
    assert [each.completion for each in there] == [each.completion for each in here]
    assert [each.gold_tokens for each in there] == [each.gold_tokens for each in here]


@pytest.mark.parametrize("mode", ["auto", "none"])
def test_a_server_without_log_probabilities_decodes(mode) -> None:
    name = "nano-codegen-m"
    sent_requests = requests(n=6)
    with serving(ModelAnswers(shipped_folder(name))) as server:
        there = responses(remote(name, server, logprobs=mode), sent_requests)
        assert len(server.bodies) == 6 + (3 if mode == "auto" else 1), "the probes"
    here = responses(local(name), sent_requests)
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.divergence == ours.divergence
        assert ours.completion in {theirs.completion, None}


def test_the_context_is_kept() -> None:
    name = "nano-codegen-m"
    with serving(ModelAnswers(shipped_folder(name), "echo")) as server:
        sent_requests = requests(n=3)
        model = remote(name, server, context_length=20)
        probes = len(server.bodies)
        outcomes = dict(model.respond(sent_requests))
        assert len(server.bodies) == probes
    assert all("fewer than 20" in str(outcome) for outcome in outcomes.values())

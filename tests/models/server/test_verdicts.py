"""Verdicts out of a real model's log-probabilities, against the local backend."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

import pytest
from serving import ModelAnswers, Server, serving

from icl_gap import data, prompts, scoring
from icl_gap.models import Model, OpenAISpec, Question, TransformersSpec, identify, load
from icl_gap.models.shipped import shipped_folder
from icl_gap.sampling import sample_exemplars
from icl_gap.schema import Answer

MODELS = ("nano-codegen-xxs", "nano-codegen-s", "nano-bloom-m")
NEAR = pytest.approx


@pytest.fixture(scope="module", params=[*product(MODELS, ["echo"]), (MODELS[1], "prompt_logprobs")])
def server(request) -> Iterator[tuple[str, str, Server]]:
    name, gives = request.param
    with serving(ModelAnswers(shipped_folder(name), gives)) as server:
        yield name, gives, server


def local(name: str) -> Model:
    spec = TransformersSpec(model=name)
    return load(spec, identify(spec))


def remote(name: str, server: Server, **fields: Any) -> Model:
    spec = OpenAISpec.model_validate(
        {"kind": "openai", "model": name, "base_url": server.url, "tokenizer": name, **fields}
    )
    return load(spec, identify(spec))


def questions(*, hopes: bool = True, n: int = 12) -> list[Question]:
    card = data.load_card("scan")
    scan = data.load(card, "simple", None)
    template = prompts.Template(**card.template)
    found = []
    for shown in sample_exemplars(
        scan, query_split="test", condition="id", shots=8, seed=0, limit=n
    ):
        target = shown.query.target
        hope = partial(scoring.can_match, target=target, form="tokens") if hopes else None
        found.append(
            Question(prompts.render(template, shown), prompts.gold(target), "\n", 400, hope)
        )
    return found


def answers(model: Model, asked: list[Question], **options: Any) -> list[Answer]:
    outcomes = dict(model.answers(asked, **options))
    found = [outcomes[place] for place in range(len(asked))]
    assert all(isinstance(outcome, Answer) for outcome in found), found
    return found


@pytest.mark.parametrize("hopes", [True, False])
def test_a_servers_verdicts_are_those_of_its_model(server, hopes) -> None:
    name, _, serving_it = server
    asked = questions(hopes=hopes)
    here = answers(local(name), asked)
    there = answers(remote(name, serving_it), asked)
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
    asked = questions(hopes=False)
    answers(model, asked)
    sent = serving_it.bodies[before:]
    assert len(sent) == len(asked)
    assert all(gives in body and body["max_tokens"] == 1 for body in sent)


def test_whole_answers_are_decoded(server) -> None:
    name, _, serving_it = server
    asked = questions(n=6)
    here = answers(local(name), asked, predictions="full")
    there = answers(remote(name, serving_it), asked, predictions="full")
    assert [each.completion for each in there] == [each.completion for each in here]
    assert [each.divergence for each in there] == [each.divergence for each in here]
    assert {each.gold_logprob for each in there} == {None}


def test_without_a_tokenizer_right_and_wrong_are_the_same(server) -> None:
    name, _, serving_it = server
    asked = questions(n=6)
    here = answers(local(name), asked)
    there = answers(remote(name, serving_it, tokenizer=None), asked)
    assert [each.completion for each in there] == [each.completion for each in here]
    assert [each.gold_tokens for each in there] == [each.gold_tokens for each in here]


@pytest.mark.parametrize("mode", ["auto", "none"])
def test_a_server_without_log_probabilities_decodes(mode) -> None:
    name = "nano-codegen-s"
    asked = questions(n=6)
    with serving(ModelAnswers(shipped_folder(name))) as server:
        there = answers(remote(name, server, logprobs=mode), asked)
        assert len(server.bodies) == 6 + (2 if mode == "auto" else 0)
    here = answers(local(name), asked)
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.divergence == ours.divergence
        assert ours.completion in {theirs.completion, None}


def test_the_context_is_kept() -> None:
    name = "nano-codegen-s"
    with serving(ModelAnswers(shipped_folder(name), "echo")) as server:
        asked = questions(n=3)
        model = remote(name, server, context_length=20)
        outcomes = dict(model.answers(asked))
        assert len(server.bodies) == 1, "the probe"
    assert all("fewer than 20" in str(outcome) for outcome in outcomes.values())

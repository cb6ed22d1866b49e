"""Models in half precision whose doubtful verdicts are asked again in float32."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import numbered
from tiny import bpe, build_tiny
from transformers import PreTrainedModel

from icl_gap.models import (
    Request,
    TransformersSpec,
    answering_seconds,
    identify,
    load_model,
    measure_footprint,
)
from icl_gap.models.hf import pass_time
from icl_gap.models.hf.adjudicated_model import AdjudicatedModel, calibrate_bound
from icl_gap.models.hf.calibration import calibrating_ids
from icl_gap.models.hf.checkpoint import in_precision
from icl_gap.models.hf.engine.packing import KVCache
from icl_gap.models.hf.engine.passes import Segment, TokenPredictions
from icl_gap.models.hf.engine.trie import TokenCounts
from icl_gap.schema import Prompt, Response


def adjudicated(folder: Path, **options: Any) -> AdjudicatedModel:
    fields = {"model": str(folder), "dtype": "bfloat16", "precision": "adjudicated", **options}
    spec = TransformersSpec.model_validate(fields)
    model = load_model(spec, identify(spec))
    assert isinstance(model, AdjudicatedModel)
    return model


def requests_of(n: int, *, likelihood: bool = False) -> list[Request]:
    """Requests whose gold targets no model foresees."""
    rng = random.Random(n)  # noqa: S311 (no secrets)
    texts = ["".join(rng.choices("walk twice\n().", k=12)) for _ in range(n)]
    golds = ["".join(rng.choices("walk twice().", k=8)) for _ in range(n)]
    return numbered(
        Request(Prompt(text, "", (), text), gold, "\n", 8, likelihood=likelihood)
        for text, gold in zip(texts, golds, strict=True)
    )


@pytest.fixture(scope="module")
def folder(make_model: Any) -> Path:
    found: Path = make_model("opt")
    return found


@pytest.fixture(scope="module")
def exact(folder: Path) -> Any:
    spec = TransformersSpec(model=str(folder))
    return load_model(spec, identify(spec))


def right(found: dict[Any, Any]) -> dict[Any, bool]:
    assert all(isinstance(each, Response) for each in found.values())
    return {id_: each.divergence is None for id_, each in found.items()}


def with_answers(model: Any, requests: Sequence[Request]) -> list[Request]:
    """The requests, of every second one the gold target is the model's own answer."""
    found = dict(model.respond(requests, predictions="full"))
    golds = [found[each.id].completion.text for each in requests]
    return numbered(
        Request(each.prompt, gold if n % 2 else each.gold, "\n", 8, likelihood=each.likelihood)
        for n, (each, gold) in enumerate(zip(requests, golds, strict=True))
    )


@pytest.mark.parametrize("likelihood", [False, True])
def test_verdicts_are_float32s_whatever_the_budget(
    folder: Path, exact: Any, likelihood: bool
) -> None:
    requests = with_answers(exact, requests_of(40, likelihood=likelihood))
    expected = right(dict(exact.respond(requests)))
    assert {False, True} <= set(expected.values())
    for budget in (16, 8192):
        found = dict(adjudicated(folder, kv_cache_tokens=budget).respond(requests))
        assert right(found) == expected
        bounds = {each.rounding_bound for each in found.values()}
        assert None in bounds  # some are asked again
        assert len(bounds) == 2  # the others are accepted, under one bound
        assert (found[requests[0].id].gold_logprob is not None) == likelihood


def test_a_resumed_run_gives_the_same_responses(folder: Path, exact: Any) -> None:
    requests = with_answers(exact, requests_of(40))
    model = adjudicated(folder)
    whole = dict(model.respond(requests))
    wanted = {each.id for each in requests[10:25]}
    resumed = dict(model.respond(requests[::-1], wanted=wanted))
    assert resumed.keys() == wanted
    for id_, response in resumed.items():
        assert response.rounding_bound == whole[id_].rounding_bound
        assert response.completion == whole[id_].completion
        assert response.divergence == whole[id_].divergence


def test_the_bound_is_the_largest_error_of_calibrating_requests_with_a_margin(
    folder: Path,
) -> None:
    model, requests = adjudicated(folder), requests_of(60)
    bound = calibrate_bound(model._half, model._exact, requests)
    assert 0 < bound < math.inf
    assert calibrate_bound(model._half, model._exact, requests[::-1]) == bound
    some = set(calibrating_ids(each.id for each in requests))
    alone = [each for each in requests if each.id in some]
    assert len(alone) == 16
    assert calibrate_bound(model._half, model._exact, alone) == bound
    assert calibrate_bound(model._exact, model._exact, requests) == 0.0


def test_too_few_near_ties_calibrate_nothing_and_all_run_in_float32(
    folder: Path, exact: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model, requests = adjudicated(folder), requests_of(2)
    assert calibrate_bound(model._half, model._exact, requests) == math.inf
    found = dict(model.respond(requests))
    assert right(found) == right(dict(exact.respond(requests)))
    assert {each.rounding_bound for each in found.values()} == {None}
    assert "no bound of rounding errors can be calibrated" in caplog.text


class Broken:
    """A runner that predicts what it is told, or overflows."""

    shares_prefixes = False

    def __init__(self, near: dict[int, float] | None) -> None:
        self.near = near

    def run(self, segments: Sequence[Segment], cache: KVCache) -> list[TokenPredictions]:
        del cache
        if self.near is None:
            raise FloatingPointError("the model returned NaN")
        best = min(self.near, key=self.near.__getitem__)
        n = segments[0].logits_to_keep
        return [TokenPredictions([best] * n, [], [self.near] * n)]


@pytest.mark.parametrize("near", [None, {7: 0.0}])
def test_errors_that_are_too_large_for_a_bound(folder: Path, near: Any) -> None:
    model, requests = adjudicated(folder), requests_of(20)
    exact = replace(model._exact, runner=Broken({8: 0.0, 9: 0.5}))
    half = replace(model._half, runner=Broken(near))
    assert calibrate_bound(half, exact, requests) == math.inf
    half = replace(model._half, runner=Broken({8: 0.0, 9: 0.1}))
    assert calibrate_bound(half, exact, requests) == pytest.approx(1.25 * 0.4)


def test_a_copy_in_half_precision_keeps_buffers_and_ties() -> None:
    model = build_tiny("gemma3_text", bpe([]))
    model.lm_head.weight = model.model.embed_tokens.weight
    before = copy.deepcopy(model.state_dict())
    twin: PreTrainedModel = in_precision(model, "bfloat16")
    assert {each.dtype for each in twin.parameters()} == {torch.bfloat16}
    assert {each.dtype for each in twin.buffers()} == {torch.float32}
    assert twin.lm_head.weight is twin.model.embed_tokens.weight
    assert twin.dtype == twin.config.dtype == torch.bfloat16
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert model.dtype == torch.float32


def test_both_copies_are_in_the_footprint(folder: Path) -> None:
    def weights(**options: str) -> tuple[int, int]:
        spec = TransformersSpec.model_validate({"model": str(folder), **options})
        found = measure_footprint(spec, identify(spec))
        assert found is not None
        assert found.weights is not None
        return found.weights, found.keys_and_values

    half, exact = weights(dtype="bfloat16"), weights(dtype="float32")
    both = weights(dtype="bfloat16", precision="adjudicated")
    assert both == (half[0] + exact[0], exact[1])


def test_it_is_a_model_of_its_own(folder: Path) -> None:
    keys = [
        identify(TransformersSpec.model_validate({"model": str(folder), **options})).key
        for options in (
            {"dtype": "bfloat16"},
            {"dtype": "bfloat16", "precision": "plain"},
            {"dtype": "bfloat16", "precision": "adjudicated"},
        )
    ]
    assert keys[0] == keys[1]
    assert keys[2] == {**keys[0], "precision": "adjudicated"}


def test_its_time_counts_calibration_and_what_is_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_time, "estimate_seconds", lambda *_: 10.0)
    fields = {"model": str(folder), "dtype": "bfloat16", "precision": "adjudicated"}
    spec = TransformersSpec.model_validate(fields)
    sizes = TokenCounts(
        requests=32, paths=32, written=3200, computed=1600, predicted=1, attended=1, decoded=0
    )
    # 16 whole requests of 100 tokens are as many tokens as all 32 compute; 15% are asked again.
    assert answering_seconds(spec, identify(spec), sizes) == pytest.approx(10 + 20 + 1.5)

"""Estimated time of answering: from passes of smaller models, and growing with the work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from icl_gap.models import (
    NearestExemplarSpec,
    RandomInitSpec,
    TransformersSpec,
    answering_seconds,
    identify,
    measure_footprint,
)
from icl_gap.models.hf import pass_time
from icl_gap.models.hf.cost import matmul_rate
from icl_gap.models.hf.engine.trie import TokenCounts
from icl_gap.models.hf.pass_time import MeanPass, PassTime, mean_decoding, mean_pass

SIZES = TokenCounts(
    requests=12, paths=10, written=4000, computed=2000, predicted=200, attended=500_500, decoded=0
)

counts = st.builds(
    TokenCounts,
    requests=st.integers(1, 10**6),
    paths=st.integers(1, 10**5),
    written=st.just(10**9),
    computed=st.integers(10**5, 10**8),
    predicted=st.integers(1, 10**8),
    attended=st.integers(10**8, 10**11),
    decoded=st.integers(1, 10**7),
)


def test_a_mean_pass_by_hand() -> None:
    # Ten paths of 200 tokens each; a token attends to 250.25 on the mean: 150 and half of 200.
    assert mean_pass(SIZES, 1024) == MeanPass(segments=5, shared=150, new=200, predicted=20)
    assert mean_pass(SIZES, 100).segments == 1


@given(counts, st.sampled_from([128, 1024, 4096]))
def test_a_mean_pass_can_be_run(sizes: TokenCounts, most: int) -> None:
    found = mean_pass(sizes, most)
    assert 1 <= found.predicted <= found.new
    assert found.shared >= 0
    assert found.segments == 1 or found.tokens <= most


@given(counts, st.integers(1024, 10**6))
def test_decoding_passes_can_be_run(sizes: TokenCounts, kv_cache_tokens: int) -> None:
    found, passes = mean_decoding(sizes, kv_cache_tokens)
    assert min(found.segments, found.new, found.predicted) >= 1
    assert passes > 0
    less, fewer = mean_decoding(replace(sizes, decoded=sizes.decoded // 2 or 1), kv_cache_tokens)
    assert fewer <= passes
    assert fewer * less.tokens <= passes * found.tokens * 2.01 + 1e3


@given(
    st.builds(PassTime, *[st.floats(0, 10) for _ in range(3)]),
    st.integers(1, 200),
    st.integers(1, 10**6),
)
def test_more_layers_and_tokens_take_longer(found: PassTime, layers: int, vocabulary: int) -> None:
    here = found.seconds(layers, vocabulary)
    assert here >= found.base
    assert found.seconds(layers + 1, vocabulary) == pytest.approx(here + found.layer)
    assert found.seconds(layers, vocabulary + 7) == pytest.approx(here + 7 * found.logit)


@given(
    st.builds(PassTime, *[st.floats(1e-3, 10) for _ in range(3)]),
    st.integers(2, 9),
)
def test_the_line_is_that_of_the_three_models(truth: PassTime, layers: int) -> None:
    few, many = 100, 300
    times = [truth.seconds(*at) for at in ((1, few), (layers, few), (1, many))]
    found = pass_time._line(*times, layers=layers, vocabularies=(few, many))
    for name in ("layer", "logit", "base"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), abs=1e-8)


@given(*[st.floats(0, 10) for _ in range(3)])
def test_noise_makes_no_time_negative(small: float, deep: float, wide: float) -> None:
    found = pass_time._line(small, deep, wide, layers=3, vocabularies=(100, 300))
    assert min(found.base, found.layer, found.logit) >= 0


@pytest.fixture
def a_pass_of_a_second(monkeypatch: Any) -> None:
    """Time is measured as a second for each segment and layer, and one for each pass."""

    def measured(config: Any, footprint: Any, means: list[MeanPass], device: Any) -> Any:
        del config, footprint, device
        return [PassTime(1.0, each.segments, 0.0) for each in means]

    monkeypatch.setattr(pass_time, "measure_passes", measured)


@pytest.mark.usefixtures("a_pass_of_a_second")
@given(counts)
def test_more_requests_take_longer(sizes: TokenCounts) -> None:
    assume(sizes.computed >= sizes.paths)
    spec = RandomInitSpec(hidden_size=16, layers=2)
    identity = identify(spec)

    def seconds(found: TokenCounts) -> float:
        return answering_seconds(spec, identity, found) or 0.0

    def times(factor: int) -> TokenCounts:
        names = ("requests", "paths", "written", "computed", "predicted", "attended", "decoded")
        return TokenCounts(**{name: factor * getattr(sizes, name) for name in names})

    assert seconds(times(2)) > seconds(sizes) > 0
    assert seconds(sizes) > seconds(replace(sizes, decoded=0))


@pytest.mark.parametrize("family", ["opt", "bloom", "codegen"])
def test_passes_are_measured_on_models_made_smaller(make_model: Any, family: str) -> None:
    spec = TransformersSpec(model=str(make_model(family)))
    identity = identify(spec)
    footprint = measure_footprint(spec, identity)
    assert footprint is not None
    found = pass_time.measure_passes(
        pass_time_config(spec), footprint, [mean_pass(SIZES, 64)], pass_time.pick_device("cpu")
    )
    assert 0 < found[0].seconds(footprint.layers, footprint.vocabulary) < 10
    assert 0 < (answering_seconds(spec, identity, SIZES) or 0) < 100


def pass_time_config(spec: TransformersSpec) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(spec.model)


def test_a_model_that_cannot_be_made_smaller_is_taken_at_the_rate(monkeypatch: Any) -> None:
    spec = RandomInitSpec(hidden_size=16, layers=2)
    identity = identify(spec)

    def refused(*_: object) -> None:
        raise AttributeError("no such layer")

    monkeypatch.setattr(pass_time, "measure_passes", refused)
    monkeypatch.setattr(pass_time, "matmul_rate", lambda _: 1e9)
    footprint = measure_footprint(spec, identity)
    assert footprint is not None
    expected = footprint.operations(SIZES) / 1e9
    assert answering_seconds(spec, identity, SIZES) == pytest.approx(expected)
    assert matmul_rate(footprint) > 0


def test_a_baseline_takes_no_time() -> None:
    spec = NearestExemplarSpec()
    assert answering_seconds(spec, identify(spec), SIZES) is None

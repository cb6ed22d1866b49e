from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import OPTConfig

from icl_gap.errors import ModelError
from icl_gap.models import (
    Footprint,
    NearestExemplarSpec,
    RandomInitSpec,
    TransformersSpec,
    identify,
    load_model,
    measure_footprint,
)
from icl_gap.models.hf.cost import matmul_rate, tokens_kept
from icl_gap.models.hf.engine.trie import TokenCounts
from icl_gap.models.placement import Placement


@pytest.mark.parametrize("family", ["opt", "bloom", "codegen"])
def test_the_footprint_is_that_of_the_weights(make_model: Any, family: str) -> None:
    folder = make_model(family)
    for spec in (
        TransformersSpec(model=str(folder)),
        RandomInitSpec(family=family, hidden_size=32),
    ):
        identity = identify(spec)
        found = measure_footprint(spec, identity)
        assert found is not None
        assert found.non_embedding == load_model(spec, identity).info.n_params_non_embedding
        assert (found.layers, found.width, found.attention_width) == (2, 32, 32)
        assert found.vocabulary > 256
        assert found.key_width == 32


def test_a_baseline_has_no_footprint() -> None:
    assert measure_footprint(NearestExemplarSpec(), identify(NearestExemplarSpec())) is None


def test_operations_by_hand() -> None:
    sizes = TokenCounts(
        requests=1, paths=1, written=9, computed=7, predicted=3, attended=28, decoded=0
    )
    found = Footprint(
        n_params=900,
        non_embedding=100,
        layers=2,
        width=8,
        attention_width=8,
        key_width=8,
        vocabulary=50,
        weights=2000,
        kv_cache_tokens=0,
        keys_and_values=0,
        dtype="float32",
        placement=Placement(),
    )
    assert found.operations(sizes) == 2 * 100 * 7 + 4 * 2 * 8 * 28 + 2 * 8 * 50 * 3


def test_the_rate_is_that_of_a_device_that_is_there(make_model: Any) -> None:
    folder = str(make_model("opt"))
    spec = TransformersSpec(model=folder, dtype="auto")
    assert 1e6 < matmul_rate(footprint(spec)) < 1e16
    elsewhere = footprint(TransformersSpec(model=folder, device="cuda:99"))
    with pytest.raises(ModelError, match="no such device"):
        matmul_rate(elsewhere)


def footprint(spec: TransformersSpec) -> Footprint:
    found = measure_footprint(spec, identify(spec))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("width", "dtype", "tokens"),
    [
        (768, torch.float32, 14563),  # OPT-125M: 73,728 bytes a token
        (768, torch.bfloat16, 29127),
        (64, torch.float32, 65536),
        (4096, torch.float32, 8192),
    ],
)
def test_a_gibibyte_of_keys_and_values_is_kept(width: int, dtype: torch.dtype, tokens: int) -> None:
    config = OPTConfig(hidden_size=width, num_hidden_layers=12, num_attention_heads=12)
    assert tokens_kept(config, dtype, None) == tokens
    assert tokens_kept(config, dtype, 7) == 7


def test_what_is_planned_is_what_is_kept(make_model: Any) -> None:
    for fields in ({}, {"dtype": "bfloat16"}, {"kv_cache_tokens": 77}):
        spec = TransformersSpec(model=str(make_model("bloom")), **fields)
        loaded = load_model(spec, identify(spec))
        assert loaded.engine.kv_cache_tokens == footprint(spec).kv_cache_tokens

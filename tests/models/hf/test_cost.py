from __future__ import annotations

from typing import Any

import pytest

from icl_gap.errors import ModelError
from icl_gap.models import NearestExemplarSpec, RandomInitSpec, TransformersSpec, identify, load
from icl_gap.models.hf.cost import Shape, matmul_rate, shape
from icl_gap.models.hf.engine.trie import Sizes


@pytest.mark.parametrize("family", ["opt", "bloom", "codegen"])
def test_the_shape_is_that_of_the_weights(make_model: Any, family: str) -> None:
    folder = make_model(family)
    for spec in (
        TransformersSpec(model=str(folder)),
        RandomInitSpec(family=family, hidden_size=32),
    ):
        identity = identify(spec)
        found = shape(spec, identity)
        assert found is not None
        assert found.non_embedding == load(spec, identity).info.n_params_non_embedding
        assert (found.layers, found.width, found.attention_width) == (2, 32, 32)
        assert found.vocabulary > 256
        assert found.key_width == 32


def test_a_baseline_has_no_shape() -> None:
    assert shape(NearestExemplarSpec(), identify(NearestExemplarSpec())) is None


def test_operations_by_hand() -> None:
    sizes = Sizes(requests=1, written=9, computed=7, predicted=3, attended=28)
    found = Shape(
        non_embedding=100,
        layers=2,
        width=8,
        attention_width=8,
        key_width=8,
        vocabulary=50,
        parameters=500,
        packed=90,
        tables=0,
    )
    assert found.operations(sizes) == 2 * 100 * 7 + 4 * 2 * 8 * 28 + 2 * 8 * 50 * 3


def test_the_rate_is_that_of_a_device_that_is_there(make_model: Any) -> None:
    folder = str(make_model("opt"))
    spec = TransformersSpec(model=folder, dtype="auto")
    assert 1e6 < matmul_rate(spec, identify(spec)) < 1e16
    with pytest.raises(ModelError, match="no such device"):
        matmul_rate(TransformersSpec(model=folder, device="cuda:99"), identify(spec))

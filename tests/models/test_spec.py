from __future__ import annotations

from typing import Any

import pytest

from icl_gap.errors import InputError
from icl_gap.models import ModelSpec, NearestExemplarSpec, RandomInitSpec, TransformersSpec
from icl_gap.specs import Spec, check_spec

ADJUDICATED = {
    "kind": "transformers",
    "model": "x",
    "dtype": "bfloat16",
    "precision": "adjudicated",
}


class Holder(Spec):
    model: ModelSpec


def read(**value: Any) -> ModelSpec:
    return check_spec({"model": value}, Holder).model


def test_the_kind_tells_the_variant() -> None:
    assert isinstance(read(kind="nearest_exemplar"), NearestExemplarSpec)
    assert read(kind="random_init", family="bloom", shots=[0, 3]) == RandomInitSpec(
        family="bloom", shots=(0, 3)
    )


def test_an_adjudicated_model() -> None:
    spec = read(**ADJUDICATED)
    assert isinstance(spec, TransformersSpec)
    assert spec.placement.precision == "adjudicated bfloat16"
    again = spec.in_float32().placement
    assert (again.precision, again.adjudicated) == ("float32", False)


def test_sizes_of_memory() -> None:
    fields = {"kind": "transformers", "model": "x", "device_map": "auto"}
    spec = read(**fields, max_memory={"cpu": "2GiB", 0: "1.5GB", "1": 7})
    assert isinstance(spec, TransformersSpec)
    assert spec.max_memory == {"cpu": 2 << 30, 0: 1_500_000_000, 1: 7}
    assert read(**spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"kind": "magic"}, "not one of the possible kinds"),
        ({"kind": "nearest_exemplar", "dtype": "float32"}, "unknown key"),
        ({"kind": "transformers"}, "this key is missing"),
        ({"kind": "transformers", "model": "x", "dtype": "fp32"}, "not one of the possible values"),
        ({"kind": "transformers", "model": "x", "device": "cpu", "device_map": "auto"}, "not both"),
        ({"kind": "transformers", "model": "x", "max_memory": {"cpu": "2GiB"}}, "device_map: auto"),
        (
            {"kind": "transformers", "model": "x", "device_map": "auto", "max_memory": {0: "lots"}},
            "a size, as 20GiB",
        ),
        (
            {"kind": "transformers", "model": "x", "device_map": "auto", "max_memory": {"x": 1}},
            "max_memory",
        ),
        ({**ADJUDICATED, "dtype": "float32"}, "needs `dtype: bfloat16` or `float16`"),
        ({**ADJUDICATED, "dtype": "auto"}, "needs `dtype: bfloat16` or `float16`"),
        ({**ADJUDICATED, "quantization": "8bit"}, "leave `quantization` and `device_map` out"),
        ({**ADJUDICATED, "device_map": "auto"}, "leave `quantization` and `device_map` out"),
        ({**ADJUDICATED, "chat_template": "model"}, "chats are decoded to their ends"),
        ({**ADJUDICATED, "precision": "exact"}, "not one of the possible values"),
        ({"kind": "openai", "model": "x", "precision": "adjudicated"}, "unknown key"),
        ({"kind": "random_init", "hidden_size": 10, "heads": 4}, "multiple of heads"),
        ({"kind": "random_init", "family": "bloom", "context_length": 9}, "no context length"),
        ({"kind": "random_init", "family": "codegen", "heads": 2}, "multiples of 4"),
        ({"kind": "nearest_exemplar", "shots": [-1]}, "wrong type or value"),
    ],
)
def test_faults_are_told(value: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(**value)


@pytest.mark.parametrize(
    ("value", "new"),
    [
        ({"kind": "untrained"}, "kind: random_init"),
        ({"kind": "scripted"}, "kind: mock"),
        ({"kind": "nearest"}, "kind: nearest_exemplar"),
        ({"kind": "api", "model": "m"}, "kind: openai"),
        ({"kind": "openai", "model": "m", "tries": 3}, "max_attempts"),
        ({"kind": "openai", "model": "m", "deadline": 3}, "timeout"),
        ({"kind": "transformers", "model": "m", "batch_tokens": 64}, "kv_cache_tokens"),
        ({"kind": "random_init", "batch_tokens": 64}, "kv_cache_tokens"),
    ],
)
def test_an_old_name_is_answered_with_the_new_one(value: dict[str, Any], new: str) -> None:
    with pytest.raises(InputError, match=f"is now `{new}`"):
        read(**value)


@pytest.mark.parametrize("key", ["model", "base_url"])
def test_a_server_s_names_can_be_printed(key: str) -> None:
    fields = {"kind": "openai", "model": "m", "base_url": "http://localhost:1/v1"}
    with pytest.raises(InputError, match="cannot be printed"):
        read(**{**fields, key: fields[key] + "\0"})

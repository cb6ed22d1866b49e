from __future__ import annotations

from typing import get_args

import pytest
from pydantic import TypeAdapter

from icl_gap.models import BACKENDS, ModelSpec


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_backend_is_listed_by_the_kind_of_its_spec(kind: str) -> None:
    spec_class = BACKENDS[kind].spec_class
    assert get_args(spec_class.model_fields["kind"].annotation) == (kind,)


def test_a_sweep_can_name_models_of_every_backend() -> None:
    required = {"transformers": {"model": "m"}, "openai": {"model": "m"}}
    for kind, backend in BACKENDS.items():
        read = TypeAdapter(ModelSpec).validate_python({"kind": kind, **required.get(kind, {})})
        assert type(read) is backend.spec_class

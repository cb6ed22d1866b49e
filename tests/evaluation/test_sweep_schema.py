"""The JSON schema of sweep files: it takes what the runner takes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from readme_tables import SCHEMA, schema_text

from icl_gap.evaluation.sweep_schema import sweep_schema
from icl_gap.specs import shipped

CHECK = Draft202012Validator(sweep_schema())


def test_the_file_beside_the_sweeps_is_up_to_date() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(sweep_schema())


@pytest.mark.parametrize(
    "path", sorted(shipped("sweeps").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_it_takes_the_sweeps_that_ship(path) -> None:
    CHECK.validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def sweep(**changes: Any) -> dict[str, Any]:
    return {"name": "a", "datasets": ["scan"], "models": ["nearest"], **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"models": ["nearest", {"model": "m", "dtype": "bfloat16"}, {"family": "opt"}]},
        {"models": [{"kind": "openai", "model": "m", "api": "chat"}]},
        {"datasets": [{"name": "cfq", "options": {"postprocess": False}}]},
        {"embedder": "some/model", "selection": "embedding"},
        {"limit": None},
    ],
)
def test_it_takes_short_and_long_entries(changes: dict[str, Any]) -> None:
    CHECK.validate(sweep(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"shotz": [1]},
        {"shots": "many"},
        {"selection": "best"},
        {"models": []},
        {"models": [{"model": "m", "dtpye": "float32"}]},
        {"datasets": [{"split": "mcd1"}]},
    ],
)
def test_it_refuses_what_the_runner_refuses(changes: dict[str, Any]) -> None:
    assert not CHECK.is_valid(sweep(**changes))


def test_every_key_is_described_and_none_is_an_old_one() -> None:
    schema = sweep_schema()
    assert "renamed" not in str(schema)
    assert all(
        key.get("description") for name, key in schema["properties"].items() if name != "name"
    )

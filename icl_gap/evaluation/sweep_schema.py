"""The JSON schema of a sweep file, for completion and checks in an editor."""

from __future__ import annotations

from typing import Any

from icl_gap.evaluation.config import SweepSpec

_BY_NAME = ("datasets", "models")
"""Keys whose entries may be plain names."""


def sweep_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of what a sweep file may hold.

    Beyond the schema of `SweepSpec`, entries of lists may be plain names, and an entry of the zoo
    need not say its kind.
    """
    schema = SweepSpec.model_json_schema()
    keys = schema["properties"]
    for name in _BY_NAME:
        entry = keys[name]["items"]
        kinds = entry.get("oneOf", [entry])  # several fit an entry that does not say its kind
        keys[name]["items"] = {"anyOf": [{"type": "string"}, *kinds]}
    embedder = keys["embedder"]
    keys["embedder"] = {"description": embedder["description"], "anyOf": [
        {"type": "string"}, {"$ref": embedder["$ref"]}
    ]}  # fmt: skip
    family = schema["$defs"]["FamilySpec"]
    family["required"] = [key for key in family["required"] if key != "kind"]
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, **_without_renamed(schema), "title": "A sweep of icl_gap"}


def _without_renamed(value: Any) -> Any:
    """Return a schema without the tables of old names that specs keep in it."""
    if isinstance(value, dict):
        return {
            key: _without_renamed(each)
            for key, each in value.items()
            if key != "renamed" and not (key == "title" and isinstance(each, str))
        }
    return [_without_renamed(each) for each in value] if isinstance(value, list) else value

"""Migration: lines that earlier versions wrote, in the form of today's.

Version 4 had a field for each metric in place of `scores`, called `kv_cache_tokens` `batch_tokens`,
and wrote the id of an exemplar that shows the target of another as `ID+OTHER`. Nothing is lost, so
its results can be read; but its cells have other keys, so a run cannot go on with them.
"""

from __future__ import annotations

from typing import Any

from icl_gap.schema import SCHEMA_VERSION

READABLE = (4, SCHEMA_VERSION)
"""Versions that are read."""
_METRICS_OF_4 = ("raw", "canonical", "execution")
_SELECTIONS_OF_4 = {"cover_words": "cover_utterance", "cover_structures": "cover_ls"}


def migrated_record(value: dict[str, Any], version: int) -> dict[str, Any]:
    """Return the fields of a record, as today's version writes them.

    Args:
        value: The fields as they were read.
        version: The version that wrote them, one of `READABLE`.
    """
    if version != 4:
        return value
    old = dict(value)
    outcomes = {metric: old.pop(metric, None) for metric in _METRICS_OF_4}
    old["scores"] = {metric: each for metric, each in outcomes.items() if each is not None}
    old["kv_cache_tokens"] = old.pop("batch_tokens", None)
    parts = [id_.partition("+") for id_ in old.get("exemplar_ids", ())]
    if any(other for _, _, other in parts):
        old["exemplar_ids"] = [id_ for id_, _, _ in parts]
        old["exemplar_target_ids"] = [other or id_ for id_, _, other in parts]
    return old


def migrated_header(value: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a header, as today's version writes them, but for the version itself.

    Args:
        value: The fields as they were read; the `schema_version` among them is one of `READABLE`.
    """
    sampler = value.get("spec", {}).get("sampler")
    if value["schema_version"] != 4 or not isinstance(sampler, dict):
        return value
    selection = sampler.get("selection")
    sampler = {**sampler, "selection": _SELECTIONS_OF_4.get(str(selection), selection)}
    return {**value, "spec": {**value["spec"], "sampler": sampler}}

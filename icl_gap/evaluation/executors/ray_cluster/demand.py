"""Resources of the cluster that a worker needs for a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from icl_gap.errors import ModelError
from icl_gap.evaluation.inputs import SweepModel
from icl_gap.models import measure_footprint


@dataclass(frozen=True, slots=True)
class Demand:
    """The resources that a node must have free."""

    gpus: int
    memory: int
    """Bytes of main memory; 0 where they do not matter."""


def demand(model: SweepModel, nodes: Sequence[dict[str, float]]) -> Demand:
    """Return what a model needs, but never more than the largest node has: loading tells the rest.

    - GPUs: none where the cluster has none, for a model without weights, and with `device: cpu`.
      With `device_map`, all of a node, or as many as `max_memory` counts up to. Else one, or as
      many as `device` counts up to (`cuda:1` is the second).
    - Memory: of a model on the CPU, what its weights, keys and values take.

    Args:
        model: The model.
        nodes: The resources of each node, as Ray names them.
    """
    gpus = min(_gpus(model, nodes), _most(nodes, "GPU"))
    return Demand(gpus, 0 if gpus else min(_memory(model), _most(nodes, "memory")))


def _gpus(model: SweepModel, nodes: Sequence[dict[str, float]]) -> int:
    placement = model.spec.placement
    if placement is None:
        return 0
    if placement.device_map is not None:
        named = [n for n in placement.max_memory or () if n != "cpu"]
        return _most(nodes, "GPU") if placement.max_memory is None else max(named, default=-1) + 1
    kind, _, number = (placement.device or "cuda").partition(":")
    if kind == "cpu":
        return 0
    return int(number) + 1 if number.isdecimal() else 1


def _memory(model: SweepModel) -> int:
    try:
        found = measure_footprint(model.spec, model.identity)
    except ModelError:  # loading it tells
        return 0
    if found is None or found.weights is None:
        return 0
    return found.weights + found.keys_and_values


def _most(nodes: Sequence[dict[str, Any]], resource: str) -> int:
    return int(max((node.get(resource, 0) for node in nodes), default=0))

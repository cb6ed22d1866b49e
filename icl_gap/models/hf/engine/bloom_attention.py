"""BLOOM's attention in a packed pass.

BLOOM does not use the attention interface of `transformers`, so its modules' `forward` is replaced.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.bloom.modeling_bloom import BloomAttention, build_alibi_tensor

from icl_gap.models.hf.engine.kernels import attend_to_paths
from icl_gap.models.hf.engine.packing import UnsupportedError, current_layout, layer_number


def bloom_modules(model: PreTrainedModel) -> list[BloomAttention]:
    """Return the attention modules of a BLOOM model; none for another architecture."""
    return [module for module in model.modules() if isinstance(module, BloomAttention)]


def pack_bloom(modules: Sequence[BloomAttention]) -> None:
    """Replace the `forward` of BLOOM's attention modules.

    Raises:
        UnsupportedError: A module is split for tensor parallelism (`slow_but_exact`).
    """
    if any(module.pretraining_tp > 1 and module.slow_but_exact for module in modules):
        raise UnsupportedError("`slow_but_exact`")
    for module in modules:
        vars(module)["forward"] = MethodType(_forward, module)


def unpack_bloom(modules: Sequence[BloomAttention]) -> None:
    """Undo `pack_bloom`."""
    for module in modules:
        vars(module).pop("forward", None)


def _forward(
    self: BloomAttention,
    hidden_states: Tensor,
    residual: Tensor,
    alibi: Tensor,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend with linear biases, each segment over its own path."""
    del alibi, attention_mask, options  # made for the packed row as if it were one path
    layout, number = current_layout(), layer_number(self)
    query, key, value = self._reshape(self.query_key_value(hidden_states))
    layout.cache.layers[number] = (key, value)
    two = torch.ones(1, 2, device=query.device)  # the bias at position 1 is the slope
    slopes = build_alibi_tensor(two, self.num_heads, torch.float32)[:, 0, 1]
    out = attend_to_paths(layout, number, query, scale=self.inv_norm_factor, slopes=slopes)
    return self.dense(out.transpose(1, 2).flatten(2)) + residual, None

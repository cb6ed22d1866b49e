"""Footprint of a model with weights, counted on torch's meta device, and this machine's speed.

Nothing is loaded: parameters are counted on a model that `config.json` describes and whose weights
hold no numbers.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from icl_gap.models.backend import Footprint
from icl_gap.models.hf.checkpoint import count_parameters, pick_device
from icl_gap.models.hf.engine.linear_maps import linear
from icl_gap.models.hf.remote_code import library_error
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.models.placement import Quantization
from icl_gap.models.spec import RandomInitSpec, TransformersSpec

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

UNUSABLE_CONFIG = "cannot make the model"
_SIDE = 2048
_SECONDS = 0.3
_KV_CACHE_BYTES = 1 << 30
"""Bytes of a KV cache, where the user states no number of tokens."""
_KV_CACHE_TOKENS = (8192, 65536)
"""Its tokens, at least and at most: a batch decodes fast with many responses."""
_PACKED_BYTES: dict[Quantization, float] = {"8bit": 1.0, "4bit": 0.5 + 4 / 64}
"""Bytes of a quantized parameter. With 4 bits, 64 parameters share a scale in float32 (Dettmers et
al. 2023, arXiv 2305.14314, section 3); with 8 bits a whole row shares one, which is negligible."""


def footprint_from_config(
    config: PreTrainedConfig,
    spec: TransformersSpec | RandomInitSpec,
    *,
    name: str,
    trust_remote_code: bool = False,
) -> Footprint:
    """Count the footprint of a model.

    Args:
        config: The model's configuration.
        spec: The model.
        name: Its name, for errors.
        trust_remote_code: Allow the model's code to run.

    Raises:
        ModelError: The configuration describes no model that `transformers` can make.
    """
    placement = spec.placement
    with silence_transformers(), torch.device("meta"):
        from transformers import AutoModelForCausalLM

        try:
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
        except Exception as error:  # whatever can be wrong with a config
            raise library_error(error, UNUSABLE_CONFIG, name) from error
        text = model.config.get_text_config()
        attention_width, key_width = _attention_widths(text)
        total, inner = count_parameters(model)
        dtype = _dtype(config, placement.dtype)
        packed = 0 if placement.quantization is None else _linear_parameters(model)
        per_packed = _PACKED_BYTES[placement.quantization or "8bit"]
        buffers = sum(each.nbytes for each in model.buffers())
    largest = torch.float32 if placement.adjudicated else dtype
    kept = tokens_kept(model.config, largest, spec.kv_cache_tokens)
    quantized_on_disk = getattr(config, "quantization_config", None) is not None
    weights = int((total - packed) * dtype.itemsize + packed * per_packed + buffers)
    if placement.adjudicated:  # there is a copy in float32 as well
        weights += total * torch.float32.itemsize + buffers
    return Footprint(
        n_params=total,
        non_embedding=inner,
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        attention_width=attention_width,
        key_width=key_width,
        vocabulary=text.vocab_size,
        weights=None if quantized_on_disk else weights,
        kv_cache_tokens=kept,
        keys_and_values=kept * _bytes_per_token(text, largest),
        dtype=str(dtype).removeprefix("torch."),
        placement=placement,
    )


def tokens_kept(config: PreTrainedConfig, dtype: torch.dtype, stated: int | None) -> int:
    """Return the number of tokens whose keys and values a model keeps at a time.

    Args:
        config: The model's configuration.
        dtype: Its precision.
        stated: The number that the user states, which is returned; None for the default.
    """
    if stated is not None:
        return stated
    least, most = _KV_CACHE_TOKENS
    each = _bytes_per_token(config.get_text_config(), dtype)
    return max(least, min(most, _KV_CACHE_BYTES // max(1, each)))


def _bytes_per_token(text: PreTrainedConfig, dtype: torch.dtype) -> int:
    """Return the bytes of the keys and values of a token, in all layers."""
    _, key_width = _attention_widths(text)
    return int(2 * text.num_hidden_layers * key_width * dtype.itemsize)


def _attention_widths(text: PreTrainedConfig) -> tuple[int, int]:
    """Return the size of a head times the number of heads, and of key-value heads."""
    heads = text.num_attention_heads if hasattr(text, "num_attention_heads") else 0
    size = getattr(text, "head_dim", None) or (text.hidden_size // heads if heads else 0)
    return heads * size, (getattr(text, "num_key_value_heads", None) or heads) * size


def matmul_rate(footprint: Footprint) -> float:
    """Measure the floating-point operations per second of matrix products on a model's device.

    Args:
        footprint: The model's. Quantized weights are multiplied in its precision.

    Raises:
        ModelError: This machine has no such device.
    """
    device = pick_device(footprint.placement.device)
    one = torch.ones(_SIDE, _SIDE, dtype=getattr(torch, footprint.dtype), device=device)
    done, began = 0, 0.0
    with torch.inference_mode():
        linear(one, one)[0, 0].item()  # warm up; reading a number waits for the device
        began = time.perf_counter()
        while time.perf_counter() - began < _SECONDS:
            linear(one, one)[0, 0].item()
            done += 1
    return done * 2.0 * _SIDE**3 / (time.perf_counter() - began)


def _linear_parameters(model: PreTrainedModel) -> int:
    """Count the parameters that bitsandbytes quantizes: linear layers but for the output layer."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    output = model.get_output_embeddings()
    return sum(
        module.weight.numel()
        for module in model.modules()
        if isinstance(module, nn.Linear | Conv1D) and module is not output
    )


def _dtype(config: PreTrainedConfig, named: str) -> torch.dtype:
    """Return the precision in which a model computes."""
    found: Any = config.dtype if named == "auto" else named
    dtype: torch.dtype = getattr(torch, found) if isinstance(found, str) else found or torch.float32
    return dtype

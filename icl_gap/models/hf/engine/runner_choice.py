"""Choice of a runner: a packed one where it predicts what the model's own forward does."""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

import math

import numpy as np
import torch
from transformers import PreTrainedModel

from icl_gap.models.hf.engine.last_layer import LastLayer
from icl_gap.models.hf.engine.linear_maps import restore_linear, use_onednn
from icl_gap.models.hf.engine.packed_attention import attention_name, unpack_attention
from icl_gap.models.hf.engine.packing import CacheSlice, KVCache
from icl_gap.models.hf.engine.passes import (
    PackedRunner,
    PaddedRunner,
    Runner,
    Segment,
    vocabulary_size,
)


def choose_runner(model: PreTrainedModel) -> Runner:
    """Return the fastest runner that predicts what the model's own forward does.

    Args:
        model: The model, on its device.
    """
    padded = PaddedRunner(model)
    attention = attention_name(model)
    last_layer = LastLayer(model)
    expected: list[float] | None = None
    for skipping in (last_layer, None):
        try:
            if expected is None:
                expected = _probe(padded, vocabulary_size(model))
                use_onednn(model)
            packed = PackedRunner(model, skipping)
            found = _probe(packed, vocabulary_size(model))
            if np.allclose(found, expected, rtol=_tolerance(model), atol=1e-6):
                return packed
        except torch.OutOfMemoryError:
            raise
        except Exception:  # noqa: BLE001, S110 (a fault of the model fails its requests)
            pass  # an unusual architecture may do anything with a packed row or so short a context
        unpack_attention(model, attention)
        last_layer.restore()
    restore_linear(model)
    return padded


def _probe(runner: Runner, vocabulary: int) -> list[float]:
    """Return log-probabilities at the ends of three short paths.

    The second shares a prefix within its pass, the third one with an earlier pass. The first half
    of the tokens predicts nothing.
    """
    n = np.arange(24)
    tokens = ((n * n * 7 + n * 3 + 5) % min(97, vocabulary)).astype(np.int32)
    cache, other = KVCache(), KVCache()
    one = Segment(tokens[:12], new=12, logits_to_keep=6)
    two = Segment(
        np.concatenate([tokens[:5], tokens[12:20]]),
        new=8,
        logits_to_keep=4,
        prefix=(CacheSlice(cache, 0, 5),),
    )
    prefix = (CacheSlice(cache, 0, 5), CacheSlice(cache, 12, 14))
    path = np.concatenate([two.tokens[:7], tokens[18:]])
    three = Segment(path, new=6, logits_to_keep=4, prefix=prefix)
    with torch.inference_mode():
        predictions = [*runner.run([one, two], cache), *runner.run([three], other)]
    return [value for each in predictions for value in each.logprobs]


def _tolerance(model: PreTrainedModel) -> float:
    """Return the largest relative difference of log-probabilities computed in two ways."""
    quantized = getattr(model, "is_quantized", False)
    dtype = torch.bfloat16 if quantized else model.dtype
    return math.sqrt(torch.finfo(dtype).eps)

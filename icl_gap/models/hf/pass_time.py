"""Measured time of a model's forward passes, from passes of a smaller model of the same layers.

Nothing is loaded: the smaller models have one or three of the layers, a part of the vocabulary, and
random weights. They run the mean pass of some requests through the engine's own runner,
so that whatever a pass costs beside its arithmetic is in the time. It grows linearly with layers
and vocabulary.
"""

# mypy: allow-untyped-calls
# transformers leaves many of its functions without types.

from __future__ import annotations

import copy
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from icl_gap.models.backend import Footprint
from icl_gap.models.hf.checkpoint import pick_device
from icl_gap.models.hf.cost import matmul_rate
from icl_gap.models.hf.engine.packing import CacheSlice, KVCache
from icl_gap.models.hf.engine.passes import Runner, Segment
from icl_gap.models.hf.engine.runner_choice import choose_runner
from icl_gap.models.hf.engine.trie import TokenCounts
from icl_gap.models.hf.silence import silence_transformers
from icl_gap.models.hf.transformers_model import pass_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_VOCABULARIES = (4096, 16384)
"""Vocabularies of the smaller models."""
_MORE_LAYERS = 3
"""Layers of the larger one of them; the other has one."""
_MAX_LAYER = 1 << 29
"""Parameters of a layer beyond which passes are not measured."""
_OPERATIONS = 4e10
"""Floating-point operations of a layer in a measured pass, at most where it has many segments."""
_SECONDS = 0.1
"""Seconds for which a pass is repeated."""
_PASSES_OF_ANSWER = 2
"""Decoding passes of a batch, for each token of its mean gold target."""
_TOKENS_OF_ANSWER = 1.5
"""Tokens that decoding computes, for each token of the gold targets."""
_DRAFT = 4
"""Tokens of a response that a decoding pass computes."""


@dataclass(frozen=True, slots=True)
class MeanPass:
    """A pass of equal segments, which stand for those of a job."""

    segments: int
    shared: int
    """Tokens before a segment that are computed already."""
    new: int
    """Tokens of a segment that are computed."""
    predicted: int
    """Tokens of a segment after which the next one is predicted."""

    @property
    def tokens(self) -> int:
        """Tokens that the pass computes."""
        return self.segments * self.new


@dataclass(frozen=True, slots=True)
class PassTime:
    """Time of a pass in seconds, by the size of the model."""

    base: float
    """The time of a pass without layers and vocabulary."""
    layer: float
    """The time of each layer."""
    logit: float
    """The time of each token of the vocabulary."""

    def seconds(self, layers: int, vocabulary: int) -> float:
        """Return the time of a pass through a whole model."""
        return self.base + layers * self.layer + vocabulary * self.logit


def mean_pass(sizes: TokenCounts, most: int) -> MeanPass:
    """Return the mean pass over prompts and gold targets.

    Args:
        sizes: Token counts of the requests.
        most: Tokens that a pass computes, at most.
    """
    new = max(1, round(sizes.computed / sizes.paths))
    # Tokens of a segment attend to `shared` tokens and to half of their own, on the mean.
    shared = sizes.attended / sizes.computed - (new + 1) / 2
    predicted = min(new, max(1, round(sizes.predicted / sizes.paths)))
    return MeanPass(max(1, most // new), max(0, round(shared)), new, predicted)


def mean_decoding(sizes: TokenCounts, kv_cache_tokens: int) -> tuple[MeanPass, float]:
    """Return the mean pass that decodes, and how many there are.

    The longest responses of a batch decide how many passes it takes. Drafts that are rejected are
    computed for nothing, and those that are accepted save passes: both are taken from runs of small
    models on SCAN and GeoQuery.

    Args:
        sizes: Token counts of the requests; some are decoded.
        kv_cache_tokens: Tokens of a batch, at most.
    """
    batches = math.ceil((sizes.computed + sizes.decoded) / kv_cache_tokens)
    passes = batches * _PASSES_OF_ANSWER * sizes.decoded / sizes.paths
    tokens = _TOKENS_OF_ANSWER * sizes.decoded / passes
    shared = round(sizes.attended / sizes.computed)
    return MeanPass(max(1, round(tokens / _DRAFT)), shared, _DRAFT, _DRAFT), passes


def estimate_seconds(
    config: PreTrainedConfig,
    footprint: Footprint,
    sizes: TokenCounts,
) -> float:
    """Estimate the time in which a loaded model answers some requests.

    Where passes cannot be measured, the operations are taken at the rate of a matrix product.

    Args:
        config: The model's configuration.
        footprint: The model's.
        sizes: Token counts of the requests.

    Raises:
        ModelError: This machine has no such device.
    """
    device = pick_device(footprint.placement.device)
    a_layer = footprint.non_embedding / footprint.layers
    if a_layer > _MAX_LAYER:
        return footprint.operations(sizes) / matmul_rate(footprint)
    most = pass_tokens(device)
    if device.type == "cpu":
        most = min(most, math.ceil(_OPERATIONS / (2 * a_layer)))
    work = [(prefill := mean_pass(sizes, most), sizes.computed / prefill.tokens)]
    if sizes.decoded:
        work.append(mean_decoding(sizes, footprint.kv_cache_tokens))
    try:
        times = measure_passes(config, footprint, [mean for mean, _ in work], device)
    except Exception:  # noqa: BLE001 (an unusual architecture may refuse to be made smaller)
        return footprint.operations(sizes) / matmul_rate(footprint)
    return sum(
        count * each.seconds(footprint.layers, footprint.vocabulary)
        for each, (_, count) in zip(times, work, strict=True)
    )


def measure_passes(
    config: PreTrainedConfig, footprint: Footprint, means: Sequence[MeanPass], device: torch.device
) -> list[PassTime]:
    """Measure passes in smaller models.

    Args:
        config: The model's configuration.
        footprint: The model's.
        means: The passes.
        device: The device to run on.
    """
    dtype, more = getattr(torch, footprint.dtype), min(_MORE_LAYERS, footprint.layers)
    few, many = _VOCABULARIES

    def seconds(layers: int, vocabulary: int) -> list[float]:
        runner = _runner(config, layers, vocabulary, dtype, device)
        return [_pass_seconds(runner, mean, few) for mean in means]

    small, deep, wide = seconds(1, few), seconds(more, few), seconds(1, many)
    return [
        _line(*measured, layers=more, vocabularies=(few, many))
        for measured in zip(small, deep, wide, strict=True)
    ]


def _line(
    small: float, deep: float, wide: float, *, layers: int, vocabularies: tuple[int, int]
) -> PassTime:
    """Return the line through the times of three models, none of its slopes negative.

    Args:
        small: Seconds with one layer and the small vocabulary.
        deep: Seconds with more layers.
        wide: Seconds with the large vocabulary.
        layers: The layers of the deep one.
        vocabularies: Both.
    """
    few, many = vocabularies
    layer = max(0.0, deep - small) / (layers - 1) if layers > 1 else small
    logit = max(0.0, wide - small) / (many - few)
    return PassTime(max(0.0, small - layer - few * logit), layer, logit)


def _runner(
    config: PreTrainedConfig, layers: int, vocabulary: int, dtype: torch.dtype, device: torch.device
) -> Runner:
    """Return a runner of a smaller model."""
    with silence_transformers(), torch.device(device), torch.random.fork_rng(devices=[]):
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_config(_smaller(config, layers, vocabulary), dtype=dtype)
    return choose_runner(model.eval())


def _smaller(config: PreTrainedConfig, layers: int, vocabulary: int) -> PreTrainedConfig:
    """Return a configuration with fewer layers and tokens."""
    found = copy.deepcopy(config)
    text: Any = found.get_text_config()
    whole = text.num_hidden_layers
    for name, value in vars(text).items():
        if isinstance(value, list) and len(value) == whole:  # something of each layer
            setattr(text, name, value[:layers])
    text.num_hidden_layers, text.vocab_size = layers, vocabulary
    text.pad_token_id = None  # it may lie beyond
    return found


@torch.inference_mode()
def _pass_seconds(runner: Runner, mean: MeanPass, vocabulary: int) -> float:
    """Return the median time of a pass, run again and again for a while."""
    tokens = np.arange(mean.shared + mean.new, dtype=np.int32) % vocabulary
    prefix = KVCache()
    if mean.shared:
        runner.run([Segment(tokens[: mean.shared], mean.shared, 1)], prefix)
    slices = (CacheSlice(prefix, 0, mean.shared),) if mean.shared and prefix.layers else ()
    segments = [Segment(tokens, mean.new, mean.predicted, prefix=slices)] * mean.segments
    return statistics.median(_times(runner, segments))


def _times(runner: Runner, segments: list[Segment]) -> Iterator[float]:
    runner.run(segments, KVCache())  # warms up
    until = time.perf_counter() + _SECONDS
    while True:
        began = time.perf_counter()
        runner.run(segments, KVCache())  # reading predictions waits for the device
        now = time.perf_counter()
        yield now - began
        if now > until:
            return

"""Forward passes: what a causal language model predicts after each token of some paths.

`PackedRunner` computes a token once, however many paths share it. It works for models that use the
attention interface of `transformers`, and for BLOOM. `PaddedRunner` runs whole paths side by side
and works for every causal model.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from inspect import signature
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from icl_gap.models.hf.engine.last_layer import LastLayer
from icl_gap.models.hf.engine.output_layer import (
    LOGITS_BYTES,
    NearTokens,
    RowPredictions,
    join,
    predict,
    reduce_logits,
)
from icl_gap.models.hf.engine.packed_attention import pack_attention
from icl_gap.models.hf.engine.packing import (
    KVCache,
    PackedLayout,
    Prefix,
    Span,
    UnsupportedError,
    use_layout,
)
from icl_gap.models.hf.engine.trie import Tokens

_MAX_ROWS = 16
"""Paths that `PaddedRunner` runs together, at most."""
_PAD = 0
"""Fills the right of short rows. Any id will do, since no earlier token attends to it."""


@dataclass(slots=True, eq=False)
class Segment:
    """The end of a token path, computed in one pass."""

    tokens: Tokens
    """All tokens of the path, (n,)."""
    new: int
    """Number of tokens at its end that are computed."""
    logits_to_keep: int
    """Number of tokens at its end after which the next token is predicted."""
    likelihood: bool = True
    """Whether the log-probabilities of these tokens are wanted; of a pass, all or none."""
    within: float | None = None
    """Distance from the largest logit within which other tokens are wanted; None for none."""
    prefix: Prefix = ()
    """KV cache of the tokens before, from earlier passes or from earlier segments of this pass."""


@dataclass(frozen=True, slots=True)
class TokenPredictions:
    """Predictions of a model after the last tokens of a segment."""

    argmax: list[int]
    """The most likely next token at each position kept."""
    logprobs: list[float]
    """Log-probability of the path's own next token, in nats, at each position but the last; empty
    if they are not wanted."""
    near: list[NearTokens]
    """Tokens near the most likely one, at each position kept; empty if they are not wanted."""


class Runner(Protocol):
    """A way to run a model over segments."""

    shares_prefixes: bool
    """True if it reads prefixes from the KV cache; otherwise it computes each whole path."""

    def run(self, segments: Sequence[Segment], cache: KVCache) -> list[TokenPredictions]:
        """Run a forward pass.

        Args:
            segments: The segments in order. A prefix may hold slices of `cache` that segments
                before it fill.
            cache: Filled with the keys and values of the new tokens, segment after segment.

        Raises:
            FloatingPointError: A prediction is NaN or infinite.
            LookupError: A token has no row in the model's embeddings.
        """


class PackedRunner:
    """Runs all segments as one row without padding.

    Args:
        model: The model; its attention is replaced.
        last_layer: Its last layer, if that may skip tokens; None if it computes all.

    Raises:
        UnsupportedError: The model's attention cannot be replaced.
    """

    shares_prefixes = True

    def __init__(self, model: PreTrainedModel, last_layer: LastLayer | None = None) -> None:
        if rope_depends_on_length(model):
            raise UnsupportedError("position embeddings depend on the longest path of a pass")
        pack_attention(model)
        self._model = model
        self._last_layer = last_layer
        self._head = model.get_output_embeddings()
        self._takes_positions = "position_ids" in signature(model.base_model.forward).parameters

    def run(self, segments: Sequence[Segment], cache: KVCache) -> list[TokenPredictions]:
        """Run a forward pass; see `Runner`."""
        _check_tokens(segments, self._model)
        spans = list(_spans(segments))
        tokens = [each.tokens[len(each.tokens) - each.new :] for each in segments]
        positions = [np.arange(len(each.tokens) - each.new, len(each.tokens)) for each in segments]
        device = input_device(self._model)
        options = {"position_ids": _to_device(positions, device)} if self._takes_positions else {}
        kept = [
            np.arange(span.end - each.logits_to_keep, span.end)
            for span, each in zip(spans, segments, strict=True)
        ]
        rows = _to_device(kept, device)[0]
        skipping = (
            nullcontext()
            if self._last_layer is None
            else self._last_layer.only(rows, spans[-1].end)
        )
        with use_layout(PackedLayout(spans, cache)), skipping:
            hidden = self._model.base_model(
                input_ids=_to_device(tokens, device), use_cache=False, **options
            ).last_hidden_state[0]
        states = hidden[rows.to(hidden.device)]
        found = predict(self._head, states, _targets(segments, states.device), segments[0].within)
        return _by_segment(segments, found)


class PaddedRunner:
    """Runs whole paths side by side, short ones padded on the right.

    Args:
        model: Any causal language model.
    """

    shares_prefixes = False

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._max_rows = 1 if rope_depends_on_length(model) else _MAX_ROWS

    def run(self, segments: Sequence[Segment], cache: KVCache) -> list[TokenPredictions]:
        """Run a forward pass; see `Runner`. The cache stays empty."""
        del cache
        _check_tokens(segments, self._model)
        found = []
        for each, logits in zip(segments, self._logits(segments), strict=True):
            targets = _targets([each], logits.device)
            found.append(reduce_logits([logits], targets, each.within))
        return _by_segment(segments, join(found))

    def _logits(self, segments: Sequence[Segment]) -> Iterator[Tensor]:
        longest = max(len(each.tokens) for each in segments)
        most = LOGITS_BYTES // (4 * vocabulary_size(self._model) * longest)
        rows = max(1, min(most, self._max_rows))
        device = input_device(self._model)
        for start in range(0, len(segments), rows):
            batch = segments[start : start + rows]
            width = max(len(each.tokens) for each in batch)
            padded = np.full((len(batch), width), _PAD, np.int32)
            for row, each in zip(padded, batch, strict=True):
                row[: len(each.tokens)] = each.tokens
            tokens = _to_device([padded.ravel()], device).view(len(batch), width)
            logits = self._model(input_ids=tokens, use_cache=False).logits
            for row, each in zip(logits, batch, strict=True):
                yield row[len(each.tokens) - each.logits_to_keep : len(each.tokens)]


def input_device(model: PreTrainedModel) -> torch.device:
    """Return the device that a model takes its tokens on.

    Args:
        model: The model; its layers may lie on several devices. Offloaded weights are on none.
    """
    devices = (parameter.device for parameter in model.parameters())
    return next((device for device in devices if device.type != "meta"), torch.device("cpu"))


def embedding_rows(model: PreTrainedModel) -> int:
    """Return the number of tokens that a model embeds, often more than its tokenizer has."""
    table: Any = model.get_input_embeddings()
    return int(table.weight.shape[0])


def rope_depends_on_length(model: PreTrainedModel) -> bool:
    """Return True if RoPE follows the longest path of a pass (`dynamic` and `longrope`)."""
    options = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    layers = [options, *(each for each in options.values() if isinstance(each, dict))]
    return any(each.get("rope_type") in {"dynamic", "longrope"} for each in layers)


def vocabulary_size(model: PreTrainedModel) -> int:
    """Return the number of logits that a model computes for each token."""
    return int(model.config.get_text_config().vocab_size)


def _check_tokens(segments: Iterable[Segment], model: PreTrainedModel) -> None:
    """Refuse ids beyond the embeddings; on a GPU, one of them breaks the whole process."""
    rows = embedding_rows(model)
    most = max(int(each.tokens.max()) for each in segments)
    if most >= rows:
        raise LookupError(f"token {most} has no row in the model's embeddings, which have {rows}")


def _spans(segments: Iterable[Segment]) -> Iterator[Span]:
    start = 0
    for each in segments:
        yield Span(start, start + each.new, each.prefix)
        start += each.new


def _to_device(parts: Sequence[NDArray[np.int_] | Tokens], device: torch.device) -> Tensor:
    """Concatenate the parts to (1, n) on a device, without waiting for a GPU."""
    tensor = torch.from_numpy(np.concatenate(parts).astype(np.int64)).unsqueeze(0)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _targets(segments: Sequence[Segment], device: torch.device) -> Tensor | None:
    """Return the token that follows each position kept, (rows,); None if none is wanted.

    Nothing follows the last token of a segment; there it is 0.
    """
    if not any(each.likelihood for each in segments):
        return None
    following = [
        np.append(each.tokens[len(each.tokens) - each.logits_to_keep + 1 :], 0) for each in segments
    ]
    return _to_device(following, device)[0]


def _by_segment(segments: Sequence[Segment], found: RowPredictions) -> list[TokenPredictions]:
    """Split predictions of rows by the segments that they belong to."""
    ends = np.cumsum([each.logits_to_keep for each in segments])
    argmax = found.argmax.tolist()
    logprobs = [] if found.logprobs is None else found.logprobs.tolist()
    near = found.near or []
    return [
        TokenPredictions(argmax[start:end], logprobs[start : end - 1], near[start:end])
        for start, end in zip([0, *ends], ends, strict=False)
    ]

"""Forward passes: what a causal language model predicts after each token of some paths.

`Packed` computes each token once, whatever number of paths it lies on. It works for models that use
the library's attention interface, and for BLOOM; `choose` finds out by comparing it with `Plain` on
a few tokens. `Plain` runs whole paths side by side and works for every causal model.
"""

# mypy: allow-untyped-calls
# torch and transformers leave some of their functions without types.

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from icl_gap.models.hf.engine.packed_attention import (
    UnsupportedError,
    attention_of,
    pack_attention,
    packing,
    unpack_attention,
)
from icl_gap.models.hf.engine.packing import KeyValues, Packing, Piece, Span
from icl_gap.models.hf.engine.trie import Tokens

_LOGITS_BYTES = 1 << 27
"""Of the logits made at a time: a vocabulary is large, and few of its numbers are kept."""
_SIDE_BY_SIDE = 16
"""Paths that `Plain` runs together, at most."""
_PAD = 0
"""Fills the right of short rows: any id that exists will do, for no token before it sees it."""


@dataclass(slots=True, eq=False)
class Segment:
    """The end of a path, to be computed in a pass."""

    path: Tokens
    """All of its tokens."""
    new: int
    """How many of them, at the end, are to be computed."""
    asked: int
    """After how many of these, at the end, the next token is to be predicted."""
    pieces: tuple[Piece, ...] = ()
    """The tokens before, computed already or in the same pass further up."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model predicts after the last tokens of a segment."""

    best: list[int]
    """The most likely next token at each place asked for."""
    logprobs: list[float]
    """Of the path's own next token at each of these places but the last; nats."""


class Runner(Protocol):
    """A way to run a model over segments."""

    shares: bool
    """Whether it makes use of pieces. Without that each segment's whole path is computed."""

    def run(self, segments: Sequence[Segment], made: KeyValues) -> list[Predicted]:
        """Run a pass.

        Args:
            segments: Of the pass, in order: a piece with the source `made` lies further up.
            made: Filled with the keys and values of the new tokens, one segment after the other.

        Raises:
            FloatingPointError: A prediction is NaN.
            LookupError: A token has no row in the model's embeddings.
        """


class Packed:
    """Runs all segments as one row without padding.

    Args:
        model: The model; its attention is replaced.

    Raises:
        UnsupportedError: The model's attention cannot be replaced.
    """

    shares = True

    def __init__(self, model: PreTrainedModel) -> None:
        if reads_length(model):
            raise UnsupportedError("positions depend on what is computed beside")
        pack_attention(model)
        self._model = model
        self._head = model.get_output_embeddings()
        self._takes_places = "position_ids" in signature(model.base_model.forward).parameters

    def run(self, segments: Sequence[Segment], made: KeyValues) -> list[Predicted]:
        """Run a pass; see `Runner`."""
        _check_tokens(segments, self._model)
        spans = list(_spans(segments))
        tokens = [each.path[len(each.path) - each.new :] for each in segments]
        places = [np.arange(len(each.path) - each.new, len(each.path)) for each in segments]
        device = input_device(self._model)
        options = {"position_ids": _moved(places, device)} if self._takes_places else {}
        with packing(Packing(spans, made)):
            hidden = self._model.base_model(
                input_ids=_moved(tokens, device), use_cache=False, **options
            ).last_hidden_state[0]
        asked = zip(spans, segments, strict=True)
        wanted = [np.arange(span.end - each.asked, span.end) for span, each in asked]
        rows = hidden[_moved(wanted, hidden.device)[0]]
        size = max(1, _LOGITS_BYTES // (4 * _vocabulary(self._model)))
        return _predicted(segments, (self._head(part) for part in rows.split(size)))


class Plain:
    """Runs whole paths side by side, short ones padded on the right.

    Args:
        model: Any causal language model.
    """

    shares = False

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._most_rows = 1 if reads_length(model) else _SIDE_BY_SIDE

    def run(self, segments: Sequence[Segment], made: KeyValues) -> list[Predicted]:
        """Run a pass; see `Runner`."""
        del made
        _check_tokens(segments, self._model)
        return _predicted(segments, self._logits(segments))

    def _logits(self, segments: Sequence[Segment]) -> Iterator[Tensor]:
        longest = max(len(each.path) for each in segments)
        most = _LOGITS_BYTES // (4 * _vocabulary(self._model) * longest)
        rows = max(1, min(most, self._most_rows))
        device = input_device(self._model)
        for start in range(0, len(segments), rows):
            batch = segments[start : start + rows]
            width = max(len(each.path) for each in batch)
            padded = np.full((len(batch), width), _PAD, np.int32)
            for row, each in zip(padded, batch, strict=True):
                row[: len(each.path)] = each.path
            tokens = _moved([padded.ravel()], device).view(len(batch), width)
            logits = self._model(input_ids=tokens, use_cache=False).logits
            for row, each in zip(logits, batch, strict=True):
                yield row[len(each.path) - each.asked : len(each.path)]


def choose(model: PreTrainedModel) -> Runner:
    """The fastest way to run a model that predicts what the model itself does.

    Args:
        model: The model, on its device.
    """
    plain = Plain(model)
    attention = attention_of(model)
    try:
        expected = _probe(plain, _vocabulary(model))
        packed = Packed(model)
        found = _probe(packed, _vocabulary(model))
        if np.allclose(found, expected, rtol=_tolerance(model), atol=1e-6):
            return packed
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001, S110 (told of each request that fails, once there are some)
        pass  # whatever an unusual architecture makes of a packed row, or of a context this short
    unpack_attention(model, attention)
    return plain


def input_device(model: PreTrainedModel) -> torch.device:
    """Where a model takes its tokens: weights that are offloaded stand on no device of their own.

    Args:
        model: The model; its layers may lie on several devices.
    """
    devices = (parameter.device for parameter in model.parameters())
    return next((device for device in devices if device.type != "meta"), torch.device("cpu"))


def embedding_rows(model: PreTrainedModel) -> int:
    """How many tokens a model knows: often more than its tokenizer has."""
    table: Any = model.get_input_embeddings()
    return int(table.weight.shape[0])


def reads_length(model: PreTrainedModel) -> bool:
    """Whether positions are read by the longest one in the same pass (long and dynamic RoPE)."""
    options = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    layers = [options, *(each for each in options.values() if isinstance(each, dict))]
    return any(each.get("rope_type") in {"dynamic", "longrope"} for each in layers)


def _vocabulary(model: PreTrainedModel) -> int:
    return int(model.config.get_text_config().vocab_size)


def _check_tokens(segments: Iterable[Segment], model: PreTrainedModel) -> None:
    """Refuse ids beyond the embeddings: on a GPU, one of them ends all that runs there."""
    rows = embedding_rows(model)
    most = max(int(each.path.max()) for each in segments)
    if most >= rows:
        raise LookupError(f"token {most} has no row in the model's embeddings, which have {rows}")


def _probe(runner: Runner, vocabulary: int) -> list[float]:
    """Log-probabilities along three short paths, the last one run on what the first has left."""
    n = np.arange(24)
    tokens = ((n * n * 7 + n * 3 + 5) % min(97, vocabulary)).astype(np.int32)
    made, more = KeyValues(), KeyValues()
    one = Segment(tokens[:12], new=12, asked=12)
    two = Segment(
        np.concatenate([tokens[:5], tokens[12:20]]), new=8, asked=8, pieces=(Piece(made, 0, 5),)
    )
    pieces = (Piece(made, 0, 5), Piece(made, 12, 14))
    three = Segment(np.concatenate([two.path[:7], tokens[18:]]), new=6, asked=6, pieces=pieces)
    with torch.inference_mode():
        predicted = [*runner.run([one, two], made), *runner.run([three], more)]
    return [value for each in predicted for value in each.logprobs]


def _tolerance(model: PreTrainedModel) -> float:
    """How far two ways of computing a log-probability may lie apart."""
    coarse = getattr(model, "is_quantized", False)
    dtype = torch.bfloat16 if coarse else model.dtype
    return math.sqrt(torch.finfo(dtype).eps)


def _spans(segments: Iterable[Segment]) -> Iterator[Span]:
    start = 0
    for each in segments:
        yield Span(start, start + each.new, each.pieces)
        start += each.new


def _moved(parts: Sequence[NDArray[np.int_] | Tokens], device: torch.device) -> Tensor:
    """The parts one after the other as (1, n), on its way to a device that need not wait for it."""
    tensor = torch.from_numpy(np.concatenate(parts).astype(np.int64)).unsqueeze(0)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _predicted(segments: Sequence[Segment], logits: Iterable[Tensor]) -> list[Predicted]:
    """Read predictions off logits, which come in slices of any height.

    Raises:
        FloatingPointError: A log-probability is NaN, as it is where any logit of its row is NaN or
            where the largest is infinite: then the arg-max says nothing.
    """
    best, chosen = [], []
    following = [np.append(each.path[len(each.path) - each.asked + 1 :], 0) for each in segments]
    start, targets = 0, None
    for part in logits:
        targets = _moved(following, part.device)[0] if targets is None else targets
        mine = targets[start : start + len(part), None]
        start += len(part)
        values = part.float()
        top = values.max(dim=-1, keepdim=True)
        best.append(top.indices[:, 0])
        # In place: a copy of something this large costs as much as the arithmetic.
        shifted = values.gather(1, mine) - top.values
        chosen.append((shifted - values.sub_(top.values).exp_().sum(-1, keepdim=True).log())[:, 0])
    ends = np.cumsum([each.asked for each in segments])[:-1]
    bests = np.split(torch.cat(best).cpu().numpy(), ends)
    found = torch.cat(chosen).cpu().numpy()
    if np.isnan(found).any():
        raise FloatingPointError("the model returned NaN")
    logprobs = np.split(found, ends)
    return [Predicted(b.tolist(), p[:-1].tolist()) for b, p in zip(bests, logprobs, strict=True)]

"""Predictions off the output layer, a slice of the vocabulary at a time.

A vocabulary has up to 262,144 tokens, and of the logits only the largest, the sum of exponentials
and that of one token are kept. So no row of logits is ever whole: each slice is reduced while it
lies in the processor's cache.
"""

# mypy: allow-untyped-calls
# torch leaves some of its functions without types.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from icl_gap.models.hf.engine.linear_maps import LINEAR, linear

_SLICE_TOKENS = 2048
"""Tokens of a slice on a CPU: its logits for `_BLOCK_ROWS` rows fit the cache."""
_BLOCK_ROWS = 512
"""Rows of logits computed at a time on a CPU."""
LOGITS_BYTES = 1 << 27
"""Bytes of logits computed at a time elsewhere, and of an output layer that is not linear."""
_LOWEST = torch.finfo(torch.float32).min

NearTokens: TypeAlias = dict[int, float]
"""How far below the largest logit of a row other logits lie, by their tokens; 0 for the largest."""


@dataclass(frozen=True, slots=True)
class RowPredictions:
    """Predictions of some rows, each (rows,)."""

    argmax: Tensor
    """The most likely token."""
    logprobs: Tensor | None
    """Log-probability of the row's target, in nats; None if it is not wanted."""
    near: list[NearTokens] | None = None
    """Tokens near the most likely one, of each row; None if they are not wanted."""


def predict(
    head: nn.Module, rows: Tensor, targets: Tensor | None, within: float | None = None
) -> RowPredictions:
    """Apply an output layer to hidden states.

    Args:
        head: The output layer.
        rows: Hidden states, (rows, hidden size).
        targets: The token of each row whose log-probability is wanted, (rows,); None for none.
        within: The distance from the largest logit within which tokens are near; None to leave
            them out.

    Raises:
        FloatingPointError: A logit is NaN, or the largest of a row is infinite.
    """
    sliced = rows.device.type == "cpu" and type(head) in LINEAR
    if hasattr(head, "_hf_hook"):  # loads its weights when it is called
        sliced = False
    height = _BLOCK_ROWS if sliced else _block_rows(head)
    blocks = rows.split(height)
    own = [None] * len(blocks) if targets is None else targets.split(height)
    return join(
        reduce_logits(_slices(head, block) if sliced else iter([head(block)]), target, within)
        for block, target in zip(blocks, own, strict=True)
    )


def reduce_logits(
    slices: Iterable[Tensor], targets: Tensor | None, within: float | None = None
) -> RowPredictions:
    """Reduce the logits of some rows, slice by slice.

    The sum of exponentials is kept relative to the largest logit so far (Milakov & Gimelshein 2018,
    arXiv 1805.02867).

    Args:
        slices: The logits, (rows, tokens of the slice), in the order of the vocabulary. They are
            overwritten.
        targets: See `predict`.
        within: See `predict`.

    Raises:
        FloatingPointError: A logit is NaN, or the largest of a row is infinite.
    """
    best: Tensor | None = None
    near: list[tuple[Tensor, Tensor, Tensor]] = []
    for start, logits in _numbered(slices):
        values = logits.float()
        top, token = values.max(dim=-1)
        if best is None:
            best, argmax = top, token
            total, chosen = torch.zeros_like(top), torch.zeros_like(top)
            before = top
        else:
            argmax = torch.where(top > best, token + start, argmax)
            before, best = best, torch.maximum(best, top)
        if within is not None:
            row, number = (values >= (best - within)[:, None]).nonzero(as_tuple=True)
            near.append((row, number + start, values[row, number]))
        if targets is not None:
            place = (targets - start).clamp(0, values.shape[1] - 1)
            here = place == targets - start
            chosen = torch.where(here, values.gather(1, place[:, None])[:, 0], chosen)
            # A slice may be all -inf, whose difference with itself is no number.
            top, before = (each.clamp(min=_LOWEST) for each in (best, before))
            # In place: a copy of something this large costs as much as the arithmetic.
            exponentials = values.sub_(top[:, None]).exp_().sum(dim=-1)
            total = total * (before - top).exp() + exponentials
    if best is None or not best.isfinite().all():
        raise FloatingPointError("the model returned NaN")
    return RowPredictions(
        argmax,
        None if targets is None else chosen - best - total.log(),
        None if within is None else _near_tokens(near, best, within),
    )


def join(parts: Iterable[RowPredictions]) -> RowPredictions:
    """Concatenate predictions."""
    parts = tuple(parts)
    logprobs = [each.logprobs for each in parts if each.logprobs is not None]
    argmax = torch.cat([each.argmax for each in parts])
    near = [row for each in parts if each.near is not None for row in each.near]
    return RowPredictions(argmax, torch.cat(logprobs) if logprobs else None, near or None)


def _near_tokens(
    found: Iterable[tuple[Tensor, Tensor, Tensor]], best: Tensor, within: float
) -> list[NearTokens]:
    """Return the tokens near the largest logit of each row.

    Args:
        found: Rows, tokens and logits of tokens near the largest logit up to some slice.
        best: The largest logits, (rows,).
        within: The distance within which tokens are near.
    """
    near: list[NearTokens] = [{} for _ in best]
    row, token, logit = (torch.cat(parts) for parts in zip(*found, strict=True))
    below = best[row] - logit
    kept = below <= within
    for n, each, distance in zip(
        row[kept].tolist(), token[kept].tolist(), below[kept].tolist(), strict=True
    ):
        near[n][each] = distance
    return near


def _slices(head: Any, rows: Tensor) -> Iterator[Tensor]:
    weights = head.weight.split(_SLICE_TOKENS)
    biases = [None] * len(weights) if head.bias is None else head.bias.split(_SLICE_TOKENS)
    for weight, bias in zip(weights, biases, strict=True):
        yield linear(rows, weight, bias)


def _numbered(slices: Iterable[Tensor]) -> Iterator[tuple[int, Tensor]]:
    """Yield each slice behind the number of its first token."""
    start = 0
    for each in slices:
        yield start, each
        start += each.shape[1]


def _block_rows(head: Any) -> int:
    vocabulary = getattr(head, "out_features", None) or len(head.weight)
    return max(1, LOGITS_BYTES // (4 * int(vocabulary)))

"""Predictions off slices of the vocabulary against those off whole rows of logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from icl_gap.models.hf.engine import output_layer
from icl_gap.models.hf.engine.output_layer import predict, reduce_logits

LOGIT = st.sampled_from([-torch.inf, -1e30, -50.0, -1.0, 0.0, 0.5, 0.5, 2.0, 90.0])


@st.composite
def logits(draw: st.DrawFn) -> tuple[Tensor, list[int], list[int]]:
    """Rows of logits with at least one finite each, a target of each row, sizes of slices."""
    rows, vocabulary = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    row = st.lists(LOGIT, min_size=vocabulary, max_size=vocabulary).filter(
        lambda values: max(values) > -torch.inf
    )
    values = torch.tensor(draw(st.lists(row, min_size=rows, max_size=rows)))
    targets = draw(st.lists(st.integers(0, vocabulary - 1), min_size=rows, max_size=rows))
    cuts = sorted(draw(st.sets(st.integers(1, vocabulary), max_size=4)) - {vocabulary})
    return values, targets, [b - a for a, b in zip([0, *cuts], [*cuts, vocabulary], strict=True)]


@given(logits())
def test_slices_add_up_to_whole_rows(drawn: tuple[Tensor, list[int], list[int]]) -> None:
    values, targets, sizes = drawn
    expected = values.log_softmax(-1).gather(1, torch.tensor(targets)[:, None])[:, 0]
    found = reduce_logits(values.clone().split(sizes, dim=1), torch.tensor(targets))
    assert torch.equal(values.gather(1, found.argmax[:, None])[:, 0], values.max(-1).values)
    torch.testing.assert_close(found.logprobs, expected, rtol=1e-5, atol=1e-5)
    alone = reduce_logits(values.clone().split(sizes, dim=1), None)
    assert torch.equal(alone.argmax, found.argmax)
    assert alone.logprobs is None


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_an_output_layer_is_applied_in_slices_and_blocks(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, *, bias: bool
) -> None:
    torch.manual_seed(0)
    head = nn.Linear(8, 33, bias=bias).to(dtype)
    rows, targets = torch.randn(11, 8).to(dtype), torch.arange(11) * 3
    whole = predict(head, rows, targets)
    expected = head(rows).float().log_softmax(-1).gather(1, targets[:, None])[:, 0]
    monkeypatch.setattr(output_layer, "_SLICE_TOKENS", 5)
    monkeypatch.setattr(output_layer, "_BLOCK_ROWS", 4)
    sliced = predict(head, rows, targets)
    assert torch.equal(sliced.argmax, whole.argmax)
    for found in (whole, sliced):
        torch.testing.assert_close(found.logprobs, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_a_layer_that_is_not_linear_is_called_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scaled(nn.Linear):
        def forward(self, rows: Tensor) -> Tensor:
            return 0.5 * super().forward(rows)

    head, rows, targets = Scaled(8, 33), torch.randn(11, 8), torch.arange(11)
    monkeypatch.setattr(output_layer, "LOGITS_BYTES", 4 * 33 * 2)  # two rows at a time
    found = predict(head, rows, targets)
    expected = head(rows).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(found.logprobs, expected)


@pytest.mark.parametrize("targets", [None, torch.tensor([1])])
@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_a_logit_that_is_no_number_is_an_error(wrong: float, targets: Any) -> None:
    for place in (0, 3):
        values = torch.zeros(1, 4)
        values[0, place] = wrong
        with pytest.raises(FloatingPointError, match="NaN"):
            reduce_logits(values.split(2, dim=1), targets)

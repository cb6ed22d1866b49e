"""Linear maps by oneDNN against torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from icl_gap.models.hf.engine import linear_maps
from icl_gap.models.hf.engine.linear_maps import linear, restore_linear, use_onednn

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this build of torch has no oneDNN"
)
MODELS = {
    "linear": lambda: LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
        )
    ),
    "Conv1D": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2)),
}


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use oneDNN on every processor, however small a product is."""
    monkeypatch.setattr(linear_maps, "_MIN_PRODUCTS", 0)
    monkeypatch.setattr(linear_maps, "_has_onednn", lambda: True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The shapes of the weights that torch's own `linear` is called with."""
    shapes: list[Any] = []

    def recorded(rows: Any, weight: Any, bias: Any = None) -> Any:
        shapes.append(tuple(weight.shape))
        return original(rows, weight, bias)

    original = functional.linear
    monkeypatch.setattr(functional, "linear", recorded)
    return shapes


@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    inputs=st.integers(1, 40),
    outputs=st.integers(1, 40),
    transposed=st.booleans(),
    has_bias=st.booleans(),
)
@torch.inference_mode()
def test_the_product_is_that_of_torch(
    shape: list[int], inputs: int, outputs: int, *, transposed: bool, has_bias: bool
) -> None:
    rows = torch.randn(*shape, inputs)
    weight = torch.randn(inputs, outputs).t() if transposed else torch.randn(outputs, inputs)
    bias = torch.randn(outputs) if has_bias else None
    found = linear(rows, weight, bias)
    torch.testing.assert_close(found, functional.linear(rows, weight, bias), rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_rows_with_gaps_between_them() -> None:
    rows, weight = torch.randn(2, 9, 7)[:, ::2], torch.randn(5, 7)
    torch.testing.assert_close(linear(rows, weight), functional.linear(rows, weight))


@pytest.mark.parametrize("kind", MODELS)
@torch.inference_mode()
def test_a_model_computes_the_same_without_torchs_products(kind: str, calls: list[Any]) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]().eval()
    tokens = torch.arange(20)[None]
    expected = model(tokens).logits
    calls.clear()
    use_onednn(model)
    found = model(tokens).logits
    assert calls == []
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    restore_linear(model)
    assert torch.equal(model(tokens).logits, expected)


@torch.inference_mode()
def test_what_onednn_is_slow_at_stays_with_torch(
    monkeypatch: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    half = torch.bfloat16
    linear(torch.randn(2, 3, dtype=half), torch.randn(6, 3, dtype=half))
    monkeypatch.setattr(linear_maps, "_MIN_PRODUCTS", 2 * 3 * 5)
    linear(torch.randn(2, 3), torch.randn(5, 3))
    linear(torch.randn(2, 3), torch.randn(4, 3))
    linear(torch.randn(2, 3), torch.randn(7, 6)[:, :3])
    assert calls == [(6, 3), (4, 3), (7, 3)]


@torch.inference_mode()
def test_maps_of_another_class_stay_as_they_are() -> None:
    class Halved(torch.nn.Linear):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return super().forward(rows) / 2

    model = MODELS["linear"]()
    model.lm_head = Halved(16, 50)
    use_onednn(model)
    assert type(model.lm_head) is Halved

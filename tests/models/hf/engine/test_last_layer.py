"""The last layer, which skips tokens: the same predictions from less work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import SHARING, bpe, build_tiny
from torch import Tensor
from torch.nn import functional

from icl_gap.models.hf.engine import last_layer
from icl_gap.models.hf.engine.packing import KVCache
from icl_gap.models.hf.engine.passes import PaddedRunner, Segment
from icl_gap.models.hf.engine.runner_choice import choose_runner

SEGMENTS = st.lists(
    st.tuples(st.lists(st.integers(0, 6), min_size=2, max_size=12), st.integers(1, 12)),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("architecture", SHARING)
@settings(max_examples=15)
@given(drawn=SEGMENTS)
@torch.inference_mode()
def test_skipping_changes_no_prediction(
    architecture: str, drawn: list[tuple[list[int], int]]
) -> None:
    runner = choose_runner(build_tiny(architecture, bpe([])))
    plain = PaddedRunner(build_tiny(architecture, bpe([])))
    segments = [
        Segment(np.array(tokens, np.int32), len(tokens), min(kept, len(tokens)))
        for tokens, kept in drawn
    ]
    found, expected = (each.run(segments, KVCache()) for each in (runner, plain))
    for one, other in zip(found, expected, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=3e-5)
        assert len(one.argmax) == len(other.argmax)


@torch.inference_mode()
def test_only_tokens_that_predict_something_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: dict[Tensor, int] = {}
    linear = functional.linear

    def counted(hidden: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        rows[weight] = hidden.shape[-2]
        return linear(hidden, weight, bias)

    monkeypatch.setattr(functional, "linear", counted)
    model = build_tiny("llama", bpe([]))
    runner = choose_runner(model)
    runner.run([Segment(np.arange(10, dtype=np.int32) % 6, 10, 2)], KVCache())
    first, last = model.model.layers[0], model.model.layers[-1]
    assert [rows[each.weight] for each in (first.self_attn.q_proj, first.mlp.down_proj)] == [10, 10]
    assert [rows[each.weight] for each in (last.self_attn.k_proj, last.self_attn.v_proj)] == [
        10,
        10,
    ]
    maps = (last.self_attn.q_proj, last.self_attn.o_proj, last.mlp.up_proj, last.mlp.down_proj)
    assert [rows[each.weight] for each in maps] == [2] * 4
    runner.run([Segment(np.arange(10, dtype=np.int32) % 6, 10, 10)], KVCache())
    assert rows[last.mlp.down_proj.weight] == 10


def test_a_map_that_keys_are_made_from_is_found_out_at_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(last_layer, "_SKIPPING", frozenset({"k_proj"}))
    model = build_tiny("llama", bpe([]))
    tokens = torch.tensor([[1, 2, 3, 4, 5, 0]])
    runner = choose_runner(model)
    assert runner.shares_prefixes
    assert "forward" not in vars(model.model.layers[-1].self_attn.k_proj), "it was put back"
    with torch.inference_mode():
        (found,) = runner.run([Segment(tokens[0].numpy().astype(np.int32), 6, 2)], KVCache())
        plain = PaddedRunner(build_tiny("llama", bpe([])))
        (expected,) = plain.run([Segment(tokens[0].numpy().astype(np.int32), 6, 2)], KVCache())
    assert found.logprobs == pytest.approx(expected.logprobs, abs=3e-5)

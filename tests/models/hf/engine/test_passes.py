"""Packed passes against the model's own forward, on whatever tries and architectures."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ARCHITECTURES, SHARING, bpe, build_tiny
from torch.nn.attention import flex_attention as flex_module

from icl_gap.models.hf.engine import kernels, trie_attention
from icl_gap.models.hf.engine.packing import CacheSlice, KVCache, PackedLayout, Span, truncate
from icl_gap.models.hf.engine.passes import PackedRunner, PaddedRunner, Segment
from icl_gap.models.hf.engine.runner_choice import choose_runner
from icl_gap.models.hf.engine.trie import TokenPath, order_paths

ALL = tuple(ARCHITECTURES)


@cache
def runners(
    architecture: str, dtype: torch.dtype = torch.float32, **changes: Any
) -> tuple[Any, Any]:
    """The way the engine runs a model, and the model itself."""
    model = build_tiny(architecture, bpe([]), **changes).to(dtype)
    return choose_runner(copy.deepcopy(model)), PaddedRunner(model)


tries = st.lists(
    st.lists(st.integers(0, 6), min_size=2, max_size=20).map(tuple),
    min_size=1,
    max_size=8,
    unique=True,
)


@torch.inference_mode()
def predictions(runner: Any, paths: list[tuple[int, ...]], per_pass: int) -> dict[int, Any]:
    """What is predicted along all paths, in passes of some branches each."""
    made = [TokenPath(np.array(tokens, np.int32), prompt_length=len(tokens)) for tokens in paths]
    branches = order_paths(made)
    prefix: tuple[CacheSlice, ...] = ()
    found: dict[int, Any] = {}
    for first in range(0, len(branches), per_pass):
        some = branches[first : first + per_pass]
        cache, segments, start = KVCache(), [], 0
        for branch in some:
            prefix = truncate(prefix, branch.shared)
            tokens = made[branch.index].tokens
            segments.append(Segment(tokens, branch.new, branch.new, prefix=prefix))
            prefix = (*prefix, CacheSlice(cache, start, start + branch.new))
            start += branch.new
        for branch, each in zip(some, runner.run(segments, cache), strict=True):
            found[branch.index] = (branch.shared, each)
    return found


def check(runner: Any, plain: Any, paths: list[tuple[int, ...]], per_pass: int, near: Any) -> None:
    found = predictions(runner, paths, per_pass)
    for n, tokens in enumerate(paths):
        path = np.array(tokens, np.int32)
        with torch.inference_mode():
            (whole,) = plain.run([Segment(path, len(path), len(path))], KVCache())
        shared, each = found[n]
        assert each.logprobs == near(whole.logprobs[shared:])
        assert len(each.argmax) == len(path) - shared


@pytest.mark.parametrize("architecture", ALL)
@settings(max_examples=30)
@given(paths=tries, per_pass=st.integers(1, 8))
def test_sharing_changes_no_prediction(
    architecture: str, paths: list[tuple[int, ...]], per_pass: int
) -> None:
    runner, plain = runners(architecture)
    check(runner, plain, paths, per_pass, lambda values: pytest.approx(values, abs=3e-5))


@pytest.mark.parametrize("by_trie", [False, True])
@pytest.mark.parametrize("architecture", SHARING)
@settings(max_examples=10)
@given(paths=tries, per_pass=st.integers(1, 8))
def test_the_kernels_of_other_devices_agree(
    architecture: str, by_trie: bool, paths: list[tuple[int, ...]], per_pass: int
) -> None:
    """Those that a GPU gets, on the CPU: FlexAttention, not compiled, and path by path."""
    runner, plain = runners(architecture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_can_attend_by_slice", lambda *_: False)
        patch.setattr(kernels, "_can_attend_to_trie", lambda *_: by_trie)
        patch.setattr(trie_attention, "_compiled", lambda: trie_attention.attend_under_mask)
        patch.setattr(flex_module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
        check(runner, plain, paths, per_pass, lambda values: pytest.approx(values, abs=3e-5))


@settings(max_examples=20)
@given(
    paths=tries,
    per_pass=st.integers(1, 8),
    window=st.sampled_from([2, 5, 13]),
    kv_heads=st.sampled_from([1, 2, 4]),
)
def test_sliding_windows_change_no_prediction(
    paths: list[tuple[int, ...]], per_pass: int, window: int, kv_heads: int
) -> None:
    options = {"sliding_window": window, "num_key_value_heads": kv_heads}
    runner, plain = runners("gemma3_text", **options)
    assert runner.shares_prefixes
    check(runner, plain, paths, per_pass, lambda values: pytest.approx(values, abs=3e-5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("architecture", SHARING)
def test_low_precision_stays_near(architecture: str, dtype: torch.dtype) -> None:
    runner, plain = runners(architecture, dtype)
    assert runner.shares_prefixes
    paths = [(1, 2, 3, 4, 5, 6), (1, 2, 3, 0, 1), (1, 2, 3, 0, 2, 2), (5, 5)]
    check(runner, plain, paths, 2, lambda values: pytest.approx(values, abs=0.25, rel=0.05))


@pytest.mark.parametrize("architecture", ["falcon", "mamba"])
def test_a_model_that_cannot_share_is_left_as_it_was(architecture: str) -> None:
    model = build_tiny(architecture, bpe([]))
    tokens = torch.tensor([[1, 2, 3, 4]])
    before = model(tokens).logits
    assert not choose_runner(model).shares_prefixes
    assert torch.equal(model(tokens).logits, before)


@pytest.mark.parametrize("kind", ["dynamic", "longrope"])
def test_positions_that_depend_on_the_longest_path_are_run_one_by_one(kind: str) -> None:
    rope = {
        "rope_type": kind,
        "rope_theta": 10000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 8,
        "short_factor": [1.0] * 4,
        "long_factor": [3.0] * 4,
    }
    model = build_tiny("llama", bpe([]), rope_parameters=rope, max_position_embeddings=8)
    runner = choose_runner(model)
    assert not runner.shares_prefixes
    paths = [np.arange(length, dtype=np.int32) % 6 for length in (4, 20, 6)]
    segments = [Segment(path, len(path), len(path)) for path in paths]
    with torch.inference_mode():
        together = runner.run(segments, KVCache())
        for segment, each in zip(segments, together, strict=True):
            (alone,) = runner.run([segment], KVCache())
            assert each.logprobs == pytest.approx(alone.logprobs, abs=1e-6)


@pytest.mark.parametrize("architecture", ["opt", "bloom"])
def test_a_model_whose_packed_row_disagrees_is_run_plainly(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for an architecture that does with positions what no test has foreseen."""
    model = build_tiny(architecture, bpe([]))
    tokens = torch.tensor([[1, 2, 3, 4]])
    before = model(tokens).logits
    run = PackedRunner.run
    with monkeypatch.context() as patch:
        patch.setattr(
            PackedRunner, "run", lambda self, segments, cache: run(self, segments[::-1], cache)
        )
        assert not choose_runner(model).shares_prefixes
    assert torch.equal(model(tokens).logits, before)


def test_the_global_attention_of_other_models_stays() -> None:
    packed, other = (build_tiny("llama", bpe([])) for _ in range(2))
    tokens = torch.tensor([[1, 2, 3, 4]])
    before = other(tokens).logits
    assert choose_runner(packed).shares_prefixes
    assert torch.equal(other(tokens).logits, before)


def test_each_device_has_masks_of_its_own() -> None:
    """As layers on several of them need."""
    layout = PackedLayout([Span(0, 3, ())], KVCache())
    masks = [
        layout.mask(layout.spans[0], None, torch.device(name)) for name in ("cpu", "meta", "cpu")
    ]
    assert [mask.device.type for mask in masks] == ["cpu", "meta", "cpu"]


@given(st.lists(st.integers(1, 4), max_size=5), st.integers(0, 25))
def test_truncate_keeps_the_first_tokens(lengths: list[int], length: int) -> None:
    sources = [KVCache() for _ in lengths]
    prefix = [CacheSlice(s, 10, 10 + n) for s, n in zip(sources, lengths, strict=True)]
    flat = [(id(each.cache), n) for each in prefix for n in range(each.start, each.end)]
    kept = truncate(prefix, length)
    assert [(id(p.cache), n) for p in kept for n in range(p.start, p.end)] == flat[:length]

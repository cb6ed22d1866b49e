"""The attention kernels against softmax over each token's path, on random tries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import bpe, build_tiny
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn.attention import flex_attention as flex_module

from icl_gap.models.hf.engine import kernels, trie_attention
from icl_gap.models.hf.engine.packing import CacheSlice, KVCache, PackedLayout, Span, truncate
from icl_gap.models.hf.engine.passes import PackedRunner, PaddedRunner, Segment
from icl_gap.models.hf.engine.slice_attention import attend_by_slice
from icl_gap.models.hf.engine.sliding_window import visible_slices, window_bias
from icl_gap.models.hf.engine.trie import TokenPath, order_paths
from icl_gap.models.hf.engine.trie_attention import attend_to_trie, attend_under_mask
from icl_gap.models.hf.engine.trie_keys import mask_blocks, trie_keys

SIZE = 8
SCALE = 0.3


@dataclass(frozen=True)
class Setting:
    """A kind of attention."""

    kv_heads: int
    groups: int
    window: int | None
    slopes: Tensor | None

    @property
    def heads(self) -> int:
        """Those of the queries."""
        return self.kv_heads * self.groups


@st.composite
def kinds(draw: st.DrawFn) -> Setting:
    """Heads, groups of them, and a window or linear biases or neither."""
    kv_heads, groups = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    window = draw(st.none() | st.integers(1, 24))
    biased = draw(st.booleans()) and window is None
    slopes = 0.7 ** torch.arange(1, 1 + kv_heads * groups) if biased else None
    return Setting(kv_heads, groups, window, slopes)


tries = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=24).map(tuple),
    min_size=1,
    max_size=8,
    unique=True,
)


def passes(paths: list[tuple[int, ...]], per_pass: int, setting: Setting) -> Iterator[PackedLayout]:
    """Layouts whose keys and values are random, and all of a trie's tokens once."""
    made = [TokenPath(np.array(tokens, np.int32), prompt_length=len(tokens)) for tokens in paths]
    branches = order_paths(made)
    prefix: tuple[CacheSlice, ...] = ()
    for first in range(0, len(branches), per_pass):
        cache, spans, start = KVCache(), [], 0
        for branch in branches[first : first + per_pass]:
            prefix = truncate(prefix, branch.shared)
            spans.append(Span(start, start + branch.new, prefix))
            prefix = (*prefix, CacheSlice(cache, start, start + branch.new))
            start += branch.new
        shape = (1, setting.kv_heads, start, SIZE)
        cache.layers[0] = (torch.randn(shape), torch.randn(shape))
        yield PackedLayout(spans, cache)


def expected(layout: PackedLayout, query: Tensor, setting: Setting) -> Tensor:
    """Softmax over each span's path, in double precision."""
    out = []
    for span in layout.spans:
        keys, values = (each.double() for each in layout.full_path(span, 0))
        keys, values = (each.repeat_interleave(setting.groups, 1) for each in (keys, values))
        scores = SCALE * query[:, :, span.start : span.end].double() @ keys.transpose(2, 3)
        if setting.slopes is not None:
            scores += setting.slopes[:, None, None] * torch.arange(span.path_length)
        mask = layout.mask(span, setting.window, query.device)
        out.append(scores.masked_fill(~mask, -math.inf).softmax(-1) @ values)
    return torch.cat(out, 2)


KERNELS = {
    "slices": attend_by_slice,
    "paths": kernels._attend_path_by_path,
    "trie": attend_to_trie,
}


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """FlexAttention's eager form."""
    monkeypatch.setattr(trie_attention, "_compiled", lambda: attend_under_mask)
    monkeypatch.setattr(flex_module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)


def compare(kernel: str, layout: PackedLayout, setting: Setting) -> None:
    query = torch.randn(1, setting.heads, len(layout.positions), SIZE)
    options = {"scale": SCALE, "window": setting.window, "slopes": setting.slopes}
    found = KERNELS[kernel](layout, 0, query, **options)
    wanted = expected(layout, query, setting)
    torch.testing.assert_close(found.double(), wanted, atol=3e-6, rtol=0)


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=tries, per_pass=st.integers(1, 8), setting=kinds())
@torch.inference_mode()
def test_each_token_attends_to_its_path(
    kernel: str, paths: list[tuple[int, ...]], per_pass: int, setting: Setting
) -> None:
    for layout in passes(paths, per_pass, setting):
        compare(kernel, layout, setting)


@given(
    paths=tries, per_pass=st.integers(1, 8), window=st.none() | st.integers(1, 24), data=st.data()
)
def test_blocks_of_the_mask_hold_what_is_seen(
    paths: list[tuple[int, ...]], per_pass: int, window: int | None, data: st.DataObject
) -> None:
    """In any order of the segments, as decoding may have it."""
    size = 4
    for ordered in passes(paths, per_pass, Setting(1, 1, window, None)):
        layout = ordered
        if all(each.cache is not ordered.cache for s in ordered.spans for each in s.prefix):
            lengths = data.draw(
                st.permutations([(s.end - s.start, s.prefix) for s in ordered.spans])
            )
            ends = np.cumsum([n for n, _ in lengths]).tolist()
            pairs = zip(lengths, ends, strict=True)
            layout = PackedLayout(
                [Span(e - n, e, prefix) for (n, prefix), e in pairs], ordered.cache
            )
        keys, tokens = trie_keys(layout), len(layout.positions)
        shape = (-(-tokens // size) * size, -(-len(keys.positions) // size) * size)
        mask = np.zeros(shape, bool)
        places, at = np.arange(tokens)[:, None], layout.positions[:, None]
        near = keys.positions > at - (window or 1000)
        mask[:tokens, : len(keys.positions)] = (places >= keys.first) & (places < keys.last) & near
        expected_keys = np.minimum(layout.positions + 1, window or 1000)
        assert mask.sum(1)[:tokens].tolist() == expected_keys.tolist()
        by_block = mask.reshape(shape[0] // size, size, shape[1] // size, size)
        blocks = mask_blocks(keys, layout.positions, window, size, shape)
        for row in range(shape[0] // size):
            whole = set(blocks.full[row, : blocks.full_counts[row]].tolist())
            part = set(blocks.partial[row, : blocks.partial_counts[row]].tolist())
            assert not whole & part
            assert set(by_block[row].any((0, 2)).nonzero()[0].tolist()) <= whole | part
            assert all(by_block[row, :, column].all() for column in whole)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # by the compiler itself
@torch.inference_mode()
def test_two_compiled_kernels_serve_passes_of_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU; with a window and without. Rows without prefixes have as many keys as tokens."""
    torch.compiler.reset()
    trie_attention._compiled.cache_clear()
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 1)  # that of all other functions
    draw = np.random.default_rng(0)
    counted = counters["stats"]["unique_graphs"]
    for window, length in ((None, 10), (7, 300), (None, 200)):
        setting = Setting(2, 2, window, None)
        paths = {tuple(draw.integers(0, 2, length).tolist()) for _ in range(6)}
        for layout in passes(sorted(paths), 4, setting):
            compare("trie", layout, setting)
    assert counters["stats"]["unique_graphs"] <= counted + 2


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.usefixtures("uncompiled")
def test_a_device_without_the_kernel_is_found_out(
    biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = (torch.device("cpu"), torch.float32, (4, 2), (SIZE, SIZE))
    works = kernels._trie_kernel_works.__wrapped__
    assert works(*kind, biased=biased)
    monkeypatch.setattr(kernels, "attend_to_trie", lambda *_, **__: torch.zeros(()))
    assert not works(*kind, biased=biased)

    def fail(*_: object, **__: object) -> Tensor:
        raise NotImplementedError

    monkeypatch.setattr(kernels, "attend_to_trie", fail)
    assert not works(*kind, biased=biased)


@given(paths=tries, per_pass=st.integers(1, 8), window=st.integers(1, 24))
def test_only_the_edge_of_a_window_is_masked(
    paths: list[tuple[int, ...]], per_pass: int, window: int
) -> None:
    """Each token sees the keys in its window, each once."""
    for layout in passes(paths, per_pass, Setting(1, 1, window, None)):
        seen: list[list[int]] = [[] for _ in layout.positions]
        visible = visible_slices(layout, window)
        for start, end in visible.own:
            assert end - start <= window
            for token in range(start, end):
                seen[token] += layout.positions[start : token + 1].tolist()
        for each in visible.before:
            bias = torch.zeros(1, 1, each.end - each.start, len(each.keys))
            if each.hidden:
                bias = window_bias(layout, each, window, torch.float32)
                assert bias.isinf().any()
            for token, row in zip(range(each.start, each.end), bias[0, 0], strict=True):
                assert row[-1] == 0
                seen[token] += (each.position + (row == 0).nonzero()[:, 0]).tolist()
        for position, found in zip(layout.positions, seen, strict=True):
            assert sorted(found) == list(range(max(0, position - window + 1), position + 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.inference_mode()
def test_linear_biases_of_long_paths_stay_as_near_as_the_model_itself(dtype: torch.dtype) -> None:
    """Half precision rounds positions beyond 256; BLOOM does the same."""
    model = build_tiny("bloom", bpe([]))
    path = np.random.default_rng(0).integers(0, 6, 700).astype(np.int32)
    segments = [Segment(path, len(path), len(path))]
    (exact,) = PaddedRunner(model).run(segments, KVCache())
    model = model.to(dtype)
    (own,) = PaddedRunner(model).run(segments, KVCache())
    (packed,) = PackedRunner(model).run(segments, KVCache())
    error, most = (
        np.abs(np.subtract(each.logprobs, exact.logprobs)).mean() for each in (packed, own)
    )
    assert error < 1.1 * most
    apart = np.abs(np.subtract(packed.logprobs, own.logprobs)).mean()
    assert apart < most

"""The attention kernels against softmax over each token's path, on random tries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import bpe, build_tiny
from torch import Tensor

from icl_gap.models.hf.engine.kernels import attend_to_paths
from icl_gap.models.hf.engine.packing import CacheSlice, KVCache, PackedLayout, Span, truncate
from icl_gap.models.hf.engine.passes import PackedRunner, PaddedRunner, Segment
from icl_gap.models.hf.engine.sliding_window import visible_slices, window_bias
from icl_gap.models.hf.engine.trie import TokenPath, order_paths

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


@given(paths=tries, per_pass=st.integers(1, 8), setting=kinds(), by_slice=st.booleans())
def test_each_token_attends_to_its_path(
    paths: list[tuple[int, ...]], per_pass: int, setting: Setting, by_slice: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not by_slice:
            patch.setattr("icl_gap.models.hf.engine.kernels._can_attend_by_slice", lambda *_: False)
        for layout in passes(paths, per_pass, setting):
            query = torch.randn(1, setting.heads, len(layout.positions), SIZE)
            found = attend_to_paths(
                layout, 0, query, scale=SCALE, window=setting.window, slopes=setting.slopes
            )
            wanted = expected(layout, query, setting)
            torch.testing.assert_close(found.double(), wanted, atol=2e-6, rtol=0)


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

"""Hypothesis strategies for the records that the stages pass on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from icl_gap.metrics import METRICS
from icl_gap.schema import Benchmark, Divergence, Example, Record, Usage

WORDS = ("walk", "run", "jump", "left", "right", "twice", "and", "after")
TOKENS = ("W", "R", "J", "TL", "TR")

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
programs = st.lists(st.sampled_from(TOKENS), min_size=1, max_size=6).map(" ".join)


@st.composite
def benchmarks(draw: st.DrawFn, *, min_size: int = 6, max_size: int = 20) -> Benchmark:
    """Small benchmarks; sources and targets repeat freely, within a side and across both."""
    sides = []
    for name in ("train", "test"):
        pairs = draw(st.lists(st.tuples(words, programs), min_size=min_size, max_size=max_size))
        sides.append(tuple(Example(f"{name}-{i}", s, t) for i, (s, t) in enumerate(pairs)))
    return Benchmark("toy", "toy", *sides, fingerprint="0")


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Records with any text in them, control characters and lone surrogates included."""
    text = st.text(st.characters(), max_size=20)
    maybe = st.none() | text
    scores = st.dictionaries(st.sampled_from(tuple(METRICS)), st.booleans())
    left = st.builds(Divergence, st.integers(0, 99), expected=maybe, actual=maybe, text=text)
    return Record(
        query_id=draw(text),
        exemplar_ids=tuple(draw(st.lists(text, max_size=3))),
        shots=draw(st.integers(0, 3)),
        coverage=draw(st.floats(0, 1)),
        prompt_sha256="0" * 64,
        prompt_tokens=draw(st.none() | st.integers(0, 4000)),
        status=draw(st.sampled_from(("scored", "skipped", "failed"))),
        prediction=draw(maybe),
        finish_reason=draw(st.sampled_from((None, "stop", "eos", "length"))),
        scores=draw(scores),
        reason=draw(maybe),
        divergence=draw(st.none() | left),
        gold_logprob=draw(st.none() | st.floats(-9, 0)),
        gold_tokens=draw(st.none() | st.integers(0, 99)),
        seconds=draw(st.floats(0, 10)),
        usage=draw(st.none() | st.builds(Usage, st.integers(0, 99), st.integers(0, 99))),
        served_model=draw(maybe),
    )


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Words counted by the sum of their characters, as vectors of unit length."""
    counts = np.full((len(texts), 16), 0.1, np.float32)
    for row, text in zip(counts, texts, strict=True):
        for word in text.split():
            row[sum(map(ord, word)) % 16] += 1
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)

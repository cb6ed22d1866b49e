"""Statistics of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from icl_gap.schema import Benchmark, Example


@dataclass(frozen=True, slots=True)
class SideInfo:
    """Statistics of one side of a split; words and tokens are separated by white space."""

    rows: int
    distinct_rows: int
    """The number of distinct pairs of source and target."""
    distinct_targets: int
    source_vocabulary: int
    target_vocabulary: int
    mean_source_length: float
    """The mean number of words."""
    max_source_length: int
    mean_target_length: float
    """The mean number of tokens."""
    max_target_length: int


@dataclass(frozen=True, slots=True)
class BenchmarkInfo:
    """Statistics of both sides and of their overlap."""

    name: str
    split: str
    fingerprint: str
    partial: str | None
    train: SideInfo
    test: SideInfo
    test_rows_in_train: int
    """The number of test rows with the source and target of one training row."""
    test_sources_in_train: int
    test_targets_in_train: int
    target_tokens_only_in_test: int
    """The number of distinct target tokens of test that no training target holds."""


def describe(benchmark: Benchmark) -> BenchmarkInfo:
    """Return the statistics of a benchmark, among them the test rows that recur in train."""
    train, test = benchmark.train, benchmark.test
    rows = {(example.source, example.target) for example in train}
    sources = {example.source for example in train}
    targets = {example.target for example in train}
    return BenchmarkInfo(
        name=benchmark.name,
        split=benchmark.split,
        fingerprint=benchmark.fingerprint,
        partial=benchmark.partial,
        train=_side(train),
        test=_side(test),
        test_rows_in_train=sum((example.source, example.target) in rows for example in test),
        test_sources_in_train=sum(example.source in sources for example in test),
        test_targets_in_train=sum(example.target in targets for example in test),
        target_tokens_only_in_test=len(
            _vocabulary({example.target for example in test}) - _vocabulary(targets)
        ),
    )


def _side(examples: Sequence[Example]) -> SideInfo:
    source_lengths = [len(example.source.split()) for example in examples]
    target_lengths = [len(example.target.split()) for example in examples]
    targets = {example.target for example in examples}
    return SideInfo(
        rows=len(examples),
        distinct_rows=len({(example.source, example.target) for example in examples}),
        distinct_targets=len(targets),
        source_vocabulary=len(_vocabulary({example.source for example in examples})),
        target_vocabulary=len(_vocabulary(targets)),
        mean_source_length=sum(source_lengths) / len(examples),
        max_source_length=max(source_lengths),
        mean_target_length=sum(target_lengths) / len(examples),
        max_target_length=max(target_lengths),
    )


def _vocabulary(texts: set[str]) -> set[str]:
    return {word for text in texts for word in text.split()}

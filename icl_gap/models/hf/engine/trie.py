"""The requests of one model as a token trie, ordered so that shared prefixes are computed once.

Each request is a `TokenPath`: the tokens of its prompt, then those of its gold target.
`order_paths` groups the paths by their first exemplar and sorts each group by tokens. Whatever
prefix a path shares with any earlier path of its group, it then shares with the path just before,
so the KV cache of one path is all that has to be kept.

`plan_batches` cuts that order into forward passes, and groups these into batches: the requests of a
batch are decoded to their ends, and its memory is freed, before the next batch begins. Batches
depend on the requests alone, not on which of them are done already, so a resumed run computes the
same numbers.

This module does not import torch: `icl-gap plan` counts tokens with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Tokens: TypeAlias = NDArray[np.int32]
"""Token ids, (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenPath:
    """The tokens of one request."""

    tokens: Tokens
    """Prompt, then gold target; (n,)."""
    prompt_length: int
    """Number of the prompt's tokens; at least 1."""
    group: str = ""
    """Paths of one group stay together; paths of different groups are likely to share little."""
    rank: int = 0
    """Groups that hold paths of low rank come first."""
    reserved: int = 0
    """Tokens of KV cache to reserve for decoding beyond the path."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A path in the order of computation."""

    index: int
    """Index of the path in the sequence given to `order_paths`."""
    shared: int
    """Length of the prefix shared with the branch before. The last token of a prompt is never part
    of it, since the pass that computes this token predicts the one after it."""
    new: int
    """Tokens left to compute."""
    reserved: int
    """Tokens of KV cache to reserve for decoding."""


@dataclass(frozen=True, slots=True)
class RequestBatch:
    """Forward passes whose requests are completed together."""

    passes: tuple[tuple[Branch, ...], ...]

    @property
    def branches(self) -> Iterator[Branch]:
        """All branches, in order."""
        return (branch for each in self.passes for branch in each)

    @property
    def tokens(self) -> int:
        """The most tokens that the batch computes."""
        return sum(branch.new + branch.reserved for branch in self.branches)


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Token counts of a set of requests, from which its cost follows."""

    requests: int
    paths: int
    """Distinct requests, whose answers are computed."""
    written: int
    """Tokens of all prompts and gold targets, without sharing."""
    computed: int
    """Tokens computed when each shared prefix is computed once."""
    predicted: int
    """Positions at which the next token is predicted."""
    attended: int
    """Pairs of a computed token and a token that it attends to."""
    decoded: int
    """Tokens of the responses to decode, if each is as long as its gold target; 0 where a response
    is left once it is wrong."""


def order_paths(paths: Sequence[TokenPath]) -> list[Branch]:
    """Return paths in the order of computation.

    Groups come by their lowest rank, then by their longest path in descending order, so that memory
    runs out early if at all.

    Args:
        paths: The paths, no two with the same tokens and the same prompt.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        groups[path.group].append(index)

    def group_key(members: list[int]) -> tuple[int, int, int]:
        longest = max(len(paths[index].tokens) for index in members)
        return min(paths[index].rank for index in members), -longest, members[0]

    def path_key(index: int) -> tuple[bytes, int]:
        return _sort_key(paths[index].tokens), paths[index].prompt_length

    order = [
        index
        for members in sorted(groups.values(), key=group_key)
        for index in sorted(members, key=path_key)
    ]
    return list(_branches(paths, order))


def _branches(paths: Sequence[TokenPath], order: Iterable[int]) -> Iterator[Branch]:
    before: Tokens = np.empty(0, np.int32)
    for index in order:
        path = paths[index]
        shared = min(common_prefix_length(before, path.tokens), path.prompt_length - 1)
        yield Branch(index, shared, len(path.tokens) - shared, path.reserved)
        before = path.tokens


def common_prefix_length(one: Tokens, other: Tokens) -> int:
    """Return the number of leading tokens that two paths have in common."""
    length = min(len(one), len(other))
    differ = one[:length] != other[:length]
    first = int(differ.argmax()) if length else 0
    return first if length and differ[first] else length


def _sort_key(tokens: Tokens) -> bytes:
    """Return bytes that sort as the tokens do."""
    return tokens.astype(">u4").tobytes()


def plan_batches(
    branches: Sequence[Branch], *, kv_cache_tokens: int, pass_tokens: int
) -> list[RequestBatch]:
    """Cut the order of computation into batches of forward passes.

    Args:
        branches: All branches, in order.
        kv_cache_tokens: The most tokens of a batch: the shared prefix of its first branch, the
            tokens it computes, and those reserved for decoding. A larger branch is a batch of its
            own.
        pass_tokens: The most tokens that one pass computes. A larger branch is a pass of its own.
    """
    batches: list[RequestBatch] = []
    passes: list[tuple[Branch, ...]] = []
    current: list[Branch] = []
    cached = computed = 0
    for branch in branches:
        size = branch.new + branch.reserved
        if current and computed + branch.new > pass_tokens:
            passes.append(tuple(current))
            current, computed = [], 0
        if (passes or current) and cached + size > kv_cache_tokens:
            batches.append(RequestBatch((*passes, tuple(current)) if current else tuple(passes)))
            passes, current, cached, computed = [], [], 0, 0
        if not (passes or current):
            cached = branch.shared
        current.append(branch)
        cached += size
        computed += branch.new
    if current:
        batches.append(RequestBatch((*passes, tuple(current))))
    return batches


def required_batches(batches: Sequence[RequestBatch], wanted: Collection[int]) -> set[int]:
    """Return the batches to run for some paths: their own and those that compute their prefixes.

    Args:
        batches: All batches, in order.
        wanted: Indices of the paths.

    Returns:
        Indices of batches.
    """
    sources: list[set[int]] = []
    path: list[tuple[int, int]] = []  # the last path's segments: end, batch that computes it
    for number, batch in enumerate(batches):
        sources.append(set())
        for branch in batch.branches:
            path = [(min(end, branch.shared), source) for end, source in path]
            ends = [0, *(end for end, _ in path)]
            path = [segment for n, segment in enumerate(path) if segment[0] > ends[n]]
            sources[number].update(source for _, source in path)
            path.append((branch.shared + branch.new, number))
    required: set[int] = set()
    stack = [n for n, batch in enumerate(batches) if any(b.index in wanted for b in batch.branches)]
    while stack:
        number = stack.pop()
        if number not in required:
            required.add(number)
            stack += sources[number]
    return required


def count_tokens(
    paths: Sequence[TokenPath], copies: Sequence[int], *, full: bool = False
) -> TokenCounts:
    """Count the tokens of a set of requests.

    Args:
        paths: The distinct paths.
        copies: The number of requests of each path.
        full: Whether wrong responses are decoded to their ends.
    """
    branches = order_paths(paths)
    lengths = [len(path.tokens) for path in paths]
    return TokenCounts(
        requests=sum(copies),
        paths=len(paths),
        written=sum(n * length for n, length in zip(copies, lengths, strict=True)),
        computed=sum(branch.new for branch in branches),
        predicted=sum(len(path.tokens) - path.prompt_length + 1 for path in paths),
        # A token at position p attends to p + 1 tokens.
        attended=sum(
            branch.new * (branch.shared + branch.shared + branch.new + 1) // 2
            for branch in branches
        ),
        decoded=sum(path.reserved for path in paths) if full else 0,
    )

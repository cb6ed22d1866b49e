"""The requests of one model as a trie of tokens, walked so that what they share is computed once.

A request is a path: the tokens of its prompt, then those of its draft (the gold answer). Paths are
put in an order in which each has as much as possible in common with the one before: sorted by their
tokens, within groups that begin with the same exemplar. Then whatever a path shares with any path
before it, it shares with the one just before, so at any time the keys and values of one path are
all that later ones can need, and no other state is kept.

`waves` cuts that order into forward passes, and these into waves: the requests of a wave are
answered to their ends, and its memory given back, before the next one begins. Waves depend on the
requests alone, not on which of them are answered already, so a run that goes on where one was
stopped computes the same numbers.

Nothing here knows of torch: `icl-gap plan` counts tokens with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Tokens: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The tokens of one request."""

    tokens: Tokens
    """Of the prompt, then of the draft."""
    prompt: int
    """How many of them are the prompt's; at least 1."""
    group: str = ""
    """Paths of one group stay together; others are likely to share little with them."""
    rank: int = 0
    """Groups with paths of low rank come first."""
    growth: int = 0
    """How many tokens the answer may add to the path."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A path in the order of the walk."""

    path: int
    """Its place in the sequence given to `arrange`."""
    shared: int
    """How many of its first tokens are those of the branch before. The last token of a prompt is
    never among them, as what follows it is read from the pass that computes it."""
    new: int
    """How many tokens are left to compute."""
    growth: int


@dataclass(frozen=True, slots=True)
class Wave:
    """Passes whose requests are answered together."""

    passes: tuple[tuple[Branch, ...], ...]

    @property
    def branches(self) -> Iterator[Branch]:
        """All branches, in order."""
        return (branch for each in self.passes for branch in each)

    @property
    def tokens(self) -> int:
        """How many it computes, at most."""
        return sum(branch.new + branch.growth for branch in self.branches)


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a set of requests costs."""

    requests: int
    written: int
    """Tokens of all prompts and gold answers, each counted as often as it is written."""
    computed: int
    """Tokens left to compute where what is shared is computed once."""
    predicted: int
    """Positions at which the next token is predicted."""
    attended: int
    """Pairs of a computed token and a token that it attends to."""


def arrange(paths: Sequence[Path]) -> list[Branch]:
    """Put paths in the order of the walk.

    Groups come by their lowest rank, then longest first, so that memory runs out early if at all.

    Args:
        paths: The paths, no two with the same tokens and the same prompt.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        groups[path.group].append(index)

    def urgency(members: list[int]) -> tuple[int, int, int]:
        longest = max(len(paths[index].tokens) for index in members)
        return min(paths[index].rank for index in members), -longest, members[0]

    order = [
        index
        for members in sorted(groups.values(), key=urgency)
        for index in sorted(members, key=lambda n: (_sortable(paths[n].tokens), paths[n].prompt))
    ]
    return list(_branches(paths, order))


def _branches(paths: Sequence[Path], order: Iterable[int]) -> Iterator[Branch]:
    before: Tokens = np.empty(0, np.int32)
    for index in order:
        path = paths[index]
        shared = min(common(before, path.tokens), path.prompt - 1)
        yield Branch(index, shared, len(path.tokens) - shared, path.growth)
        before = path.tokens


def common(one: Tokens, other: Tokens) -> int:
    """How many first tokens two paths have in common."""
    length = min(len(one), len(other))
    differ = one[:length] != other[:length]
    first = int(differ.argmax()) if length else 0
    return first if length and differ[first] else length


def _sortable(tokens: Tokens) -> bytes:
    """Bytes that sort as the tokens do."""
    return tokens.astype(">u4").tobytes()


def waves(branches: Sequence[Branch], *, most_tokens: int, pass_tokens: int) -> list[Wave]:
    """Cut the walk into waves of passes.

    Args:
        branches: The walk.
        most_tokens: Of a wave: what its first branch shares, what its passes compute and what its
            answers may grow by. A branch that is larger is a wave of its own.
        pass_tokens: What one pass may compute; a branch that is larger is a pass of its own.
    """
    cut: list[Wave] = []
    passes: list[tuple[Branch, ...]] = []
    begun: list[Branch] = []
    held = computed = 0
    for branch in branches:
        weight = branch.new + branch.growth
        if begun and computed + branch.new > pass_tokens:
            passes.append(tuple(begun))
            begun, computed = [], 0
        if (passes or begun) and held + weight > most_tokens:
            cut.append(Wave((*passes, tuple(begun)) if begun else tuple(passes)))
            passes, begun, held, computed = [], [], 0, 0
        if not (passes or begun):
            held = branch.shared
        begun.append(branch)
        held += weight
        computed += branch.new
    if begun:
        cut.append(Wave((*passes, tuple(begun))))
    return cut


def needed(cut: Sequence[Wave], wanted: Collection[int]) -> set[int]:
    """Which waves must run for some paths to be answered: theirs, and those they build on.

    Args:
        cut: All waves.
        wanted: The paths, by their places.
    """
    sources: list[set[int]] = []
    made: list[tuple[int, int]] = []  # of the path walked last: up to which token which wave made
    for number, wave in enumerate(cut):
        sources.append(set())
        for branch in wave.branches:
            made = [(min(end, branch.shared), maker) for end, maker in made]
            made = [
                piece for n, piece in enumerate(made) if piece[0] > (made[n - 1][0] if n else 0)
            ]
            sources[number].update(maker for _, maker in made)
            made.append((branch.shared + branch.new, number))
    found: set[int] = set()
    todo = [n for n, wave in enumerate(cut) if any(b.path in wanted for b in wave.branches)]
    while todo:
        number = todo.pop()
        if number not in found:
            found.add(number)
            todo += sources[number]
    return found


def measure(paths: Sequence[Path], copies: Sequence[int]) -> Sizes:
    """What a set of requests costs.

    Args:
        paths: Their paths, each once.
        copies: How many requests have that path.
    """
    branches = arrange(paths)
    lengths = [len(path.tokens) for path in paths]
    return Sizes(
        requests=sum(copies),
        written=sum(n * length for n, length in zip(copies, lengths, strict=True)),
        computed=sum(branch.new for branch in branches),
        predicted=sum(len(path.tokens) - path.prompt + 1 for path in paths),
        # A token at place p attends to p + 1 of them.
        attended=sum(
            branch.new * (branch.shared + branch.shared + branch.new + 1) // 2
            for branch in branches
        ),
    )

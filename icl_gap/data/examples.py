"""The two sides of a split, their ids and their fingerprint."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from icl_gap.schema import Example
from icl_gap.text import brief

Pair = tuple[str, str]
"""A source and its target."""


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a split, as a loader returns them."""

    train: list[Example] = field(default_factory=list)
    test: list[Example] = field(default_factory=list)

    def __repr__(self) -> str:
        return brief("Sides", f"train {len(self.train):,}", f"test {len(self.test):,}")


def compute_fingerprint(train: Sequence[Example], test: Sequence[Example]) -> str:
    """Return the sha256 over the ids, sources and targets of both sides, in order.

    Each column is hashed as its number of rows and one row a line. No field holds a line break, so
    two benchmarks with the same fingerprint are equal.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for side in (train, test):
        ids = [example.id for example in side]
        sources = [example.source for example in side]
        targets = [example.target for example in side]
        for column in (ids, sources, targets):
            digest.update(f"{len(column)}\n".encode())
            digest.update("\n".join(column).encode())
    return digest.hexdigest()


def one_line(text: str) -> str:
    """Return a text with every run of white space replaced by one space.

    Prompts and scores need text on one line.
    """
    return " ".join(text.split())


def sides_from_pairs(name: str, train: Iterable[Pair], test: Iterable[Pair]) -> Sides:
    """Return the sides of a split with ids made from the pairs: equal pairs in all splits have one.

    The id is `<name>-<16 hexadecimal digits>` from the pair's text. A pair that repeats, on either
    side, gets `#2`, `#3` after it.

    Args:
        name: The name of the benchmark.
        train: Pairs of a source and a target.
        test: Pairs of a source and a target.
    """
    seen: Counter[str] = Counter()

    def example(pair: Pair) -> Example:
        digest = hashlib.sha256("\n".join(pair).encode()).hexdigest()[:16]
        seen[digest] += 1
        copy = f"#{seen[digest]}" if seen[digest] > 1 else ""
        return Example(f"{name}-{digest}{copy}", *pair)

    return Sides([example(pair) for pair in train], [example(pair) for pair in test])

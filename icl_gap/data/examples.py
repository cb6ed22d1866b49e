"""The two sides of a split, and the benchmark that they make."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from icl_gap.records import Example


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of a split, as a loader reads them."""

    train: list[Example] = field(default_factory=list)
    test: list[Example] = field(default_factory=list)


def fingerprint(train: Sequence[Example], test: Sequence[Example]) -> str:
    """The sha256 over the ids, sources and targets of both sides, in order.

    Each column goes in as its number of rows and one row a line; no field holds a line break, so
    two benchmarks with the same fingerprint are the same.

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
    """A text without line breaks, tabs or doubled spaces; prompts and scores are line by line."""
    return " ".join(text.split())

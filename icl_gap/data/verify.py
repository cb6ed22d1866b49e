"""Checking what is on this machine against what a card says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icl_gap.data.cards import DatasetCard
from icl_gap.data.checksums import FileCheck, check_source
from icl_gap.data.loading import load_split
from icl_gap.data.locations import find_sources
from icl_gap.errors import DataError
from icl_gap.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """One split, as `load_split` gives it."""

    split: str
    train: int
    test: int
    expected_train: int | None
    expected_test: int | None
    partial: str | None
    fingerprint: str | None
    problem: str | None
    """Why it could not be loaded; None where it was. A part of a split is no problem."""


@dataclass(frozen=True, slots=True)
class Verification:
    """All that was checked."""

    name: str
    files: tuple[FileCheck, ...]
    splits: tuple[SplitCheck, ...]

    @property
    def ok(self) -> bool:
        """Every file is what it should be, and every split could be loaded."""
        files = all(check.ok for check in self.files)
        return files and all(check.problem is None for check in self.splits)


def verify_benchmark(
    card: DatasetCard, root: Path | None = None, *, progress: Progress = no_progress
) -> Verification:
    """Check the sha256 of every file that is known of, and load every split.

    Args:
        card: From `load_card`.
        root: The data folder; by default `ICL_GAP_DATA`.
        progress: Shows progress.
    """
    files = [check for found in find_sources(card, root) for check in check_source(card, found)]
    names = progress(card.splits, "loading splits", len(card.splits))
    splits = [_split(card, split, root) for split in names]
    return Verification(card.name, tuple(files), tuple(splits))


def _split(card: DatasetCard, split: str, root: Path | None) -> SplitCheck:
    spec = card.splits[split]
    try:
        benchmark = load_split(card, split, root)
    except DataError as error:
        return SplitCheck(split, 0, 0, spec.train, spec.test, None, None, str(error))
    return SplitCheck(
        split,
        len(benchmark.train),
        len(benchmark.test),
        spec.train,
        spec.test,
        benchmark.partial,
        benchmark.fingerprint,
        None,
    )

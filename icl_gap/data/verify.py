"""A check of the files and splits on this machine against the card."""

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
    """The result of loading one split."""

    split: str
    train: int
    test: int
    expected_train: int | None
    expected_test: int | None
    partial: str | None
    fingerprint: str | None
    problem: str | None
    """The reason why the split cannot be loaded, or None. A partial split is no problem."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The results of checking a benchmark."""

    name: str
    files: tuple[FileCheck, ...]
    splits: tuple[SplitCheck, ...]

    @property
    def ok(self) -> bool:
        """True if every file has its checksum and every split can be loaded."""
        files = all(check.ok for check in self.files)
        return files and all(check.problem is None for check in self.splits)


def verify_benchmark(
    card: DatasetCard, root: Path | None = None, *, progress: Progress = no_progress
) -> Verification:
    """Check every file with a known sha256, and load every split.

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

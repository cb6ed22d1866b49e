"""What users have must not move by accident: results, and the names by which they are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import pytest
from golden.snapshot import (
    BARE,
    INVENTORY,
    PUBLISHED,
    RESULTS,
    digest_of_run,
    inventory,
    quickstart,
    small,
)

from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.progress import Progress

T = TypeVar("T")
GOLDEN = json.loads(RESULTS.read_text(encoding="utf-8"))


def test_every_sweep_has_its_digests() -> None:
    assert GOLDEN.keys() == {"quickstart", *BARE, *PUBLISHED}


@pytest.mark.parametrize("name", BARE)
def test_a_small_sweep_gives_the_same_results(tmp_path: Path, name: str) -> None:
    assert digest_of_run(small(name, BARE[name]), tmp_path) == GOLDEN[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_benchmark_gives_the_same_results(
    data_root: Path, tmp_path: Path, name: str
) -> None:
    assert data_root.is_dir()
    assert digest_of_run(small(name, PUBLISHED[name]), tmp_path) == GOLDEN[name]


def stop_at(request: int) -> Progress:
    """Track progress until so many requests are answered, and stop there as Ctrl-C would."""

    def progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
        del total
        for done, item in enumerate(items):
            if description == "nano-codegen-m" and done == request:
                raise KeyboardInterrupt
            yield item

    return progress


def test_a_sweep_that_is_stopped_again_and_again_ends_with_the_same_results(tmp_path: Path) -> None:
    sweep = small("nano", BARE["nano"])
    for request in (1, 50, 200):
        with pytest.raises(KeyboardInterrupt):
            evaluate_sweep(sweep, tmp_path / "results", progress=stop_at(request))
    assert digest_of_run(sweep, tmp_path) == GOLDEN["nano"]


@pytest.mark.slow
def test_the_quickstart_gives_the_same_results(tmp_path: Path) -> None:
    assert digest_of_run(quickstart(), tmp_path) == GOLDEN["quickstart"]


def test_every_name_that_users_know_is_there() -> None:
    assert inventory() == json.loads(INVENTORY.read_text(encoding="utf-8"))

"""Bytes that change on the disk: a run makes results whole again, equal to the undamaged ones."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation.test_runner import untimed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from toys import sweep, write_toy

import icl_gap
from icl_gap.errors import AnalysisError
from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results import open_results, repair_store, verify_store
from icl_gap.results.cell_files import header_line, parse_header
from icl_gap.results.manifest import read_manifest

NANO = {"kind": "random_init", "hidden_size": 16, "layers": 1}
PATTERNS = (0x01, 0x08, 0x20, 0x80, 0xFF)
"""Bits to flip in a byte: among others, those that turn letters into others of the same kind."""


class Study:
    """A sweep that ran undisturbed, and what came of it."""

    def __init__(self, place: Path, **changes: object) -> None:
        self.spec: SweepSpec = sweep(write_toy(place), shots=[1], limit=2, **changes)
        self.folder = place / "whole"
        self.results = untimed(evaluate_sweep(self.spec, self.folder))
        self.analysis = icl_gap.analyze(icl_gap.load_results(self.folder), resamples=100)

    def copy(self) -> Path:
        """A folder of the same results, to be damaged."""
        folder = self.folder.with_name("damaged")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return folder

    def check_healed(self, folder: Path) -> None:
        """Run the sweep there, and compare."""
        evaluate_sweep(self.spec, folder)
        assert verify_store(folder) == []
        assert untimed(open_results(folder)) == self.results
        found = icl_gap.analyze(icl_gap.load_results(folder), resamples=100)
        assert found == self.analysis


@pytest.fixture(scope="module")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Of a model whose size only its weights tell."""
    return Study(tmp_path_factory.mktemp("nano"), models=[NANO], seeds=[0, 1])


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return Study(tmp_path_factory.mktemp("mock"), seeds=list(range(16)))


def flip(path: Path, at: int, pattern: int) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= pattern
    path.write_bytes(content)


def test_a_damaged_head_does_not_give_way_to_what_a_plan_knows(nano) -> None:
    folder = nano.copy()
    flip(open_results(folder).paths[3], 40, 1)
    nano.check_healed(folder)


def test_a_good_head_is_kept_where_a_record_is_damaged(nano) -> None:
    folder = nano.copy()
    path = open_results(folder).paths[3]
    head = path.read_bytes().splitlines(keepends=True)[0]
    flip(path, len(head) + 9, 1)
    nano.check_healed(folder)
    assert path.read_bytes().splitlines(keepends=True)[0] == head


places = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from(PATTERNS)), min_size=8, max_size=8
)
few = settings(max_examples=3, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
many = settings(few, max_examples=40)


def check_flips(study: Study, flips: Sequence[tuple[int, int]]) -> None:
    """Damage the header of every other file, and any byte of the others."""
    folder = study.copy()
    for number, (path, (at, pattern)) in enumerate(
        zip(open_results(folder).paths, flips, strict=True)
    ):
        head = len(path.read_bytes().splitlines(keepends=True)[0])
        flip(path, at % head if number % 2 else at, pattern)
    study.check_healed(folder)


@few
@given(places)
def test_any_byte_may_change(nano, flips) -> None:
    check_flips(nano, flips)


@pytest.mark.slow
@many
@given(places)
def test_any_byte_may_change_many_times(nano, flips) -> None:
    check_flips(nano, flips)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_byte_of_a_head_may_change(mock, pattern) -> None:
    paths = open_results(mock.folder).paths
    length = max(len(path.read_bytes().splitlines(keepends=True)[0]) for path in paths)
    for start in range(0, length, len(paths)):
        folder = mock.copy()
        for at, path in enumerate(open_results(folder).paths, start):
            flip(path, at, pattern)  # beyond a shorter header, a record's
        mock.check_healed(folder)


def described(path: Path, **changes: object) -> None:
    """Change what a cell's header says, and its checksum with it."""
    head, *lines = path.read_bytes().splitlines(keepends=True)
    info = parse_header(head, path.name.split(".")[-2])
    path.write_bytes(b"".join((header_line(replace(info, **changes)), *lines)))


@pytest.mark.parametrize(
    ("n_params", "bad"), [(None, 1), (7, 8)], ids=["less is known", "another value is known"]
)
@pytest.mark.parametrize("repaired", [False, True])
def test_cells_that_describe_their_model_differently_are_told_and_described_anew(
    nano, n_params, bad, repaired, caplog
) -> None:
    folder = nano.copy()
    path = open_results(folder).paths[2]
    described(path, n_params=n_params)
    with pytest.raises(AnalysisError, match="n_params"):
        icl_gap.analyze(icl_gap.load_results(folder), resamples=100)
    faults = verify_store(folder)
    assert len(faults) == bad
    (fault,) = [fault for fault in faults if fault.path == path]
    assert f"its n_params is {n_params}, and cell" in fault.problem
    assert fault.n_good == 2
    if repaired:
        assert repair_store(folder) == faults
        assert verify_store(folder) == []
    nano.check_healed(folder)
    assert repaired or path.name in caplog.text
    assert len(list((folder / "damaged").iterdir())) == bad


def test_the_manifest_tells_what_is_settled(nano) -> None:
    manifest = read_manifest(nano.folder)
    assert manifest.settled == tuple(entry.key[:16] for entry in manifest.cells)

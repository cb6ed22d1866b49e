"""Figures on disk: whole or not at all, and nowhere but where they should be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from plots.test_plot import ANALYSIS, GAP, changed
from stored import fresh

from icl_gap.errors import InputError
from icl_gap.plots import plot

FIGURE = changed(GAP)
NAMES = ["gap_vs_scale.svg", "gap_vs_scale.csv"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_cannot_be_written_whole_stays_as_it_was(tmp_path, monkeypatch, name) -> None:
    (tmp_path / name).write_text("as it was")

    def fails(new: Path, path: Path) -> Path:
        if path.name == name:
            raise OSError(28, "No space left on device")
        return new.rename(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        with pytest.raises(InputError, match="cannot write the figure: No space left"):
            plot(ANALYSIS, FIGURE, tmp_path)
    assert (tmp_path / name).read_text() == "as it was"
    assert {path.name for path in tmp_path.iterdir()} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_is_no_regular_file_is_not_written_through_nor_replaced(tmp_path, kind, name) -> None:
    (tmp_path / "victim").write_text("precious")
    path = tmp_path / name
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("victim")
    with pytest.raises(InputError, match="must be a regular file") as caught:
        plot(ANALYSIS, FIGURE, tmp_path)
    assert caught.value.value == str(path)
    assert not path.is_file() or path.is_symlink()
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_link_is_followed_where_it_is_the_users_and_not_in_a_results_folder(tmp_path) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    results = fresh(tmp_path)
    (results / "figures").symlink_to(elsewhere)
    with pytest.raises(InputError, match="a symbolic link, and must be a folder"):
        plot(ANALYSIS, FIGURE, results / "figures")
    assert list(elsewhere.iterdir()) == []
    (tmp_path / "mine").symlink_to(elsewhere)
    plot(ANALYSIS, FIGURE, tmp_path / "mine")
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted(NAMES)


def test_what_a_killed_run_left_is_removed(tmp_path) -> None:
    (tmp_path / f".icl-gap-{'0' * 32}.tmp").touch()
    plot(ANALYSIS, FIGURE, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)

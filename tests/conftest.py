"""Fixtures that every part of the suite may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of published benchmark files; `.ci/run` insists on it where it exists."""
    folder = os.environ.get("ICL_GAP_DATA")
    if not folder:
        pytest.skip("ICL_GAP_DATA is not set: it names the folder of published benchmark files")
    root = Path(folder).resolve()
    assert root.is_dir(), f"ICL_GAP_DATA names {root}, which is no folder"
    return root


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's cache out of the tests, and share one among them."""
    folder = tmp_path_factory.getbasetemp() / "icl_gap_cache"
    monkeypatch.setenv("ICL_GAP_CACHE", str(folder))

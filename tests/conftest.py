"""Fixtures that every part of the suite may use."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Several test processes share the machine's cores; threads of torch that wait for one another on a
# busy core cost a thousand times what they save on models this small.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A suite that a script runs in its background is started with Ctrl-C ignored, and passes that on.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """Let the collector pass over what the modules of all tests hold.

    A run collects garbage after each model; among that much it takes half a second every time.
    """
    gc.collect()
    gc.freeze()


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


@pytest.fixture
def toy_card(tmp_path: Path) -> str:
    """The path of a card of a small benchmark: 30 rows a side, two words each."""
    from toys import write_toy

    return write_toy(tmp_path)

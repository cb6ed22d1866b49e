"""Work that shows no progress says what it does, once it takes long."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from icl_gap import progress
from icl_gap.models import TransformersSpec, identify, load_model

LOG = logging.getLogger("icl_gap.models.registry")


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.came = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.came.set()


@pytest.fixture
def heard(monkeypatch) -> Iterator[_Heard]:
    handler = _Heard()
    monkeypatch.setattr(LOG, "handlers", [handler])
    monkeypatch.setattr(LOG, "level", logging.INFO)
    LOG.manager._clear_cache()  # levels are remembered
    yield handler
    LOG.manager._clear_cache()


def test_quick_work_says_nothing(heard) -> None:
    with progress.said_if_slow(LOG, "reading 100%"):
        pass
    assert not heard.came.wait(0.05)


def test_slow_work_says_what_it_does(heard, monkeypatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.01)
    with progress.said_if_slow(LOG, "reading 100%"):
        assert heard.came.wait(10)
    assert heard.lines == ["reading 100%"]


def test_a_slow_load_tells_source_and_size(heard, monkeypatch) -> None:
    spec = TransformersSpec(model="nano-codegen-xxs")
    identity = identify(spec)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    load_model(spec, identity)
    until = time.monotonic() + 10
    while not any(line.startswith("loading ") for line in heard.lines):
        assert time.monotonic() < until
        time.sleep(0.01)
    (line,) = (line for line in heard.lines if line.startswith("loading "))
    assert line.startswith(f"loading nano-codegen-xxs from {identity.folder}, ")
    assert line.endswith("KiB in memory")


def test_a_failure_stops_the_clock(heard, monkeypatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.2)
    with pytest.raises(ValueError, match="no"), progress.said_if_slow(LOG, "reading"):
        raise ValueError("no")
    assert not heard.came.wait(0.4)

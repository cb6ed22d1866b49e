"""Real servers on loopback, each a process that ends with its test."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from icl_gap.results import Results
from icl_gap.schema import Record

CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m.role == 'assistant' %} {{ m.content }}\n\n"
    "{% elif m.role == 'system' %}{{ m.content }}\n\n"
    "{% else %}{{ m.content }}{% endif %}"
    "{% endfor %}"
)
"""A chat template that joins messages to the text prompt that they were cut from."""


@contextmanager
def running(
    command: Callable[[int], Sequence[str]],
    log: Path,
    variables: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> Iterator[str]:
    """Run a server until the end of the block, and give its address up to `/v1`.

    Args:
        command: Its command line, by the port.
        log: File for its output, which a failure shows.
        variables: Further environment variables.
        seconds: Most seconds that it may take to start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **(variables or {})}
    env.pop("PYTHONPATH", None)  # it may be another environment's python
    with (
        log.open("w") as out,
        subprocess.Popen(command(port), env=env, stdout=out, stderr=out) as server,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", server, log, seconds)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            httpx2.get(url, timeout=5).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def records_by_request(results: Results) -> dict[object, Record]:
    """Return all records, by what tells their requests apart."""
    return {
        (cell.info.query_split, cell.info.condition, cell.info.shots, record.query_id): record
        for cell in results
        for record in cell.records
    }

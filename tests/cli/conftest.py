"""The command line in this process, and a sweep for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from icl_gap.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["icl-gap", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def sweep(toy_card: str, tmp_path: Path) -> Path:
    """A sweep of two models on the toy benchmark."""
    path = tmp_path / "sweep.yaml"
    path.write_text(
        f"""\
name: toy-sweep
datasets: ["{toy_card}"]
models:
  - nearest
  - kind: random_init
    context_length: 400
shots: [0, 3]
seeds: [0, 1]
limit: 5
""",
        encoding="utf-8",
    )
    return path

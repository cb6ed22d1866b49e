"""What reaches the terminal."""

from __future__ import annotations

import pytest

from icl_gap.cli.console import show_table


def test_tables_show_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_table([{"name": "[bold]x[/bold]\x07", "n": "1"}], left=("name",))
    shown = capsys.readouterr().out
    assert r"[bold]x[/bold]\x07" in shown

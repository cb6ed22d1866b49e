"""`icl-gap report` as a user meets it."""

from __future__ import annotations

import sys

import pytest
from studies import save_card, save_study

from icl_gap.cli import main


@pytest.mark.parametrize("metric", ["raw", "canonical"])
def test_a_results_folder_becomes_one_page(monkeypatch, capsys, tmp_path, metric) -> None:
    save_study(tmp_path / "s", save_card(tmp_path / "data"))
    out = tmp_path / "page.html"
    words = ["icl-gap", "report", str(tmp_path / "s"), "-o", str(out), "--metric", metric]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert str(out) in capsys.readouterr().out
    assert f"{metric} exact match" in out.read_text(encoding="utf-8")


def test_two_results_folders_are_compared(cli, tmp_path) -> None:
    card = save_card(tmp_path / "data")
    for name in ("a", "b"):
        save_study(tmp_path / name, card)
    done = cli("report", tmp_path / "a", tmp_path / "b")
    assert done.code == 0, done.err
    page = (tmp_path / "b" / "comparison.html").read_text(encoding="utf-8")
    assert "What changed from A (a) to B (b)?" in page
    assert not (tmp_path / "a" / "report.html").exists()

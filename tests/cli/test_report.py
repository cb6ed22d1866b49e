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

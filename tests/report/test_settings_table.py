"""Settings that differ between two results."""

from __future__ import annotations

from dataclasses import replace

from studies import save_card, save_study

from icl_gap.report.settings_table import setting_table


def test_only_what_differs_is_listed(tmp_path) -> None:
    results = save_study(tmp_path / "a", save_card(tmp_path / "data"))
    assert setting_table(results, results) == []
    sweep = {**results.sweep, "limit": 7, "models": [{"name": "m", "dtype": None}]}
    infos = tuple(
        replace(info, provenance={"device": "cuda", "started": "later"}) for info in results.infos
    )
    rows = setting_table(results, replace(results, sweep=sweep, infos=infos))
    assert {"setting": "sweep: limit", "A": "not set", "B": "7"} in rows
    assert {"setting": "sweep: models 1.name", "A": "not set", "B": "m"} in rows
    assert {"setting": "made with: device", "A": "cpu", "B": "cuda"} in rows
    assert len(rows) == 3


def test_long_values_are_cut(tmp_path) -> None:
    results = save_study(tmp_path / "a", save_card(tmp_path / "data"))
    (row,) = setting_table(results, replace(results, sweep={**results.sweep, "x": "y" * 9999}))
    assert len(row["B"]) < 500

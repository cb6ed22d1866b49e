"""A notebook shows the gaps of a diagnosis."""

from __future__ import annotations

from studies import save_card, save_study

from icl_gap.diagnosis import diagnose


def test_a_notebook_shows_the_gap_of_each_model(tmp_path) -> None:
    card = save_card(tmp_path / "data")
    save_study(tmp_path / "s", card, models=["<b>", "large"])
    found = diagnose(str(tmp_path / "s"), resamples=50)
    shown = found._repr_html_()
    assert shown.count("<tr>") == 1 + len(found.explained) == 1 + 4
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    some = next(iter(found.explained.values()))
    assert f"{some.gap.value:.2f} [" in shown

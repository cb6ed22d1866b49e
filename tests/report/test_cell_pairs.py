"""Cells of two results that ask the same."""

from __future__ import annotations

from studies import ROWS, save_card, save_study

from icl_gap.report.cell_pairs import pair_cells


def test_results_of_one_sweep_pair_cell_by_cell(tmp_path) -> None:
    card = save_card(tmp_path / "data")
    both = [save_study(tmp_path / name, card, seeds=(0, 1)) for name in ("a", "b")]
    found = pair_cells(*both)
    assert found.pairs == tuple((n, n) for n in range(len(both[0])))
    assert found.differing == found.only_first == found.only_second == ()


def test_what_is_in_one_alone_is_named(tmp_path) -> None:
    card = save_card(tmp_path / "data")
    first = save_study(tmp_path / "a", card, models=("small", "large"))
    second = save_study(tmp_path / "b", card, models=("large", "huge"))
    found = pair_cells(first, second)
    for one, other in found.pairs:
        assert first.infos[one].model == second.infos[other].model == "large"
        assert first.infos[one].condition == second.infos[other].condition
        assert first.infos[one].query_split == second.infos[other].query_split
    assert len(found.pairs) == len(found.only_first) == len(found.only_second) == 4
    assert "toy/plain small, 2 shots, test queries, ID, seed 0" in found.only_first
    assert "toy/plain huge, 2 shots, test queries, OOD, seed 0" in found.only_second


def test_one_model_in_each_is_what_was_changed(tmp_path) -> None:
    card = save_card(tmp_path / "data")
    first = save_study(tmp_path / "a", card, models=("small",), shots=(1,))
    second = save_study(tmp_path / "b", card, models=("large",), shots=(2,))
    found = pair_cells(first, second)
    assert found.differing == (("model", "small", "large"), ("shots", "1", "2"))
    assert len(found.pairs) == 4


def test_benchmarks_with_other_texts_have_no_pair(tmp_path) -> None:
    first = save_study(tmp_path / "a", save_card(tmp_path / "one"))
    second = save_study(tmp_path / "b", save_card(tmp_path / "two", [*ROWS, "x y\tX Y"]))
    found = pair_cells(first, second)
    assert found.pairs == ()
    assert len(found.only_first) == len(found.only_second) == len(first)

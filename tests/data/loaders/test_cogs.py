from __future__ import annotations

from pathlib import Path

import pytest

from icl_gap import load_benchmark
from icl_gap.data import load_card
from icl_gap.data.loaders import SplitInputs, cogs
from icl_gap.data.text_files import find_file
from icl_gap.errors import DataError

CASES = sorted(set(load_card("cogs").splits) - cogs.WHOLE - cogs.CATEGORIES.keys())


def test_there_is_a_split_for_each_case() -> None:
    assert len(CASES) == 21


def test_a_case_is_a_part_of_the_generalization_set(data_root) -> None:
    whole = load_benchmark("cogs", "gen", root=data_root)
    case = load_benchmark("cogs", "pp_recursion", root=data_root)
    assert (len(whole.train), len(whole.test), len(case.test)) == (24_155, 21_000, 1_000)
    assert case.train == whole.train
    assert {(e.source, e.target) for e in case.test} < {(e.source, e.target) for e in whole.test}
    assert case.partial is whole.partial is None


@pytest.fixture
def only_tested(data_root, tmp_path) -> list[Path]:
    """The generalization set beside an empty train set, which is read sooner."""
    gen = find_file(data_root / "cogs", "gen.tsv")
    assert gen is not None
    return [_file(tmp_path / "none.tsv", ""), gen]


def test_the_cases_are_the_generalization_set(only_tested) -> None:
    assert [len(cogs.read_cogs(SplitInputs("cogs", case, only_tested)).test) for case in CASES] == [
        1_000
    ] * 21


def test_the_categories_share_the_cases_out(only_tested) -> None:
    assert sorted(case for cases in cogs.CATEGORIES.values() for case in cases) == CASES
    tested = {
        name: len(cogs.read_cogs(SplitInputs("cogs", name, only_tested)).test)
        for name in cogs.CATEGORIES
    }
    assert tested == {name: 1_000 * len(cases) for name, cases in cogs.CATEGORIES.items()}
    assert tested == {name: load_card("cogs").splits[name].test for name in tested}
    # CoFe has a hundred of each case in the first two, where its paper counts 1,100 and 700.
    assert (tested["prim_subs"], tested["prim_alte"]) == (11_000, 7_000)


def test_nothing_of_the_generalization_set_recurs_in_train(data_root) -> None:
    whole = load_benchmark("cogs", "gen", root=data_root)
    assert not {e.source for e in whole.train} & {e.source for e in whole.test}


def test_a_line_without_a_case_is_refused(tmp_path) -> None:
    rows = _file(tmp_path / "train.tsv", "A dog .\tdog ( x )\tone\n")
    bad = _file(tmp_path / "gen.tsv", "A dog .\tdog ( x )\n")
    assert len(cogs.read_cogs(SplitInputs("cogs", "gen", [rows, rows])).test) == 1
    with pytest.raises(DataError, match="its case") as caught:
        cogs.read_cogs(SplitInputs("cogs", "gen", [rows, bad]))
    assert str(bad) in str(caught.value)


def _file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_is_a_line(tmp_path) -> None:
    file = _file(tmp_path / "rows.tsv", "a\u2028b\x0bc\tA\tx\nd\tD\x85\tx\n")
    assert [
        each.source for each in cogs.read_cogs(SplitInputs("cogs", "gen", [file, file])).train
    ] == ["a b c", "d"]

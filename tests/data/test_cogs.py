from __future__ import annotations

from pathlib import Path

import pytest

from icl_gap import load_benchmark
from icl_gap.data import cogs, load_card
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


def test_the_cases_are_the_generalization_set(data_root) -> None:
    sizes = [len(load_benchmark("cogs", case, root=data_root).test) for case in CASES]
    assert sizes == [1_000] * 21


def test_the_categories_share_the_cases_out(data_root) -> None:
    assert sorted(case for cases in cogs.CATEGORIES.values() for case in cases) == CASES
    tested = {
        name: len(load_benchmark("cogs", name, root=data_root).test) for name in cogs.CATEGORIES
    }
    assert tested == {name: 1_000 * len(cases) for name, cases in cogs.CATEGORIES.items()}
    # CoFe has a hundred of each case in the first two, where its paper counts 1,100 and 700.
    assert (tested["prim_subs"], tested["prim_alte"]) == (11_000, 7_000)


def test_nothing_of_the_generalization_set_recurs_in_train(data_root) -> None:
    whole = load_benchmark("cogs", "gen", root=data_root)
    assert not {e.source for e in whole.train} & {e.source for e in whole.test}


def test_a_line_without_a_case_is_refused(tmp_path) -> None:
    rows = _file(tmp_path / "train.tsv", "A dog .\tdog ( x )\tone\n")
    bad = _file(tmp_path / "gen.tsv", "A dog .\tdog ( x )\n")
    assert len(cogs.read("gen", [rows, rows]).test) == 1
    with pytest.raises(DataError, match="its case") as caught:
        cogs.read("gen", [rows, bad])
    assert str(bad) in str(caught.value)


def _file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path

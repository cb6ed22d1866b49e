"""The public names: they stay, and cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest
from geography import LONGEST, RIVERS, save_geography

import icl_gap
from icl_gap.errors import InputError

NAMES = {
    "Benchmark",
    "Example",
    "Score",
    "SweepSpec",
    "analyze",
    "exact_match",
    "exact_match_batch",
    "load_benchmark",
    "load_results",
    "plan_sweep",
    "plot",
    "read_recipe",
    "read_sweep",
    "run_sweep",
    "sample_exemplars",
}


def test_the_public_names_stay() -> None:
    assert set(icl_gap.__all__) == NAMES
    for name in NAMES:
        assert getattr(icl_gap, name).__name__ == name
    with pytest.raises(AttributeError):
        icl_gap.no_such_name  # noqa: B018 (the access is the test)


@pytest.mark.parametrize("use", ["", "icl_gap.exact_match('a', 'a', dataset='scan')"])
def test_neither_torch_nor_matplotlib_comes_in(use) -> None:
    code = (
        f"import icl_gap, sys\n{use}\n"
        "print([n for n in ('torch', 'transformers', 'matplotlib', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_benchmark_has_two_sides_and_a_fingerprint() -> None:
    scan = icl_gap.load_benchmark("scan", split="mcd1")
    assert (len(scan.train), len(scan.test)) == (8365, 1045)
    example = scan.test[0]
    assert example.id
    assert example.source
    assert example.target
    assert len(scan.fingerprint) == 64
    prefixed = icl_gap.load_benchmark("scan", split="mcd1", action_prefix=True)
    assert prefixed.fingerprint != scan.fingerprint


def test_exemplars_are_drawn_for_every_query() -> None:
    scan = icl_gap.load_benchmark("scan")
    drawn = icl_gap.sample_exemplars(
        scan, query_split="test", condition="ood", shots=10, seed=0, limit=3
    )
    assert len(drawn) == 3
    for each in drawn:
        assert len(each.examples) == 10
        assert len(each.coverage) == 11
        assert each.coverage[-1] == 1


def test_scores_know_each_dataset_s_normal_form() -> None:
    assert icl_gap.exact_match("A  B", "A B", dataset="scan").canonical
    score = icl_gap.exact_match(
        "answer ( intersection ( b , a ) )", "answer ( intersection ( a , b ) )", dataset="geoquery"
    )
    assert (score.raw, score.canonical, score.reason) == (False, True, "argument order")
    assert not icl_gap.exact_match("b a", "a b", dataset="scan").canonical
    batch = icl_gap.exact_match_batch(["A", "B"], ["A", "A"], dataset="scan")
    assert [score.raw for score in batch] == [True, False]


def test_scores_tell_what_programs_do() -> None:
    left, right = "I_TURN_LEFT I_TURN_LEFT I_TURN_LEFT", "I_TURN_RIGHT"
    assert icl_gap.exact_match(left, right, dataset="scan").execution
    assert icl_gap.exact_match("a", "a", dataset="cogs").execution is None


@pytest.mark.usefixtures("data_root")
def test_scores_tell_what_published_programs_do() -> None:
    longest, rivers = "answer ( longest ( river ) )", "answer ( river )"
    asked = icl_gap.exact_match(longest, rivers, dataset="geoquery", example_id="geo-0")
    assert asked.execution is False
    assert icl_gap.exact_match(longest, rivers, dataset="geoquery").execution is None
    assert icl_gap.exact_match(longest, longest, dataset="geoquery").execution is True


def test_scores_tell_what_programs_of_a_database_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ICL_GAP_DATA", str(save_geography(tmp_path / "data")))
    ids = ["geo-1", "geo-0", None, "geo-1"]
    predictions = [LONGEST] * 3 + ["answer ( nothing )"]
    found = icl_gap.exact_match_batch(
        predictions, [RIVERS] * 4, dataset="geoquery", example_ids=ids
    )
    assert [score.execution for score in found] == [True, False, None, False]
    with pytest.raises(InputError, match=r"no examples of 7 of the ids: 'x0', .* and 2 more"):
        icl_gap.exact_match_batch(
            [LONGEST] * 8,
            [RIVERS] * 8,
            dataset="geoquery",
            example_ids=["geo-0", *(f"x{n}" for n in range(7))],
        )


def test_scores_need_no_files(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("ICL_GAP_DATA", str(tmp_path))
    monkeypatch.setenv("ICL_GAP_CACHE", str(tmp_path))
    found = icl_gap.exact_match("a ( b )", "a ( b )", dataset="geoquery", example_id="geo-0")
    assert (found.raw, found.execution) == (True, None)

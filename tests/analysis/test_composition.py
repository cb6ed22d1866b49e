"""The reasoning gap of composed questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.synthetic import analyze, cell

from icl_gap.analysis import ReasoningGap, reasoning_table
from icl_gap.analysis import analyze as analyze_frame
from icl_gap.analysis.composition import reasoning_gaps
from icl_gap.analysis.pairing import pair
from icl_gap.results import frame_of
from icl_gap.schema import CellResult, Condition

SPLITS = ("composed", "first", "second")


def asked(split: str, condition: Condition, hits: list[bool], **changes: object) -> CellResult:
    made = cell(condition, hits, dataset="gsm", split=split, **changes)
    records = tuple(
        replace(record, query_id=f"gsm-test{n}-{split}") for n, record in enumerate(made.records)
    )
    return replace(made, records=records)


def study(composed: list[bool], first: list[bool], second: list[bool]) -> list[CellResult]:
    return [
        asked(split, condition, hits if condition == "id" else [False] * len(hits))
        for split, hits in zip(SPLITS, (composed, first, second), strict=True)
        for condition in ("id", "ood")
    ]


def gaps(cells: list[CellResult], **options: object) -> dict[str, ReasoningGap]:
    return {found.condition: found for found in analyze(cells, **options).reasoning}


def test_the_gap_is_that_of_the_accuracies() -> None:
    found = gaps(
        study([True] * 2 + [False] * 6, [True] * 6 + [False] * 2, [True] * 4 + [False] * 4)
    )["id"]
    values = [each.value for each in (found.composed, found.first, found.second, found.gap)]
    assert values == [0.25, 0.75, 0.5, 0.25 - 0.375]
    assert found.n_pairs == 8
    assert found.gap.low < found.gap.value < found.gap.high


def test_pairs_are_resampled_with_all_their_questions() -> None:
    """Where the parts are right of the same pairs, the composed ones too, no resample differs from
    S - S * S."""
    right = [True] * 30 + [False] * 10
    found = gaps(study(right, right, right), resamples=500)["id"]
    share = found.composed
    assert (found.first, found.second) == (share, share)
    lows = [value - value**2 for value in (share.low, share.high)]
    assert found.gap.low >= min(*lows, share.value - share.value**2) - 1e-9
    assert found.gap.high <= 0.25


def test_what_nothing_answers_right_has_no_gap() -> None:
    found = gaps(study([True] * 4, [True] * 4, [True] * 4))["ood"]
    assert found.gap.value == 0


@pytest.mark.parametrize("condition", ["id", "ood"])
def test_answers_that_agree_have_bounds_nevertheless(condition: str) -> None:
    found = gaps(study([True] * 20, [True] * 20, [True] * 20), resamples=100)[condition]
    share = 0.025 ** (1 / 20)  # Clopper and Pearson's bound of 20 of 20.
    if condition == "id":
        assert (found.composed.low, found.composed.high) == (pytest.approx(share), 1)
        assert found.gap.low == pytest.approx(share - 1)
        assert found.gap.high == pytest.approx(1 - share**2)
    else:
        assert (found.composed.low, found.composed.high) == (0, pytest.approx(1 - share))
        assert found.gap.low < 0 < found.gap.high


def test_clusters_of_composed_questions_are_resampled_whole() -> None:
    """Four copies of each pair in one cluster are worth one pair."""
    rng = np.random.default_rng(0)
    once = [(rng.random(40) < p).tolist() for p in (0.5, 0.8, 0.7)]
    copies = [[hit for hit in hits for _ in range(4)] for hits in once]
    frame = frame_of(study(*copies))
    number = frame["query_id"].astype(str).str.extract(r"test(\d+)")[0].astype(int)
    frame["group"] = (number // 4).astype(str)
    (four, *_), (one, *_) = (
        analyze_frame(each, resamples=2000, cluster=cluster).reasoning
        for each, cluster in ((frame, "group"), (frame_of(study(*once)), None))
    )
    assert (four.n_pairs, one.n_pairs) == (160, 40)
    assert four.gap.value == one.gap.value
    assert four.gap.low == pytest.approx(one.gap.low, abs=0.03)
    assert four.gap.high == pytest.approx(one.gap.high, abs=0.03)


@pytest.mark.parametrize("truth", [pytest.param(0.0, marks=pytest.mark.slow), -0.2])
def test_intervals_hold_the_truth_about_as_often_as_they_claim(truth: float) -> None:
    rng = np.random.default_rng(7)
    held = 0
    studies = 60
    for _ in range(studies):
        first, second = rng.random(150) < 0.8, rng.random(150) < 0.7
        composed = rng.random(150) < 0.8 * 0.7 + truth
        blocks, _ = pair(frame_of(study(composed.tolist(), first.tolist(), second.tolist())), "raw")
        found, _ = reasoning_gaps(blocks, resamples=200, seed=0, confidence=0.95)
        (inside,) = (each.gap for each in found if each.condition == "id")
        held += inside.low <= truth <= inside.high
    assert held / studies >= 0.88


def test_a_missing_part_is_told() -> None:
    cells = [c for c in study([True] * 4, [True] * 4, [True] * 4) if c.info.split != "second"]
    found = analyze(cells)
    assert found.reasoning == ()
    assert any("the split `second` is missing" in str(note) for note in found.notes)


def test_the_table_names_conditions() -> None:
    rows = reasoning_table(analyze(study([True, False], [True, True], [True, True])))
    assert [row["exemplars"] for row in rows] == ["ID", "OOD"]
    assert rows[0]["S_comp - S_1 S_2"].startswith("-0.500 [")

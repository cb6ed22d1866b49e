"""The gap that remains with matched exemplars, on cells whose numbers are counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from analysis.synthetic import Hit, analyze, cell

from icl_gap.analysis import Analysis
from icl_gap.results import frame_of
from icl_gap.schema import CellResult, Condition

MATCHED = "ood_matched"


def matched(flags: Sequence[bool], hits: Sequence[Hit], **changes: object) -> CellResult:
    made = cell(MATCHED, hits, **changes)
    records = [
        replace(record, matched=flag) for record, flag in zip(made.records, flags, strict=True)
    ]
    return CellResult(made.info, tuple(records))


def three(n: int, id_: int, ood: int, again: int, **changes: object) -> list[CellResult]:
    """Cells of n queries of which the first so many are right, all matched."""
    hits = {"id": id_, "ood": ood}
    made = [cell(name, [q < right for q in range(n)], **changes) for name, right in hits.items()]
    return [*made, matched([True] * n, [q < again for q in range(n)], **changes)]


def test_the_remaining_gap_and_the_share_that_vanished() -> None:
    found = analyze(three(100, 80, 40, 70)).matched
    assert len(found) == 1
    contrast = found[0]
    assert (contrast.n_matched, contrast.n_unmatched) == (100, 0)
    assert contrast.ordinary.value == pytest.approx(0.5)
    assert contrast.remaining.value == pytest.approx(0.125)
    assert contrast.vanished.value == pytest.approx(0.75)
    assert contrast.because is None
    for each in (contrast.ordinary, contrast.remaining, contrast.vanished):
        assert each.low < each.value < each.high
    assert 0.55 < contrast.vanished.low < contrast.vanished.high < 0.95


def test_it_changes_no_gap_and_no_fit() -> None:
    with_, without = three(60, 50, 30, 40), three(60, 50, 30, 40)[:2]
    one, other = analyze(with_), analyze(without)
    assert one.points == other.points
    assert one.fits == other.fits
    assert other.matched == ()


def test_queries_without_a_match_are_counted_and_left_out() -> None:
    flags = [q % 4 != 0 for q in range(40)]
    hits = {"id": [True] * 40, "ood": [q % 4 == 0 for q in range(40)]}
    cells = [cell(name, some) for name, some in hits.items()]
    again = [q % 3 == 0 for q in range(40)]
    contrast = analyze([*cells, matched(flags, again)]).matched[0]
    assert (contrast.n_matched, contrast.n_unmatched) == (30, 10)
    assert contrast.a_ood.value == 0  # the right ones are those without a match
    assert contrast.vanished.value == pytest.approx(1 / 3)
    none = analyze([*cells, matched([False] * 40, [True] * 40)]).matched[0]
    assert (none.n_matched, none.n_unmatched, none.remaining) == (0, 40, None)
    assert none.because == "no request is matched"


def test_a_request_without_an_answer_under_one_condition_is_in_none() -> None:
    cells = three(50, 40, 20, 30)
    failed: list[Hit] = ["failed", *([True] * 29), *([False] * 20)]
    cells[2] = matched([True] * 50, failed)
    contrast = analyze(cells).matched[0]
    assert (contrast.n_matched, contrast.n_unmatched) == (49, 0)
    assert contrast.a_id.value == pytest.approx(39 / 49)
    assert contrast.a_matched.value == pytest.approx(29 / 49)


def test_each_side_has_its_own_and_seeds_count_as_requests() -> None:
    cells = [
        each
        for side in ("test", "train")
        for seed in (0, 1)
        for each in three(30, 25, 10, 20, query_split=side, seed=seed)
    ]
    found = analyze(cells).matched
    assert [each.query_split for each in found] == ["test", "train"]
    assert [each.n_matched for each in found] == [60, 60]


def test_a_gap_that_is_not_resolved_has_no_share() -> None:
    contrast = analyze(three(50, 25, 24, 23)).matched[0]
    assert contrast.vanished is None
    assert contrast.because == "the ordinary gap is not resolved from 0"
    contrast = analyze(three(50, 25, 5, 5)).matched[0]
    assert contrast.vanished is None
    assert contrast.because == "no answer differs between ordinary and matched exemplars"
    contrast = analyze(three(50, 0, 0, 0)).matched[0]
    assert contrast.ordinary is contrast.remaining is None
    assert contrast.because == "A_id is not resolved from 0"


@pytest.mark.parametrize("absent", ["id", "ood"])
def test_without_its_counterparts_there_is_none(absent: Condition) -> None:
    cells = [each for each in three(30, 20, 10, 15) if each.info.condition != absent]
    found: Analysis = analyze(cells)
    assert found.matched == found.points == ()
    assert any("no matched contrast" in note.text for note in found.notes)


def test_the_order_of_requests_does_not_matter() -> None:
    frame = frame_of([*three(40, 30, 10, 20), *three(40, 20, 10, 12, model="b", n_params=7)])
    shuffled = frame.sample(frac=1, random_state=0)
    from icl_gap.analysis import analyze as analyze_frame

    assert analyze_frame(frame).matched == analyze_frame(shuffled).matched
    assert isinstance(frame["matched"], pd.Series)


@pytest.mark.slow
def test_the_intervals_hold_the_truth() -> None:
    """True accuracies .8, .4 and .7: the gap falls from .5 to .125, so three quarters vanish."""
    rng = np.random.default_rng(0)
    held = np.zeros(3)
    for _ in range(150):
        some = {name: (rng.random(150) < p).tolist() for name, p in (("id", 0.8), ("ood", 0.4))}
        again = (rng.random(150) < 0.7).tolist()
        cells = [cell(name, hits) for name, hits in some.items()]
        made = [*cells, matched([True] * 150, again)]
        contrast = analyze(made, resamples=400).matched[0]
        truths = ((contrast.ordinary, 0.5), (contrast.remaining, 0.125), (contrast.vanished, 0.75))
        held += [each.low <= truth <= each.high for each, truth in truths]
    assert (held / 150 >= 0.9).all()

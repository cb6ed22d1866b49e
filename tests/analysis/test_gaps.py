"""Gaps that can be worked out by hand, and gaps that do not exist."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from analysis.synthetic import analyze, cell

from icl_gap.analysis import GapPoint
from icl_gap.errors import AnalysisError
from icl_gap.schema import CellResult


def points(results: list[CellResult], **options: object) -> dict[str, GapPoint]:
    analysis = analyze(results, **({"resamples": 200} | options))  # type: ignore[arg-type]
    return {point.query_split: point for point in analysis.points}


def both(id_hits: list[bool], ood_hits: list[bool], **changes: object) -> list[CellResult]:
    return [cell("id", id_hits, **changes), cell("ood", ood_hits, **changes)]


def test_the_gap_of_one_query_split_by_hand() -> None:
    results = both([1, 1, 1, 0] * 9, [1, 0, 0, 0] * 9)
    results += both([1, 1, 0, 0] * 9, [0, 1, 0, 0] * 9, seed=1)
    (point,) = points(results).values()
    assert point.a_id.value == 5 / 8
    assert point.a_ood.value == 2 / 8
    assert point.gap is not None
    assert point.gap.value == pytest.approx(0.6)
    assert (point.n_queries, point.n_seeds, point.n_skipped) == (36, 2, 0)
    assert (point.coverage_id, point.coverage_ood, point.shots_effective) == (0.5, 0.5, 5)


def test_pooling_weighs_both_sides_the_same_whatever_their_size() -> None:
    results = both([1, 1, 1, 0] * 9, [1, 0, 1, 0] * 9, query_split="test")
    results += both([1, 0] * 9, [0, 0] * 9, query_split="train")
    pooled = points(results)["pooled"]
    # A_id = mean(te->te, tr->tr) = mean(3/4, 1/2); A_ood = mean(tr->te, te->tr) = mean(1/2, 0).
    assert pooled.a_id.value == 0.625
    assert pooled.a_ood.value == 0.25
    assert pooled.gap is not None
    assert pooled.gap.value == pytest.approx(1 - 0.25 / 0.625)
    assert pooled.n_queries == 54


def test_a_gap_may_be_negative() -> None:
    (point,) = points(both([1, 0] * 20, [1, 1] * 20)).values()
    assert point.gap is not None
    assert point.gap.value == -1
    assert point.gap.low < -1 < point.gap.high < 0


def test_the_metric_chooses_which_match_counts() -> None:
    results = both([1, 1] * 10, [0, 1] * 10)
    strict = [
        CellResult(c.info, tuple(replace(r, scores={**r.scores, "raw": False}) for r in c.records))
        for c in results
    ]
    assert points(strict, metric="canonical")["test"].a_id.value == 1
    with pytest.raises(AnalysisError, match=r"no execution score: .*`predictions: full`"):
        points(strict, metric="execution")
    assert points(strict, metric="raw")["test"].a_id.value == 0


@pytest.mark.parametrize("hits", [0, 1, 2])
def test_a_gap_is_unresolved_where_the_id_accuracy_is_not_resolved_from_zero(hits: int) -> None:
    (point,) = points(both([n < hits for n in range(50)], [False] * 50)).values()
    assert point.gap is None
    assert point.a_id.low == 0
    assert point.unresolved_because is not None
    assert f"{hits} of 50 requests right" in point.unresolved_because


def test_a_gap_is_resolved_once_the_interval_of_its_id_accuracy_is_half_of_it() -> None:
    # z sqrt((1 - A) / (A n)) of 10 and of 20 right of 50: 0.55 and 0.34.
    (point,) = points(both([n < 10 for n in range(50)], [False] * 50), resamples=5000).values()
    assert point.gap is None
    found = re.fullmatch(
        r"A_id not resolved from 0: 10 of 50 requests right; the half-width of its 95% interval is"
        r" (\d\d)% of it \(allowed: below 50%\)",
        point.unresolved_because or "",
    )
    assert found is not None
    assert int(found[1]) == pytest.approx(55, abs=2)
    (point,) = points(both([n < 20 for n in range(50)], [False] * 50)).values()
    assert point.unresolved_because is None
    assert point.gap is not None
    assert point.exact
    assert (point.gap.value, point.gap.high) == (1, 1)
    # Of 20 queries right ID, at most 17% stay right OOD, and hardly more are gained.
    assert 0.7 < point.gap.low < 0.84


def test_skipped_requests_are_left_out_and_counted() -> None:
    results = both([1, None, 1, 0], [1, None, 0, 0])
    analysis = analyze(results, resamples=200)
    (point,) = analysis.points
    assert point.a_id.value == 2 / 3
    assert (point.n_queries, point.n_skipped) == (3, 1)
    assert any(
        "skipped" in note.text and "1 in scan/mcd1" in note.where[0] for note in analysis.notes
    )


def test_failed_requests_are_left_out_with_their_twins_and_counted() -> None:
    analysis = analyze(both([1, "failed", 1, 0], [1, 1, 0, "failed"]), resamples=200)
    (point,) = analysis.points
    assert (point.a_id.value, point.a_ood.value) == (1, 0.5)
    assert (point.n_queries, point.n_skipped, point.n_failed) == (2, 0, 2)
    assert any(
        "failed" in note.text and "2 in scan/mcd1" in note.where[0] for note in analysis.notes
    )


def test_a_query_skipped_on_one_side_and_failed_on_the_other_is_an_error() -> None:
    with pytest.raises(AnalysisError, match="skipped in the OOD cell alone"):
        analyze(both([1, "failed"], [1, None]), resamples=200)


def test_a_subject_of_which_all_was_skipped_has_no_gap() -> None:
    analysis = analyze(both([None, None], [None, None]), resamples=200)
    assert analysis.points == ()
    assert any(note.text == "no gap: every query was skipped or failed" for note in analysis.notes)


def test_a_skipped_query_may_differ_between_seeds() -> None:
    results = both([1, None], [0, None]) + both([None, 1], [None, 1], seed=1)
    (point,) = points(results).values()
    assert (point.a_id.value, point.a_ood.value) == (1, 0.5)
    assert (point.n_queries, point.n_skipped) == (2, 2)


def test_pooling_uses_the_seeds_that_both_sides_have() -> None:
    results = both([1] * 4, [0] * 4, query_split="test")
    results += both([0] * 4, [0] * 4, query_split="test", seed=1)
    results += both([1] * 4, [1] * 4, query_split="train")
    analysis = analyze(results, resamples=200)
    pooled = next(point for point in analysis.points if point.query_split == "pooled")
    assert (pooled.n_seeds, pooled.a_id.value, pooled.a_ood.value) == (1, 1, 0.5)
    assert any("only the seeds that both query splits have: 0" in n.text for n in analysis.notes)


def test_zero_shots_have_no_gap() -> None:
    (point,) = points(both([1, 0] * 20, [1, 0] * 20, shots=0)).values()
    assert point.gap is None
    assert point.unresolved_because == "without exemplars ID and OOD are one prompt"
    assert point.test.p_value == 1

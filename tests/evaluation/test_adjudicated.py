from __future__ import annotations

from dataclasses import replace

from stored import SOME, fresh, write

from icl_gap.evaluation.adjudicated import AdjudicatedShare, count_adjudicated
from icl_gap.results import open_results
from icl_gap.schema import Record


def scored(*bounds: float | None) -> list[Record]:
    return [
        replace(record, status="scored", scores={"raw": True}, rounding_bound=bound)
        for record, bound in zip(SOME, bounds, strict=True)
    ]


def test_requests_without_a_bound_were_asked_again(tmp_path) -> None:
    folder = fresh(tmp_path)
    write(folder, scored(0.318, None, 0.25))
    (found,) = count_adjudicated(open_results(folder))
    assert found == AdjudicatedShare("a/model (x)", 3, 1, 0.318)
    assert str(found) == (
        "adjudicated: a/model (x), 1 of 3 requests (33.3%) asked again in float32, the others "
        "accepted with a rounding bound of 0.318 logits; likelihoods, the smooth gap and places of "
        "divergence are those of half precision"
    )


def test_other_models_are_left_out(tmp_path) -> None:
    folder = fresh(tmp_path)
    assert count_adjudicated(open_results(folder)) == []
    write(folder, scored(None, None, None))
    assert count_adjudicated(open_results(folder)) == []

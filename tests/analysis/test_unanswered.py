"""Responses without an answer: their counts, and what truncated ones do to a gap."""

from __future__ import annotations

import pandas as pd
import pytest

from icl_gap.analysis.unanswered import count_unanswered, unanswered_table


def frame(id_: list[str], ood: list[str], model: str = "m") -> pd.DataFrame:
    """Results of one cell pair: each response is right, wrong, or has another reason."""
    rows = [
        {
            "model": model,
            "dataset": "scan",
            "split": "mcd1",
            "query_split": "test",
            "condition": condition,
            "shots": 5,
            "seed": 0,
            "query_id": f"q{n}",
            "status": "failed" if said == "failed" else "scored",
            "reason": None if said in {"right", "failed"} else said,
            "raw": None if said == "failed" else said == "right",
        }
        for condition, responses in (("id", id_), ("ood", ood))
        for n, said in enumerate(responses)
    ]
    return pd.DataFrame(rows).astype({"raw": "boolean"})


def test_reasons_are_counted_by_model_and_condition() -> None:
    one = frame(
        ["right", "no answer", "right", "wrong"], ["truncated", "truncated", "ran on", "failed"]
    )
    (found,) = count_unanswered(pd.concat([one, frame(["right"], ["wrong"], "other")]), "raw")
    assert found.model == "m"
    assert (found.n["id"], found.n["ood"]) == (4, 3)
    assert found.counts["truncated"] == {"id": 0, "ood": 2, "ood_matched": 0}
    assert found.counts["no answer"]["id"] == 1
    assert found.counts["ran on"]["ood"] == 1
    assert "truncated 0 of 4 ID, 2 of 3 OOD" in str(found)


def test_a_gap_of_truncated_responses_vanishes_without_them() -> None:
    id_ = ["right"] * 10
    (found,) = count_unanswered(frame(id_, ["right"] * 6 + ["truncated"] * 4), "raw")
    assert found.gap == pytest.approx(0.4)
    assert found.gap_without_cut == pytest.approx(0.0)
    assert "gap 0.400 with truncated ones as wrong, 0.000 without their queries" in str(found)


def test_filtered_responses_are_left_out_as_truncated_ones_are_and_refusals_are_not() -> None:
    ood = ["right"] * 5 + ["filtered"] * 3 + ["refused", "truncated"]
    (found,) = count_unanswered(frame(["right"] * 10, ood), "raw")
    assert found.gap == pytest.approx(0.5)
    assert found.gap_without_cut == pytest.approx(1 / 6)
    assert "refused 0 of 10 ID, 1 of 10 OOD" in str(found)
    assert "with truncated and filtered ones as wrong" in str(found)


def test_a_query_is_left_out_under_both_conditions() -> None:
    (found,) = count_unanswered(
        frame(["right", "right", "truncated"], ["right", "wrong", "right"]), "raw"
    )
    assert found.gap == pytest.approx(0.0)
    assert found.gap_without_cut == pytest.approx(0.5)


def test_the_table_has_a_row_for_each_condition_that_was_run() -> None:
    found = count_unanswered(frame(["right", "no answer"], ["truncated", "ran on"]), "raw")
    first, second = unanswered_table(found)
    assert (first["condition"], first["responses"], first["no answer"]) == ("ID", "2", "1")
    assert (second["truncated"], second["ran on"], second["no answer"]) == ("1", "1", "0")
    assert first["gap, truncated wrong"] == "1.000"


def test_without_right_answers_there_is_no_gap() -> None:
    (found,) = count_unanswered(frame(["truncated"], ["truncated"]), "raw")
    assert (found.gap, found.gap_without_cut) == (None, None)
    assert "not defined" in str(found)


def test_results_without_such_responses_have_no_entry() -> None:
    assert count_unanswered(frame(["right"], ["diverged"]), "raw") == []

"""Both scores of chat responses side by side."""

from __future__ import annotations

import pandas as pd
import pytest

from icl_gap.analysis.strict_scores import both_scores_table, compare_scores


def frame(id_: str, ood: str, *, model: str = "m", shots: int = 5) -> pd.DataFrame:
    """Results of one cell pair: `b` is right in both ways, `e` as extracted, `w` as a whole, `-`
    in neither, and `?` has no response."""
    rows = [
        {
            "model": model,
            "dataset": "scan",
            "split": "mcd1",
            "condition": condition,
            "shots": shots,
            "query_id": f"q{n}",
            "status": "failed" if said == "?" else "scored",
            "raw": None if said == "?" else said in "be",
            "chat_strict_raw": None if said == "?" else said in "bw",
        }
        for condition, responses in (("id", id_), ("ood", ood))
        for n, said in enumerate(responses)
    ]
    return pd.DataFrame(rows).astype({"raw": "boolean", "chat_strict_raw": "boolean"})


def test_a_gap_that_extraction_makes_is_seen() -> None:
    (found,) = compare_scores(frame("bbbb?", "bbww"), "raw")
    assert found.extracted == {"id": 1.0, "ood": 0.5}
    assert found.whole == {"id": 1.0, "ood": 1.0}
    assert found.gap == pytest.approx(0.5)
    assert found.whole_gap == pytest.approx(0.0)
    first, second = both_scores_table([found])
    assert (first["condition"], second["condition"]) == ("ID", "OOD")
    assert (second["extracted answer"], second["whole response"]) == ("0.500", "1.000")


def test_a_gap_of_nothing_is_not_defined_and_0_shots_are_left_out() -> None:
    both = pd.concat([frame("ee", "e-"), frame("ww", "ww", shots=0)])
    (found,) = compare_scores(both, "raw")
    assert (found.gap, found.whole_gap) == (pytest.approx(0.5), None)
    assert both_scores_table([found])[0]["gap, whole"] == "not defined"


def test_completions_have_one_score() -> None:
    plain = frame("bb", "b-").assign(chat_strict_raw=pd.array([None] * 4, "boolean"))
    assert compare_scores(plain, "raw") == []
    found = compare_scores(pd.concat([plain, frame("b", "b", model="chat")]), "raw")
    assert [each.model for each in found] == ["chat"]

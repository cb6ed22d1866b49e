from __future__ import annotations

import pytest
from scored import score

from icl_gap.schema import Score


@pytest.mark.parametrize(
    ("prediction", "target", "canonical", "reason"),
    [
        ("12", "3*4=12 #### 12", True, "wording"),
        ("so 4 of 9 #### 12 apples, not 7", "#### 12", True, "wording"),
        ("#### 5 #### 12", "12", True, "wording"),
        ("the answer is $1,200.", "#### 1200", True, "wording"),
        ("0.50", "#### 0.5", True, "wording"),
        ("-3", "#### -3", True, "wording"),
        ("12 #### 13", "#### 12", False, "different program"),
        ("twelve", "#### 12", False, "malformed: no number"),
        ("12 ####", "#### 12", False, "malformed: no number"),
        ("12", "twelve", False, "malformed target: no number"),
    ],
)
def test_final_numbers_are_compared(
    prediction: str, target: str, canonical: bool, reason: str
) -> None:
    assert score(prediction, target, "number") == Score(False, canonical, reason)

"""The rule of the verdict: every condition counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.analysis.scaling.trends import PermutationTest
from icl_gap.analysis.scaling.verdicts import SlopeEvidence, judge, judge_closed

NARROWS = SlopeEvidence(
    slope=-0.2,
    interval=(-0.3, -0.1),
    change=(-0.5, -0.3),
    permutation=PermutationTest(0.017, 0.017),
    n_models=5,
    leave_one_out=(-0.1, -0.3),
    other_scales={"difference": -0.1, "log-odds ratio": -0.2},
)


def test_all_conditions_together_allow_a_verdict() -> None:
    verdict, because = judge(NARROWS, 0.1)
    assert verdict == "narrows"
    assert because == (
        "the 95% interval of the slope, [\u22120.300, \u22120.100], excludes 0, and the permutation"
        " test has p = 0.017"
    )
    mirrored = replace(
        NARROWS,
        slope=0.2,
        interval=(0.1, 0.3),
        leave_one_out=(0.1, 0.3),
        other_scales={"difference": 0.1, "log-odds ratio": 0.2},
    )
    assert judge(mirrored, 0.1)[0] == "widens"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"interval": (-0.3, 0.01)},
            "the 95% interval of the slope, [\u22120.300, +0.010], holds 0",
        ),
        (
            {"permutation": PermutationTest(0.06, 0.017)},
            "the permutation test has p = 0.060",
        ),
        (
            {"permutation": PermutationTest(0.083, 0.083), "n_models": 4},
            "4 models are too few for the permutation test: its smallest p-value is 0.083",
        ),
        ({"leave_one_out": (-0.1, 0.02)}, "the sign of the slope depends on one model"),
        (
            {"other_scales": {"difference": 0.1, "log-odds ratio": 0.2}},
            "the difference of accuracies and the log-odds ratio go the other way",
        ),
        ({"doubts": ["one side is at its floor"]}, "one side is at its floor"),
    ],
)
def test_one_condition_that_fails_is_named(change: dict[str, object], reason: str) -> None:
    assert judge(replace(NARROWS, **change), 0.1) == ("undetermined", reason)


def test_one_of_the_other_scales_is_enough() -> None:
    mixed = replace(NARROWS, other_scales={"difference": 0.1, "log-odds ratio": -0.2})
    assert judge(mixed, 0.1)[0] == "narrows"


def test_a_change_within_the_margin_is_none() -> None:
    flat = replace(NARROWS, slope=0.01, interval=(-0.03, 0.05), change=(-0.05, 0.08))
    assert judge(flat, 0.1)[0] == "no change beyond margin"
    assert judge(flat, 0.07)[0] == "undetermined"


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 1), st.floats(0.01, 0.5)
)
def test_a_trend_is_never_claimed_where_the_interval_holds_zero(
    slope: float, below: float, above: float, p: float, margin: float
) -> None:
    evidence = replace(
        NARROWS,
        slope=slope,
        interval=(slope - below, slope + above),
        change=(2 * slope - below, 2 * slope + above),
        permutation=PermutationTest(p, min(p, 0.017)),
    )
    verdict, because = judge(evidence, margin)
    assert because
    if verdict in {"narrows", "widens"}:
        assert not evidence.interval[0] <= 0 <= evidence.interval[1]
        assert p <= 0.05
    if verdict == "no change beyond margin":
        assert -margin <= evidence.change[0] <= evidence.change[1] <= margin


@pytest.mark.parametrize(
    ("interval", "closed"),
    [
        ((-0.05, 0.09), "closed"),
        ((0.11, 0.3), "open"),
        ((-0.4, -0.2), "open"),
        ((0.05, 0.2), "undetermined"),
        ((-0.2, 0.2), "undetermined"),
        (None, "undetermined"),
    ],
)
def test_a_gap_is_closed_within_the_margin_alone(
    interval: tuple[float, float] | None, closed: str
) -> None:
    assert judge_closed(interval, 0.1) == closed

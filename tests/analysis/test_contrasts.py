"""Differences of gaps between models, shots and selections."""

from __future__ import annotations

import numpy as np
import pytest
from analysis.synthetic import analyze, cell
from analysis.test_bootstrap import paired, subject

from icl_gap.analysis.contrasts import Comparison, compare_gaps, parse_comparison
from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.table import comparison_table, gap_table
from icl_gap.errors import AnalysisError, InputError
from icl_gap.schema import CellResult

SOLVED = np.random.default_rng(0).random(200)


def cells(id_rate: float, ood_rate: float, **changes: object) -> list[CellResult]:
    """The easiest queries are right, so models agree on which they are."""
    selection = changes.pop("selection", "random")
    spec = {"sampler": {"selection": selection}}
    return [
        cell(condition, (rate > SOLVED).tolist(), spec=spec, **changes)
        for condition, rate in (("id", id_rate), ("ood", ood_rate))
    ]


TWO_MODELS = [
    *cells(0.8, 0.4, model="a", shots=5),
    *cells(0.8, 0.6, model="b", shots=5),
    *cells(0.6, 0.3, model="a", shots=10),
    *cells(0.5, 0.4, model="c", shots=1),
]


def test_two_models_are_compared_in_their_common_settings() -> None:
    analysis = analyze(TWO_MODELS, resamples=1000, compare=("a", "b"))
    (found,) = analysis.comparisons
    gaps = {(p.model, p.shots): p.gap for p in analysis.points}
    first, second = gaps["a", 5], gaps["b", 5]
    assert first is not None
    assert second is not None
    assert found.difference is not None
    assert found.difference.value == pytest.approx(first.value - second.value)
    assert (found.varied, found.first, found.second) == ("model", "a", "b")
    assert (found.model, found.shots, found.selection, found.query_split) == (
        None,
        5,
        "random",
        "test",
    )
    # Shared resamples: what is hard for both cancels out.
    alone = np.hypot(first.high - first.low, second.high - second.low)
    assert found.difference.high - found.difference.low < 0.9 * alone
    (row,) = comparison_table(analysis)
    assert row["gap of a less gap of b"].startswith("+0.2")


def test_shots_are_compared_within_each_model() -> None:
    analysis = analyze(TWO_MODELS, resamples=200, compare=("shots=5", "shots=10"))
    assert [(each.model, each.shots) for each in analysis.comparisons] == [("a", None)]


def test_selections_stand_side_by_side_and_can_be_compared() -> None:
    both = [*cells(0.8, 0.4), *cells(0.8, 0.6, selection="oracle_coverage")]
    analysis = analyze(
        both, resamples=200, compare=("selection=oracle_coverage", "selection=random")
    )
    assert [point.selection for point in analysis.points] == ["oracle_coverage", "random"]
    assert [row["selection"] for row in gap_table(analysis)] == ["oracle_coverage", "random"]
    (found,) = analysis.comparisons
    assert found.difference is not None
    assert found.difference.high < 0
    assert found.selection is None


def test_a_difference_to_an_unresolved_gap_is_none_and_says_why() -> None:
    analysis = analyze(
        [*cells(0.8, 0.4, model="a"), *cells(0.0, 0.0, model="b")], compare=("a", "b")
    )
    (found,) = analysis.comparisons
    assert found.difference is None
    assert found.unresolved_because is not None
    assert found.unresolved_because.startswith("b, 5 shots, test queries: A_id not resolved")


def test_models_that_agree_in_all_differ_by_zero_within_bounds() -> None:
    analysis = analyze(
        [*cells(0.8, 0.4, model="a"), *cells(0.8, 0.4, model="b")], compare=("a", "b")
    )
    (found,) = analysis.comparisons
    assert found.difference is not None
    assert found.difference.low < found.difference.value == 0 < found.difference.high


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a", "z", "no gap has this `model`"),
        ("shots=5", "shots=7", "no gap has this `shots`"),
        ("a", "shots=5", "differ in one field"),
        ("seed=1", "seed=2", "no field to compare"),
        ("a", "model=a", "compared with itself"),
    ],
)
def test_comparisons_that_make_no_sense_are_refused(first: str, second: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        analyze(TWO_MODELS, resamples=100, compare=(first, second))
    assert error.value.allowed is not None


def test_models_without_a_common_setting_are_not_compared() -> None:
    with pytest.raises(AnalysisError, match="`b` and `c` have no gap in a common setting"):
        analyze(TWO_MODELS, resamples=100, compare=("b", "c"))


def test_a_bare_name_is_a_model() -> None:
    assert parse_comparison("opt-125m", "model=opt-350m") == Comparison(
        "model", "opt-125m", "opt-350m"
    )


@pytest.mark.slow
def test_intervals_of_differences_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = []
    for n in range(800):
        hard = rng.normal(size=(1, 150))
        blocks = []
        for model, gap in (("a", 0.4), ("b", 0.2)):
            inside = rng.normal(size=(3, 150)) + hard > 0
            outside = inside & (rng.random((3, 150)) < 1 - gap)
            of = subject(model=model, dataset=f"d{n}")
            blocks.append(paired(inside.astype(float), outside.astype(float), of=of))
        measured, _ = estimate_gaps(blocks, resamples=1000, seed=0, confidence=0.95)
        (found,) = compare_gaps(measured, Comparison("model", "a", "b"), confidence=0.95)
        assert found.difference is not None
        held.append(found.difference.low <= 0.2 <= found.difference.high)
    print(f"{np.mean(held):.1%}")
    assert 0.93 <= np.mean(held) <= 0.97

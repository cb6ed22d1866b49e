"""Many questions: adjusted p-values against their definitions, simultaneous intervals by truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.synthetic import analyze, cell
from analysis.test_bootstrap import paired, subject
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.analysis import SignFlipTest
from icl_gap.analysis.gaps import estimate_gaps
from icl_gap.analysis.multiplicity import adjust_families, holm, max_t_intervals
from icl_gap.schema import CellResult


def both(n: int, **changes: object) -> list[CellResult]:
    """All of n queries are right ID and wrong OOD: p = 2 / 2^n."""
    return [cell("id", [True] * n, **changes), cell("ood", [False] * n, **changes)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_as_it_was_published(raw: list[float]) -> None:
    p_values = np.array(raw)
    found = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    assert (found >= p_values).all()
    assert (found <= 1).all()
    assert (np.diff(found[order]) >= 0).all()
    for level in (0.01, 0.05, 0.3):
        # Step down: reject while the i-th smallest is at most level / (m - i + 1).
        rejected = 0
        while rejected < len(raw) and p_values[order][rejected] * (len(raw) - rejected) <= level:
            rejected += 1
        assert (found <= level).sum() == rejected


def test_tests_are_adjusted_within_a_benchmark_and_not_across() -> None:
    (alone,) = analyze(both(8), resamples=100).points
    p = 2 / 2**8
    assert alone.test == SignFlipTest(*[pytest.approx(p)] * 3)
    # With another model whose p-value is 1, as nothing differs.
    same = [cell(c, [True] * 8, model="other") for c in ("id", "ood")]
    found = analyze([*both(8), *same], resamples=100).points
    assert found[0].test == SignFlipTest(*map(pytest.approx, (p, 2 * p, 2 * p)))
    assert found[1].test == SignFlipTest(1, 1, 1)
    apart = analyze([*both(8), *both(8, dataset="cfq")], resamples=100).points
    assert [point.test for point in apart] == [alone.test] * 2
    sides = analyze([*both(8), *both(8, query_split="train")], resamples=100).points
    assert [point.test for point in sides[:2]] == [alone.test] * 2


def families(rng: np.random.Generator, studies: int, queries: int) -> list:
    """Eight models on the same queries, with a gap of 0.4; queries are hard for all of them."""
    found = []
    for n in range(studies):
        hard = rng.normal(size=(1, queries))
        for model in range(8):
            inside = rng.normal(size=(2, queries)) + hard > 0
            outside = inside & (rng.random((2, queries)) < 0.6)
            of = subject(model=f"m{model}", dataset=f"d{n}")
            found.append(paired(inside.astype(float), outside.astype(float), of=of))
    return found


@pytest.mark.slow
def test_simultaneous_intervals_hold_all_gaps_at_once() -> None:
    measured, _ = estimate_gaps(
        families(np.random.default_rng(0), 600, 150), resamples=1000, seed=0, confidence=0.95
    )
    adjusted = adjust_families(measured, confidence=0.95)
    inside = [
        [ends is not None and ends[0] <= 0.4 <= ends[1] for ends in row]
        for row in np.reshape(
            np.array([each.point.simultaneous for each in adjusted], dtype=float), (-1, 8, 2)
        )
    ]
    all_held = np.mean(np.all(inside, axis=1))
    one_held = np.mean(
        [
            each.point.gap is not None and each.point.gap.low <= 0.4 <= each.point.gap.high
            for each in measured
        ]
    )
    print(f"all of 8 at once {all_held:.1%}; each alone {one_held:.1%}")
    assert 0.93 <= all_held <= 0.975
    assert 0.93 <= one_held <= 0.97


def test_simultaneous_intervals_are_wider_in_a_larger_family() -> None:
    measured, _ = estimate_gaps(
        families(np.random.default_rng(1), 1, 150), resamples=1000, seed=0, confidence=0.95
    )
    widths = []
    for size in (1, 2, 8):
        ends = max_t_intervals(measured[:size], confidence=0.95)[0]
        assert ends is not None
        widths.append(ends[1] - ends[0])
    gap = measured[0].point.gap
    assert gap is not None
    assert widths[0] == pytest.approx(gap.high - gap.low, rel=0.1)
    assert widths[0] < widths[1] < widths[2] < 1.6 * widths[0]


def test_exact_bounds_are_stretched_to_bonferronis_level() -> None:
    measured, _ = estimate_gaps(
        families(np.random.default_rng(1), 1, 150)[:4], resamples=1000, seed=0, confidence=0.95
    )
    exact = [replace(each, point=replace(each.point, exact=True)) for each in measured]
    gap, ends = exact[0].point.gap, max_t_intervals(exact, confidence=0.95)[0]
    assert gap is not None
    assert ends is not None
    # z at 1 - 0.05 / 4 over z at 0.95: 2.498 / 1.960.
    assert gap.value - ends[0] == pytest.approx(1.2744 * (gap.value - gap.low), rel=1e-3)

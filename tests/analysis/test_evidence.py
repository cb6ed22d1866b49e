"""What stands beside a gap, against hand-made numbers, other software and simulated truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from analysis.synthetic import analyze, cell, record
from scipy import stats

from icl_gap.analysis import Accuracies, GapPoint
from icl_gap.analysis.bootstrap import Draws
from icl_gap.analysis.evidence import fieller
from icl_gap.analysis.pairing import Floats
from icl_gap.schema import CellResult, Metric


def point(*results: CellResult, resamples: int = 2000) -> GapPoint:
    return analyze(results, resamples=resamples).points[-1]


def both(
    inside: list[bool | None], outside: list[bool | None], **changes: object
) -> list[CellResult]:
    return [cell("id", inside, **changes), cell("ood", outside, **changes)]


def has_logprob(result: CellResult, logprobs: list[float | None]) -> CellResult:
    records = zip(result.records, logprobs, strict=True)
    return replace(result, records=tuple(replace(r, gold_logprob=p) for r, p in records))


def draws(a_id: Floats, a_ood: Floats) -> Draws:
    return Draws(a_id, a_ood, np.zeros_like(a_id), np.zeros_like(a_id))


def test_fieller_ends_are_the_ratios_at_which_the_difference_is_just_told_from_zero() -> None:
    rng = np.random.default_rng(0)
    drawn = draws(*rng.multivariate_normal([0.5, 0.3], [[4e-3, 1e-3], [1e-3, 3e-3]], 20_000).T)
    ends = fieller(0.5, 0.3, drawn, confidence=0.9)
    assert ends is not None
    cov = np.cov(np.stack([drawn.a_id, drawn.a_ood]))
    for gap in ends:
        ratio = 1 - gap
        spread = np.sqrt(cov[1, 1] - 2 * ratio * cov[0, 1] + ratio**2 * cov[0, 0])
        assert abs(0.3 - ratio * 0.5) / spread == pytest.approx(stats.norm.ppf(0.95))
    assert ends[0] < 1 - 0.3 / 0.5 < ends[1]


def test_fieller_has_no_bounds_where_the_denominator_may_be_zero() -> None:
    rng = np.random.default_rng(0)
    drawn = draws(rng.normal(0.1, 0.1, 1000), rng.normal(0.1, 0.1, 1000))
    assert fieller(0.1, 0.1, drawn, confidence=0.95) is None


def test_fieller_stands_beside_the_bootstrap_and_near_it() -> None:
    rng = np.random.default_rng(1)
    solved = rng.random(400) < 0.7
    found = point(*both(solved.tolist(), (solved & (rng.random(400) < 0.6)).tolist()))
    assert found.gap is not None
    assert found.fieller == pytest.approx((found.gap.low, found.gap.high), abs=0.01)


def test_what_was_skipped_bounds_the_gap_both_ways() -> None:
    found = point(
        *both([True] * 6 + [False] * 2 + [None] * 2, [True] * 3 + [False] * 5 + [None] * 2)
    )
    assert found.gap is not None
    # Of 10: at best 8 ID and 3 OOD, at worst 6 ID and 5 OOD.
    assert found.bounds == pytest.approx((1 - 5 / 6, 1 - 3 / 8))
    assert found.bounds[0] < found.gap.value < found.bounds[1]


def test_what_failed_bounds_the_gap_by_what_is_not_known() -> None:
    found = point(
        *both(
            [True] * 6 + [False] * 2 + ["failed", "failed", True, None],
            [True] * 3 + [False] * 5 + ["failed", True, "failed", None],
        )
    )
    assert (found.n_failed, found.n_skipped, found.n_queries) == (3, 1, 8)
    assert found.gap is not None
    assert found.gap.value == pytest.approx(1 - 3 / 6)
    # Of 12: ID at best 6 + 1 known + 3, OOD at worst 3 + 1 known; and the reverse.
    assert found.bounds == pytest.approx((1 - (3 + 1 + 3) / (6 + 1), 1 - (3 + 1) / (6 + 1 + 3)))


def test_failures_of_ood_requests_alone_do_not_bound_a_gap_that_no_hit_defines() -> None:
    assert point(*both([False, False], ["failed", True])).bounds == (None, None)


def test_nothing_skipped_nothing_to_bound() -> None:
    assert point(*both([True], [False])).bounds is None


def test_the_smooth_gap_by_hand_and_where_accuracy_is_zero() -> None:
    inside, outside = both([False] * 40, [False] * 40)
    found = point(has_logprob(inside, [-0.5, -1.5] * 20), has_logprob(outside, [-1.0, -2.0] * 20))
    assert found.gap is None
    assert found.smooth is not None
    assert found.smooth.value == pytest.approx(1 - np.exp(-0.5))
    assert (found.smooth.low, found.smooth.high) == pytest.approx((found.smooth.value,) * 2)


def test_the_smooth_gap_leaves_out_what_has_no_likelihood() -> None:
    inside, outside = both([True] * 3, [True] * 3)
    found = point(has_logprob(inside, [-1.0, None, -3.0]), has_logprob(outside, [-2.0, -9.0, -3.0]))
    assert found.smooth is not None
    assert found.smooth.value == pytest.approx(1 - np.exp(-0.5))
    assert point(inside, outside).smooth is None


def scored(result: CellResult, metric: Metric, outcome: Callable[[int], bool]) -> CellResult:
    """Return a cell with another outcome of one metric; `outcome` takes a query's number."""
    records = (
        replace(r, scores={**r.scores, metric: outcome(n)}) for n, r in enumerate(result.records)
    )
    return replace(result, records=tuple(records))


def test_all_metrics_are_reported() -> None:
    inside, outside = both([True, True, False, False], [True, False, False, False])
    strict = scored(inside, "raw", lambda n: n == 0)
    found = point(strict, outside)
    assert found.accuracies["raw"].id == 0.25
    assert found.accuracies["canonical"] == Accuracies(0.5, 0.25)
    unknown = replace(
        inside, records=(record("test-0", hit=True, scores={"raw": True}), *inside.records[1:])
    )
    assert "canonical" not in point(unknown, outside).accuracies
    assert "execution" not in found.accuracies
    executed = point(*(scored(each, "execution", lambda n: n < 3) for each in (inside, outside)))
    assert executed.accuracies["execution"] == Accuracies(0.75, 0.75)
    raw = point(inside, outside).accuracies["raw"]
    assert (executed.accuracies["raw"], executed.accuracies["canonical"]) == (raw, raw)


@pytest.mark.parametrize("true_gap", [pytest.param(0.0, marks=pytest.mark.slow), 0.3])
def test_a_detectable_gap_is_found_four_times_in_five(true_gap: float) -> None:
    """The detectable gap of a study, taken as the truth of others of its size."""
    rng = np.random.default_rng(3)

    def study(gap: float) -> GapPoint:
        solved = rng.random((3, 150)) < 0.6
        kept = solved & (rng.random((3, 150)) < 1 - gap)
        return point(
            *(
                result
                for seed in range(3)
                for result in both(solved[seed].tolist(), kept[seed].tolist(), seed=seed)
            ),
            resamples=200,
        )

    smallest = np.mean([study(0.3).detectable or 0 for _ in range(20)])
    found = [study(smallest if true_gap else 0.0).gap for _ in range(100)]
    share = np.mean([gap is not None and gap.low > 0 for gap in found])
    assert share >= 0.7 if true_gap else share == 0

"""Fieller's interval of a ratio."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from icl_gap.analysis.ratios import ratio


def test_the_ends_are_where_the_difference_is_as_large_as_its_error() -> None:
    cov = np.array([[0.04, 0.01], [0.01, 0.02]])
    found = ratio(1.0, 2.0, cov, 0.9)
    assert found is not None
    assert found.value == 0.5
    z = stats.norm.ppf(0.95)
    for end in (found.low, found.high):
        error = np.sqrt(cov[0, 0] - 2 * end * cov[0, 1] + end**2 * cov[1, 1])
        assert abs(1.0 - end * 2.0) == pytest.approx(z * error)
    assert found.low < 0.5 < found.high


def test_a_denominator_that_may_be_zero_gives_no_interval() -> None:
    cov = np.diag([0.1, 0.1])
    assert ratio(1.0, 0.6, cov, 0.95) is None
    assert ratio(1.0, 0.7, cov, 0.95) is not None


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    cov = np.array([[0.04, 0.02], [0.02, 0.09]])
    drawn = np.random.default_rng(0).multivariate_normal([0.3, 1.0], cov, size=4000)
    found = [ratio(above, below, cov, 0.9) for above, below in drawn]
    told = [each.low <= 0.3 <= each.high for each in found if each is not None]
    assert np.mean(told) == pytest.approx(0.9, abs=0.015)

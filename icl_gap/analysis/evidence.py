"""What stands beside a gap's bootstrap interval: other intervals, tests, bounds, the smooth gap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
from scipy import stats

from icl_gap.analysis.bootstrap import Draws, interval
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import Paired
from icl_gap.analysis.points import GapPoint, McNemar

POWER = 0.8
"""How often a study tells from zero what it is said to be large enough for."""


def errors_to_tell(confidence: float) -> float:
    """How many standard errors an effect must have for an interval to leave zero out with `POWER`.

    z_{(1 + confidence) / 2} + z_{POWER} (Cohen 1988, "Statistical Power Analysis for the Behavioral
    Sciences", ch. 2).
    """
    return float(stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(POWER))


def fieller(
    a_id: float, a_ood: float, draws: Draws, *, confidence: float
) -> tuple[float, float] | None:
    """Fieller's interval for 1 - A_ood / A_id.

    All ratios r at which A_ood - r A_id is not told from zero (Fieller 1954, "Some problems in
    interval estimation", JRSS B 16(2), 175-185), with the covariance that the draws have.

    Returns:
        The ends; None where the interval is not bounded, since A_id is not told from zero.
    """
    z = stats.norm.ppf((1 + confidence) / 2)
    known = ~np.isnan(draws.a_id)
    cov = np.cov(np.stack([draws.a_id[known], draws.a_ood[known]])) * z**2
    a = a_id**2 - cov[0, 0]
    b = a_id * a_ood - cov[0, 1]
    c = a_ood**2 - cov[1, 1]
    if a <= 0:
        return None
    root = sqrt(max(0.0, b * b - a * c))
    return float(1 - (b + root) / a), float(1 - (b - root) / a)


def detectable(gaps: Floats, *, confidence: float) -> float:
    """The smallest gap that a study of this size would tell from zero, four times in five.

    `errors_to_tell` times the bootstrap's standard error, taken for that of the smaller gap too.

    Args:
        gaps: (B,), under every resample.
        confidence: Of the interval that tells a gap from zero.
    """
    return errors_to_tell(confidence) * float(np.nanstd(gaps, ddof=1))


def bounds(parts: Sequence[Paired]) -> tuple[float | None, float | None] | None:
    """The gap's value, had the requests without an answer all gone one way, and the other.

    At the high end all would have been right ID and wrong OOD; at the low end the reverse. Where a
    request failed under one condition alone, the answer under the other counts as it is.

    Args:
        parts: One side, or both, which weigh the same.

    Returns:
        The ends, each None where no request would have been right ID; None where nothing was
        skipped and nothing failed.
    """
    left = np.array([(part.skipped + part.failed).sum() for part in parts])
    if not left.any():
        return None
    asked = np.array([part.answered.sum() for part in parts]) + left
    inside = np.array([part.hits_id.sum() + part.left_id.sum() for part in parts])
    outside = np.array([part.hits_ood.sum() + part.left_ood.sum() for part in parts])
    open_id = np.array([part.open_id.sum() for part in parts])
    open_ood = np.array([part.open_ood.sum() for part in parts])

    def gap(right_id: Floats, right_ood: Floats) -> float | None:
        a_id, a_ood = np.mean(right_id / asked), np.mean(right_ood / asked)
        return float(1 - a_ood / a_id) if a_id > 0 else None

    return gap(inside, outside + open_ood), gap(inside + open_id, outside)


def smooth(parts: Sequence[Paired], draws: Draws, *, confidence: float) -> Estimate | None:
    """The smooth gap: that of the gold answer's likelihood a token, which moves before accuracy.

    1 - exp(L_ood - L_id), L being the mean over requests of the gold answer's mean log-likelihood
    a token: by how much of itself the likelihood of a token falls from ID to OOD.

    Args:
        parts: One side, or both, which weigh the same.
        draws: Of these sides together.
        confidence: Of the interval.

    Returns:
        None where a side has no request whose log-likelihood is known under both conditions.
    """
    if not all(part.likely.any() for part in parts):
        return None
    difference = np.mean(
        [(part.logprob_ood - part.logprob_id).sum() / part.likely.sum() for part in parts]
    )
    drawn = 1 - np.exp(draws.logprob_ood - draws.logprob_id)
    ends = interval(drawn, confidence, worst=(-np.inf, 1.0))
    return Estimate(float(1 - np.exp(difference)), *ends)


def mcnemar(parts: Sequence[Paired]) -> tuple[McNemar, ...]:
    """McNemar's exact test of A_id = A_ood, for each seed (McNemar 1947, Psychometrika 12(2)).

    Queries that are right under one condition alone are as likely to be so under either, if the
    exemplars make no difference; two sides of a benchmark are strata, whose counts add up.
    """
    tests = []
    for n, seed in enumerate(parts[0].seeds):
        only_id = sum(int((p.hits_id[n] * (1 - p.hits_ood[n])).sum()) for p in parts)
        only_ood = sum(int((p.hits_ood[n] * (1 - p.hits_id[n])).sum()) for p in parts)
        of = only_id + only_ood
        p_value = float(stats.binomtest(only_id, of).pvalue) if of else 1.0
        tests.append(McNemar(seed, only_id, only_ood, p_value, p_value))
    return tuple(tests)


def adjusted(points: Sequence[GapPoint]) -> list[GapPoint]:
    """The points, their tests' p-values adjusted within each family of tests.

    A family are all tests on one benchmark that are about the same queries: of all models, numbers
    of shots and seeds (Holm 1979, "A simple sequentially rejective multiple test procedure",
    Scandinavian Journal of Statistics 6(2), 65-70).
    """
    families: dict[tuple[str, str], list[float]] = defaultdict(list)
    for point in points:
        families[point.benchmark, point.query_split] += [test.p_value for test in point.tests]
    found = {family: iter(holm(np.array(p_values))) for family, p_values in families.items()}
    return [
        replace(
            point,
            tests=tuple(
                replace(test, p_holm=float(next(found[point.benchmark, point.query_split])))
                for test in point.tests
            ),
        )
        for point in points
    ]


def holm(p_values: Floats) -> Floats:
    """Holm's adjusted p-values, in the order given: at most 1, and never below their own."""
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    found = np.empty_like(p_values)
    found[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return found

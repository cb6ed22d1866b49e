"""The part of a gap that coverage explains, from differences within queries.

The model of a request of query q under seed s, with measures x of its coverage:

    logit P(right | ID)  = a_q + x_id'g_id
    logit P(right | OOD) = a_q + b + x_ood'g_ood
    a_q = m + mean_s(x_id)'h_id + mean_s(x_ood)'h_ood + u_q,    u_q ~ N(0, s^2)

The means of both conditions in a_q (Mundlak 1978, Econometrica 46(1), 69-85; Chamberlain 1982,
Journal of Econometrics 18(1), 5-46) take up that harder queries are covered less. So g_ood holds
only how the OOD answers to a query fall behind its ID answers, or behind its other OOD answers, as
their coverage does. g has a value for each condition: coverage may count more under one of them.

The explained part is the gain of OOD accuracy if each OOD request had the coverage of its ID twin,
divided by A_id; the share is that gain divided by A_id - A_ood. Gains are means over the posterior
of a_q. Intervals are Fieller's, from each query's influence on gain, A_id and A_ood (the cluster
sandwich: Liang & Zeger 1986, Biometrika 73(1), 13-22).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.ratios import ratio
from icl_gap.diagnosis.conditional_logit import (
    ConditionalFit,
    Floats,
    Requests,
    fit_conditional,
)
from icl_gap.diagnosis.mixed_logit import MixedFit, fit_mixed, posterior_mean, query_scores
from icl_gap.text import brief

CONFIDENCE = 0.95
LEAST_TOLERANCE = 0.1
"""Least part of the condition's variance within queries that the measures may leave, the inverse of
a variance inflation factor of 10 (Marquardt 1970, Technometrics 12(3), 591-612)."""
LEAST_EVENTS = 5
"""Queries with right and wrong answers needed for each coefficient within queries (Vittinghoff &
McCulloch 2007, American Journal of Epidemiology 165(6), 710-718)."""
_SMALL = 1e-9


@dataclass(frozen=True, slots=True)
class Explanation:
    """The part of a gap that one factor explains, or why that cannot be told."""

    part: Estimate | None
    """Part of the relative gap, on its scale: 0.1 of a gap of 0.3 is a third."""
    share: Estimate | None
    """Share of the gap; None if it cannot be told, or if the gap is not resolved from 0."""
    e_value: float | None
    """Strength that an unmeasured cause would need to explain away the nearer end of the interval;
    see `e_value`. 1 where the interval holds 0."""
    query_sd: float | None
    """Estimated standard deviation of the query effects, in logits."""
    cannot_tell: str | None
    """Why nothing can be told; None where something can."""

    def __repr__(self) -> str:
        if self.part is None:
            return brief("Explanation", f"cannot tell: {self.cannot_tell}")
        ends = f"[{self.part.low:.3f}, {self.part.high:.3f}]"
        return brief("Explanation", f"part {self.part.value:.3f} {ends}")


def explain(right: Floats, measures: Floats, query: NDArray[np.int64]) -> Explanation:
    """Estimate the part of a gap that some measures of coverage explain.

    Args:
        right: (2, N): 1 where the answer is right, else 0; ID first.
        measures: (2, N, K): the measures of the factor.
        query: (N,): index of the query of each pair, contiguous from 0.
    """
    order = np.argsort(query, kind="stable")
    right, measures, query = right[:, order], measures[:, order], query[order]
    varies = np.ptp(measures, axis=(0, 1)) > _SMALL
    if not varies.any():
        return _untold("it is the same in all requests")
    scale = measures[..., varies].std(axis=(0, 1))
    scaled = (measures[..., varies] - measures[..., varies].mean(axis=(0, 1))) / scale
    if why := _why_not(right, scaled, query):
        return _untold(why)
    design = _design(scaled, query)
    if not design.measures:
        return _untold("it does not vary among the OOD requests")
    if why := _too_few(right, query, design.n_within):
        return _untold(why)
    return _explanation(right, query, design, scaled)


def e_value(risk_ratio: float) -> float:
    """Return the E-value of a risk ratio (VanderWeele & Ding 2017, Ann. Intern. Med. 167, 268-274).

    An unmeasured property of requests could produce the ratio alone only if it were associated both
    with the coverage and with right answers by risk ratios of at least this much, beyond what the
    model holds equal.
    """
    above = max(risk_ratio, 1 / risk_ratio)
    return above + sqrt(above * (above - 1))


def _untold(why: str) -> Explanation:
    return Explanation(None, None, None, None, why)


def _why_not(right: Floats, scaled: Floats, query: NDArray[np.int64]) -> str | None:
    """Return why the factor cannot be told from the condition."""
    if not np.any(np.abs(scaled[0] - scaled[1]) > _SMALL):
        return "it is the same under both conditions"
    if right[0].sum() == 0:
        return "no ID answer is right"
    both = np.concatenate([query, query])
    flat = scaled.reshape(-1, scaled.shape[-1])
    within = np.stack([column - _means(column, both) for column in flat.T], axis=1)
    condition = np.repeat([-0.5, 0.5], len(query))
    fitted = within @ np.linalg.lstsq(within, condition, rcond=None)[0]
    tolerance = 1 - float(fitted @ fitted) / float(condition @ condition)
    if tolerance < LEAST_TOLERANCE:
        return "it goes with the condition: nearly all OOD requests have less of it, or more"
    return None


def _too_few(right: Floats, query: NDArray[np.int64], coefficients: int) -> str | None:
    """Return why there are too few queries with different answers; None if there are enough."""
    hits, asked = np.bincount(query, right.sum(axis=0)), 2 * np.bincount(query)
    informative = int(np.count_nonzero((hits > 0) & (hits < asked)))
    needed = LEAST_EVENTS * coefficients
    if informative < needed:
        return f"too few queries have right and wrong answers: {informative} of {needed} needed"
    return None


@dataclass(frozen=True, slots=True)
class _Design:
    """Design of 2 N requests, ID first: columns that differ within queries, then the others."""

    columns: Floats
    """(2 N, P)."""
    n_within: int
    """Number of columns that differ within queries: the condition's is the first."""
    measures: tuple[int, ...]
    """Number of the measure of each g_ood, whose columns follow that of the condition."""


def _design(scaled: Floats, query: NDArray[np.int64]) -> _Design:
    """Return the design without redundant columns."""
    n, n_measures = scaled.shape[1:]
    both = np.concatenate([query, query])
    ood, zeros = np.repeat([0.0, 1.0], n), np.zeros(n)
    own = [np.concatenate([zeros, values]) for values in scaled[1].T]
    other = [np.concatenate([values, zeros]) for values in scaled[0].T]
    within = [ood, *own, *other]
    kept = _independent([column - _means(column, both) for column in within])
    means = [np.tile(_means(values, query), 2) for side in scaled for values in side.T]
    between = [np.ones(2 * n), *means]
    columns = [within[number] for number in kept]
    columns += [between[number] for number in _independent(between)]
    measures = tuple(number - 1 for number in kept if 1 <= number <= n_measures)
    return _Design(np.column_stack(columns), len(kept), measures)


def _means(values: Floats, query: NDArray[np.int64]) -> Floats:
    """Return the mean of each row's query."""
    return np.asarray((np.bincount(query, values) / np.bincount(query))[query])


def _independent(columns: Sequence[Floats]) -> list[int]:
    """Return the numbers of the columns that are no linear combination of those before them."""
    basis: list[Floats] = []
    kept = []
    for number, column in enumerate(columns):
        left = column.astype(float)
        for _ in range(2):  # twice is enough (Giraud et al. 2005)
            for each in basis:
                left = left - (each @ left) * each
        length = float(np.linalg.norm(left))
        if length > 1e-6 * float(np.linalg.norm(column)) and length > _SMALL:
            basis.append(left / length)
            kept.append(number)
    return kept


def _explanation(
    right: Floats, query: NDArray[np.int64], design: _Design, scaled: Floats
) -> Explanation:
    """Fit both models, and return part and share with their intervals.

    Args:
        right: (2, N), ID first.
        query: (N,), in ascending order.
        design: The design, ID first.
        scaled: (2, N, K): the measures in the units of the design.
    """
    both = np.concatenate([query, query])
    rows = np.argsort(both, kind="stable")
    starts = np.flatnonzero(np.diff(both[rows], prepend=-1))
    requests = Requests(design.columns[rows], right.ravel()[rows], starts)
    first = fit_conditional(replace(requests, design=requests.design[:, : design.n_within]))
    second = fit_mixed(requests, first.coefficients)
    if not (first.converged and second.converged):
        return _untold("the fit does not converge")
    own = design.columns[len(query) :]
    moved = own.copy()
    for place, measure in enumerate(design.measures, start=1):
        moved[:, place] += scaled[0, :, measure] - scaled[1, :, measure]
    gain, derivative = posterior_mean(second, *_gains(query, second, (own, moved)))
    gains = gain + _influence(first, second, derivative)
    hits = np.stack([np.bincount(query, side) for side in right])
    freedom = max(1, len(gain) - len(derivative))
    joint = np.cov(np.stack([gains, hits[0], hits[0] - hits[1]])) * len(gain) ** 2 / freedom
    total, inside, outside = float(gain.sum()), float(hits[0].sum()), float(hits[1].sum())
    part = ratio(total, inside, joint[np.ix_([0, 1], [0, 1])], CONFIDENCE)
    if part is None:
        return _untold("A_id is not resolved from 0")
    share = ratio(total, inside - outside, joint[np.ix_([0, 2], [0, 2])], CONFIDENCE)
    strength = _strength(part, inside, outside)
    return Explanation(part, share, strength, second.query_sd, None)


def _influence(first: ConditionalFit, second: MixedFit, derivative: Floats) -> Floats:
    """Return (Q,): how each query moves a function of the parameters of both fits, to first order.

    The second fit holds the coefficients of the first; its error by them follows from the cross
    information (two-step M-estimation: Newey & McFadden 1994, Handbook of Econometrics 4, ch. 36).

    Args:
        first: The fit within queries, to F columns.
        second: The fit with query effects.
        derivative: (P + 1,): derivative of the function by the parameters of the second fit.
    """
    n = len(first.coefficients)
    stop = len(derivative) - int(np.isinf(second.information[-1, -1]))
    information = second.information[:stop, :stop]
    direct = np.linalg.solve(information[n:, n:], derivative[n:stop])
    through = derivative[:n] - information[:n, n:] @ direct
    by_first = first.scores @ np.linalg.solve(first.information, through)
    return np.asarray(query_scores(second)[:, n:stop] @ direct + by_first)


def _gains(
    query: NDArray[np.int64], fit: MixedFit, designs: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Return the gain of each query at the nodes, (Q, N), and its derivatives, (Q, N, P)."""
    starts = np.flatnonzero(np.diff(query, prepend=-1))
    effects = fit.effects[query]
    gains, slopes = [], []
    for design in designs:
        chance = expit((design @ fit.coefficients)[:, None] + effects)
        gains.append(chance)
        curved = chance * (1 - chance)
        slopes.append(
            np.stack(
                [np.add.reduceat(curved * x[:, None], starts, axis=0) for x in design.T], axis=-1
            )
        )
    value = np.add.reduceat(gains[1] - gains[0], starts, axis=0)
    return value, slopes[1] - slopes[0]


def _strength(part: Estimate, inside: float, outside: float) -> float | None:
    """Return the E-value of the end of an interval that is nearer to 0; None if A_ood is 0."""
    if part.low <= 0 <= part.high:
        return 1.0
    end = part.low if part.low > 0 else part.high
    moved = outside + end * inside
    return e_value(moved / outside) if outside > 0 and moved > 0 else None

"""The conditional likelihood, against all ways of distributing the right answers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit, logsumexp

from icl_gap.diagnosis import conditional_logit
from icl_gap.diagnosis.conditional_logit import RIDGE, Requests, fit_conditional


def simulated(n: int = 80, *, seed: int = 0, sizes: tuple[int, ...] = (2, 4, 6)) -> Requests:
    """Queries of several sizes, and of very different ease."""
    rng = np.random.default_rng(seed)
    size = rng.choice(sizes, n)
    query = np.repeat(np.arange(n), size)
    design = rng.normal(size=(len(query), 2))
    chance = expit(rng.normal(0, 3, n)[query] + design @ [1.0, -0.5])
    right = (rng.random(len(query)) < chance).astype(float)
    return Requests(design, right, np.flatnonzero(np.diff(query, prepend=-1)))


def log_likelihood(requests: Requests, at: np.ndarray) -> float:
    """Sum over queries of the log of P(these are right | so many are right), by enumeration."""
    total = -RIDGE * float(at @ at) / 2
    for start, size in zip(requests.starts, requests.sizes, strict=True):
        eta = requests.design[start : start + size] @ at
        right = requests.right[start : start + size]
        ways = [eta[list(some)].sum() for some in combinations(range(size), int(right.sum()))]
        total += float(eta @ right - logsumexp(ways))
    return total


def test_the_fit_is_the_maximum_of_the_conditional_likelihood() -> None:
    requests = simulated()
    fit = fit_conditional(requests)
    assert fit.converged
    best = log_likelihood(requests, fit.coefficients)
    for direction in (*np.eye(2), *-np.eye(2)):
        assert log_likelihood(requests, fit.coefficients + 0.05 * direction) < best
    slope = approx_fprime(fit.coefficients, lambda at: log_likelihood(requests, at))
    assert slope == pytest.approx([0, 0], abs=1e-4)


def test_scores_and_information_are_derivatives() -> None:
    requests, at = simulated(12), np.array([0.3, 0.8])
    padded = conditional_logit._padded(requests, np.ones(12, bool))
    scores, information = conditional_logit._derivatives(padded, at)
    slope = approx_fprime(at, lambda x: log_likelihood(requests, x))
    assert scores.sum(axis=0) - RIDGE * at == pytest.approx(slope, abs=1e-5)

    def gradient(x: np.ndarray) -> np.ndarray:
        found, _ = conditional_logit._derivatives(padded, x)
        return found.sum(axis=0) - RIDGE * x

    step = 1e-5
    numeric = [(gradient(at + step * e) - gradient(at - step * e)) / (2 * step) for e in np.eye(2)]
    assert information == pytest.approx(-np.array(numeric), abs=1e-5)


def test_effects_of_queries_do_not_matter() -> None:
    requests = simulated()
    shifted = Requests(
        requests.design + 7.0 * np.sin(requests.query)[:, None], requests.right, requests.starts
    )
    found = fit_conditional(shifted).coefficients
    assert found == pytest.approx(fit_conditional(requests).coefficients, abs=1e-2)


def test_queries_with_the_same_answers_add_nothing() -> None:
    requests = simulated(60)
    hits = requests.sums(requests.right)
    differing = (hits > 0) & (hits < requests.sizes)
    fit = fit_conditional(requests)
    assert not fit.scores[~differing].any()
    kept = differing[requests.query]
    query = requests.query[kept]
    some = Requests(
        requests.design[kept], requests.right[kept], np.flatnonzero(np.diff(query, prepend=-1))
    )
    assert fit_conditional(some).coefficients == pytest.approx(fit.coefficients, abs=1e-12)

"""The marginal likelihood, against integration on a fine grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logsumexp

from icl_gap.diagnosis.conditional_logit import RIDGE, Requests
from icl_gap.diagnosis.mixed_logit import fit_mixed, posterior_mean, query_scores

GRID = np.linspace(-1, 1, 801)
"""Effects at which the integral is taken, in twelve standard deviations."""


def simulated(n: int = 150, *, sd: float = 1.5, seed: int = 0) -> Requests:
    rng = np.random.default_rng(seed)
    query = np.repeat(np.arange(n), 6)
    design = np.column_stack([np.ones(len(query)), rng.normal(size=len(query))])
    chance = expit(rng.normal(0, sd, n)[query] + design @ [0.5, 1.0])
    right = (rng.random(len(query)) < chance).astype(float)
    return Requests(design, right, np.flatnonzero(np.diff(query, prepend=-1)))


def log_joint(requests: Requests, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Q, G) log of likelihood times prior of each query at each effect of the grid, and these."""
    sd = np.exp(at[-1])
    effects = 12 * sd * GRID
    eta = (requests.design @ at[:-1])[:, None] + effects
    likelihood = requests.sums(requests.right[:, None] * eta - np.logaddexp(0, eta))
    step = np.log(effects[1] - effects[0])
    return likelihood - (effects / sd) ** 2 / 2 - np.log(sd * np.sqrt(2 * np.pi)) + step, effects


def loss(requests: Requests, at: np.ndarray) -> float:
    total = logsumexp(log_joint(requests, at)[0], axis=1).sum()
    return float(RIDGE * (at[:-1] ** 2).sum() / 2 - total)


@pytest.mark.parametrize("sd", [0.7, 3.0])
def test_the_fit_is_the_maximum_of_the_marginal_likelihood(sd) -> None:
    requests = simulated(100, sd=sd)
    fit = fit_mixed(requests, np.zeros(0))
    assert fit.converged
    at = np.array([*fit.coefficients, np.log(fit.query_sd)])
    axes, step = np.eye(3), 1e-3

    def around(x: np.ndarray, y: np.ndarray) -> float:
        ends = [loss(requests, at + a * x + b * y) * a * b for a in (1, -1) for b in (1, -1)]
        return sum(ends) / 4

    curvature = [[around(step * x, step * y) / step**2 for y in axes] for x in axes]
    # the nodes leave an error of a few per cent where all answers to a query are right
    assert fit.information == pytest.approx(np.array(curvature), rel=0.1, abs=0.5)
    slopes = [(loss(requests, at + step * x) - loss(requests, at - step * x)) for x in axes]
    away = np.linalg.solve(curvature, np.array(slopes) / (2 * step))
    assert away == pytest.approx([0, 0, 0], abs=0.02)


def test_queries_that_do_not_differ_are_found_not_to() -> None:
    requests = simulated(sd=0.0, seed=3)
    fit = fit_mixed(requests, np.zeros(0))
    assert fit.converged
    assert fit.query_sd < 0.4


def test_fixed_coefficients_stay() -> None:
    requests = simulated()
    fit = fit_mixed(requests, np.array([-0.25]))
    assert fit.coefficients[0] == -0.25
    assert query_scores(fit).sum(axis=0)[1:] == pytest.approx([0, 0], abs=0.2)


def test_a_posterior_mean_and_its_derivative() -> None:
    """Of the chance of a right answer where all columns are 0."""
    requests = simulated(30)
    fit = fit_mixed(requests, np.array([0.5, 1.0]))
    values = expit(fit.effects)
    mean, derivative = posterior_mean(fit, values, np.zeros((*values.shape, 2)))

    def exact(at: np.ndarray) -> np.ndarray:
        joint, effects = log_joint(requests, at)
        weights = np.exp(joint - logsumexp(joint, axis=1)[:, None])
        return weights @ expit(effects)

    at = np.array([*fit.coefficients, np.log(fit.query_sd)])
    assert mean == pytest.approx(exact(at), abs=1e-4)
    step = 1e-5
    numeric = [
        (exact(at + step * e).sum() - exact(at - step * e).sum()) / (2 * step) for e in np.eye(3)
    ]
    assert derivative == pytest.approx(numeric, abs=5e-3)

"""Logistic regression with a normal effect of each query, fitted by maximum likelihood.

    logit P(y = 1 | a_q) = x'b + a_q,    a_q ~ N(0, s^2)

The marginal likelihood integrates a_q by adaptive Gauss-Hermite quadrature (Pinheiro & Bates 1995,
Journal of Computational and Graphical Statistics 4(1), 12-35). Scores and the observed information
follow from the complete data by Louis 1982 (JRSS B 44(2), 226-233). SciPy has no such estimator;
`BinomialBayesMixedGLM` of statsmodels approximates the posterior by a normal around its mode, which
biases s for queries with few requests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logsumexp

from icl_gap.diagnosis.conditional_logit import RIDGE, Requests
from icl_gap.text import brief

Floats = NDArray[np.float64]

NODES = 15
"""Quadrature nodes of each query."""
_STEPS, _MODE_STEPS, _HALVINGS = 60, 6, 12
_CLOSE = 1e-4
"""Newton decrement at which a fit has converged: parameters are then within a hundredth of their
standard errors."""
_NOISE = 1e-2
"""Fall of the log-likelihood that the error of the quadrature may feign."""
_LONGEST = 2.0
"""Longest step of a parameter."""
_FLATTEST = 1e-2
"""Least curvature that a step reckons with."""
_LEAST_SD, _MOST_SD = 0.05, 5.0
"""Range of s. At its low end the queries do not differ measurably, at its high end nearly all are
always right or always wrong, and more cannot be told from that."""
_FARTHEST = 5.0
"""Longest step of a mode, in logits."""


@dataclass(frozen=True, slots=True)
class MixedFit:
    """Coefficients and the distribution of query effects; Q queries, N nodes, P columns."""

    coefficients: Floats
    """(P,)."""
    query_sd: float
    """Standard deviation s of the query effects, in logits."""
    effects: Floats
    """(Q, N): effects at the nodes."""
    weights: Floats
    """(Q, N): their posterior weights, which sum to 1 for each query."""
    scores: Floats
    """(Q, N, P + 1): derivatives of the complete-data log-likelihood by b and log s."""
    information: Floats
    """(P + 1, P + 1): observed information; that of log s is infinite at the ends of its range."""
    converged: bool

    def __repr__(self) -> str:
        return brief("MixedFit", f"{len(self.coefficients)} coefficients, sd {self.query_sd:.2f}")


def fit_mixed(requests: Requests, fixed: Floats) -> MixedFit:
    """Fit the model by Newton's method, with halved steps where the likelihood falls.

    Args:
        requests: The requests; columns of the design should be of about unit spread.
        fixed: (F,): coefficients of the first F columns, which stay as they are.
    """
    at = np.zeros(requests.design.shape[1] + 1)
    at[: len(fixed)] = fixed
    free = np.arange(len(at)) >= len(fixed)
    state = _integrate(requests, at, np.zeros(len(requests.starts)))
    converged = False
    for _ in range(_STEPS):
        step = _step(requests, at, state, free)
        if _at_end(at, step):
            step = _step(requests, at, state, free & (np.arange(len(at)) < len(at) - 1))
        if float(step @ state.gradient) < _CLOSE:
            converged = True
            break
        at, state = _line_search(requests, at, step, state)
    else:
        converged = float(step @ state.gradient) < _NOISE
    information = _observed_information(requests, at, state)
    if _at_end(at, state.gradient):
        information[-1, :], information[:, -1] = 0, 0
        information[-1, -1] = np.inf
    return MixedFit(
        coefficients=at[:-1],
        query_sd=float(np.exp(at[-1])),
        effects=state.effects,
        weights=state.weights,
        scores=state.scores,
        information=information,
        converged=converged,
    )


def _line_search(
    requests: Requests, at: Floats, step: Floats, state: _State
) -> tuple[Floats, _State]:
    """Halve a step until the likelihood does not fall beyond the precision of the quadrature."""
    for _ in range(_HALVINGS):
        new = at + step
        new[-1] = np.clip(new[-1], np.log(_LEAST_SD), np.log(_MOST_SD))
        tried = _integrate(requests, new, state.modes)
        if tried.objective > state.objective - _NOISE:
            break
        step = step / 2
    return new, tried


def posterior_mean(fit: MixedFit, value: Floats, slope: Floats) -> tuple[Floats, Floats]:
    """Return the posterior mean of a function of each query's effect, and its total derivative.

    The derivative of E[f | y] is E[f'] + Cov(f, score), by differentiation under the integral.

    Args:
        fit: The fitted model.
        value: (Q, N): the function at the nodes.
        slope: (Q, N, P): its derivatives by the coefficients.

    Returns:
        (Q,) means, and the (P + 1,) derivative of their sum by b and log s.
    """
    weights = fit.weights
    mean = (weights * value).sum(axis=1)
    centred = weights * (value - mean[:, None])
    by_posterior = np.einsum("qn,qnp->p", centred, fit.scores)
    by_posterior[:-1] += np.einsum("qn,qnp->p", weights, slope)
    return mean, by_posterior


def query_scores(fit: MixedFit) -> Floats:
    """Return the (Q, P + 1) derivatives of each query's marginal log-likelihood."""
    return np.asarray(np.einsum("qn,qnp->qp", fit.weights, fit.scores))


@dataclass(frozen=True, slots=True)
class _State:
    """Quadrature at one value of the parameters."""

    objective: float
    """Penalized marginal log-likelihood."""
    modes: Floats
    effects: Floats
    weights: Floats
    scores: Floats
    chances: Floats
    """(R, N): probability of a right answer at the nodes."""
    gradient: Floats


def _integrate(requests: Requests, at: Floats, modes: Floats) -> _State:
    slopes, sd = at[:-1], float(np.exp(at[-1]))
    margin = requests.design @ slopes
    modes, curved = _find_modes(requests, margin, sd, modes)
    nodes, node_weights = np.polynomial.hermite.hermgauss(NODES)
    scale = np.sqrt(2 / curved)
    effects = modes[:, None] + scale[:, None] * nodes
    eta = margin[:, None] + effects[requests.query]
    chances = expit(eta)
    likelihood = requests.right[:, None] * eta - np.logaddexp(0, eta)
    joint = requests.sums(likelihood) - effects**2 / (2 * sd**2) - np.log(sd)
    terms = joint + np.log(node_weights) + nodes**2
    total = logsumexp(terms, axis=1)
    weights = np.exp(terms - total[:, None])
    scores = np.empty((*effects.shape, len(at)))
    left = requests.right[:, None] - chances
    for column, values in enumerate(requests.design.T):
        scores[..., column] = requests.sums(left * values[:, None])
    scores[..., -1] = effects**2 / sd**2 - 1
    gradient = np.einsum("qn,qnp->p", weights, scores)
    gradient[:-1] -= RIDGE * slopes
    objective = float((total + np.log(scale)).sum() - RIDGE * (slopes**2).sum() / 2)
    return _State(objective, modes, effects, weights, scores, chances, gradient)


def _find_modes(
    requests: Requests, margin: Floats, sd: float, modes: Floats
) -> tuple[Floats, Floats]:
    """Return the posterior mode of each query's effect, and the curvature there."""
    query, precision = requests.query, 1 / sd**2
    for _ in range(_MODE_STEPS):
        chance = expit(margin + modes[query])
        slope = requests.sums(requests.right - chance) - precision * modes
        curved = requests.sums(chance * (1 - chance)) + precision
        modes = modes + np.clip(slope / curved, -_FARTHEST, _FARTHEST)
    chance = expit(margin + modes[query])
    return modes, requests.sums(chance * (1 - chance)) + precision


def _complete_information(requests: Requests, at: Floats, state: _State) -> Floats:
    spread = (state.weights[requests.query] * state.chances * (1 - state.chances)).sum(axis=1)
    found = np.zeros((len(at), len(at)))
    found[:-1, :-1] = (requests.design.T * spread) @ requests.design
    found[:-1, :-1] += RIDGE * np.eye(len(at) - 1)
    found[-1, -1] = 2 * float((state.weights * state.effects**2).sum()) / np.exp(2 * at[-1])
    return found


def _observed_information(requests: Requests, at: Floats, state: _State) -> Floats:
    """Return the information of the complete data less the missing one (Louis 1982)."""
    mean = np.einsum("qn,qnp->qp", state.weights, state.scores)
    centred = state.scores - mean[:, None]
    flat = centred.reshape(-1, len(at))
    missing = (flat.T * state.weights.ravel()) @ flat
    return np.asarray(_complete_information(requests, at, state) - missing)


def _step(requests: Requests, at: Floats, state: _State, free: NDArray[np.bool_]) -> Floats:
    """Return the Newton step, with the curvature's size where the likelihood is not concave.

    Args:
        requests: The requests.
        at: Coefficients and log s.
        state: The quadrature there.
        free: (P + 1,): parameters to move.
    """
    step = np.zeros(len(at))
    values, vectors = np.linalg.eigh(_observed_information(requests, at, state)[np.ix_(free, free)])
    curved = np.maximum(np.abs(values), _FLATTEST)
    step[free] = vectors @ (vectors.T @ state.gradient[free] / curved)
    return step * min(1.0, _LONGEST / max(float(np.abs(step).max()), _LONGEST))


def _at_end(at: Floats, step: Floats) -> bool:
    """Return whether s is at an end of its range and the step leads out of it."""
    low, high = np.log(_LEAST_SD), np.log(_MOST_SD)
    return bool((at[-1] <= low and step[-1] < 0) or (at[-1] >= high and step[-1] > 0))

"""Conditional logistic regression: effects within queries, whatever the queries are like.

The likelihood of each query's answers, given how many of them are right, holds no effect of the
query (Chamberlain 1980, Review of Economic Studies 47(1), 225-238). Its denominator is a symmetric
polynomial, computed with its derivatives by the recursion of Gail, Lubin & Rubinstein 1981
(Biometrika 68(3), 703-707), for all queries at once; `ConditionalLogit` of statsmodels takes them
one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icl_gap.text import brief

Floats = NDArray[np.float64]

RIDGE = 1e-3
"""Prior precision of the coefficients of standardized columns; keeps them finite where a column
separates the answers."""
_STEPS = 40
_CLOSE = 1e-8
"""Newton decrement at which a fit has converged."""
_LONGEST = 4.0
"""Longest step of a coefficient."""


@dataclass(frozen=True, slots=True)
class Requests:
    """R requests of Q queries; those of one query are neighbours."""

    design: Floats
    """(R, P)."""
    right: Floats
    """(R,): 1 where the answer is right, else 0."""
    starts: NDArray[np.int64]
    """(Q,): first row of each query."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(Q,): number of requests of each query."""
        return np.diff(np.append(self.starts, len(self.right)))

    @property
    def query(self) -> NDArray[np.int64]:
        """(R,): index of each request's query."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)

    def sums(self, values: Floats) -> Floats:
        """Return the sum of the values, (R, ...), over the rows of each query."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0))

    def __repr__(self) -> str:
        return brief("Requests", f"{len(self.right):,} of {len(self.starts):,} queries")


@dataclass(frozen=True, slots=True)
class ConditionalFit:
    """Coefficients of P columns, fitted to Q queries."""

    coefficients: Floats
    """(P,)."""
    scores: Floats
    """(Q, P): derivatives of each query's log-likelihood; 0 where all answers are the same."""
    information: Floats
    """(P, P): observed information."""
    converged: bool

    def __repr__(self) -> str:
        return brief("ConditionalFit", f"{len(self.coefficients)} coefficients")


def fit_conditional(requests: Requests) -> ConditionalFit:
    """Fit by Newton's method; the likelihood is concave.

    Args:
        requests: The requests; columns of the design should be of about unit spread and need no
            constant.
    """
    at = np.zeros(requests.design.shape[1])
    hits = requests.sums(requests.right)
    differing = (hits > 0) & (hits < requests.sizes)
    padded = _padded(requests, differing)
    converged = False
    for _ in range(_STEPS):
        scores, information = _derivatives(padded, at)
        gradient = scores.sum(axis=0) - RIDGE * at
        step = np.linalg.solve(information, gradient)
        if float(step @ gradient) < _CLOSE:
            converged = True
            break
        at = at + step * min(1.0, _LONGEST / float(np.abs(step).max()))
    all_scores = np.zeros((len(hits), len(at)))
    all_scores[differing] = scores
    return ConditionalFit(at, all_scores, information, converged)


@dataclass(frozen=True, slots=True)
class _Padded:
    """Requests of Q queries with different answers, as arrays of S rows, the last ones maybe empty.

    Queries whose answers are all the same have a likelihood of 1 and are left out.
    """

    design: Floats
    """(Q, S, P)."""
    real: Floats
    """(Q, S): 1 for a request, 0 for padding."""
    hits: NDArray[np.int64]
    """(Q,): number of right answers."""
    observed: Floats
    """(Q, P): sum of the rows with right answers."""


def _padded(requests: Requests, differing: NDArray[np.bool_]) -> _Padded:
    sizes, query = requests.sizes, requests.query
    within = np.arange(len(query)) - requests.starts[query]
    design = np.zeros((len(sizes), int(sizes.max()), requests.design.shape[1]))
    real = np.zeros(design.shape[:2])
    design[query, within], real[query, within] = requests.design, 1.0
    hits = requests.sums(requests.right).astype(np.int64)
    observed = requests.sums(requests.right[:, None] * requests.design)
    return _Padded(design[differing], real[differing], hits[differing], observed[differing])


def _derivatives(padded: _Padded, at: Floats) -> tuple[Floats, Floats]:
    """Return the (Q, P) scores and the (P, P) information at some coefficients."""
    n, rows, columns = padded.design.shape
    most = int(padded.hits.max(initial=0))
    eta = padded.design @ at
    eta -= eta.max(axis=1, keepdims=True) * padded.real
    chosen = np.exp(eta) * padded.real
    value = np.zeros((n, most + 1))
    value[:, 0] = 1
    slope = np.zeros((n, most + 1, columns))
    curve = np.zeros((n, most + 1, columns, columns))
    for row in range(rows):
        x, u = padded.design[:, row, None, :], chosen[:, row, None]
        before, slopes = value[:, :-1], slope[:, :-1]
        across = x[..., :, None] * slopes[..., None, :]
        square = x[..., :, None] * x[..., None, :] * before[..., None, None]
        curve[:, 1:] += u[..., None, None] * (
            curve[:, :-1] + across + across.swapaxes(-1, -2) + square
        )
        slope[:, 1:] += u[..., None] * (slopes + x * before[..., None])
        value[:, 1:] += u * before
    index = np.arange(n), padded.hits
    mean = slope[index] / value[index][:, None]
    second = (curve[index] / value[index][:, None, None]).sum(axis=0) - mean.T @ mean
    return padded.observed - mean, second + RIDGE * np.eye(columns)

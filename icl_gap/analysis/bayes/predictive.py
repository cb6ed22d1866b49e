"""Posterior predictive checks of the mixed model: does it make data like those it was fitted to?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from icl_gap.analysis.bayes.mixed_model import Counts, Posterior
from icl_gap.analysis.bootstrap import generator
from icl_gap.analysis.outcomes import Floats

REPLICATES = 500
"""Number of data sets that are made, each from another draw."""


@dataclass(frozen=True, slots=True)
class PredictiveCheck:
    """A statistic of the data beside its distribution in data sets that the model makes."""

    name: str
    observed: float
    low: float
    """2.5% quantile of the statistic in these data sets."""
    high: float
    """97.5% quantile."""
    p_value: float
    """Two-sided tail probability of the observed value, ties counted by half."""


def check_predictions(
    posterior: Posterior, counts: Counts, models: Sequence[str], *, seed: int
) -> tuple[PredictiveCheck, ...]:
    """Compare statistics of the hits with those of data sets for new queries and the same models.

    New queries have effects drawn from the fitted normal distributions, so that the checks also
    concern these (mixed predictive checks: Gelman, Meng & Stern 1996, Statistica Sinica 6(4)).

    Args:
        posterior: The draws.
        counts: The data.
        models: Names of the models, for the names of the checks.
        seed: Seed of the new data.

    Returns:
        One check for the accuracy of each model under each condition; and one for the variance
        between queries of the share right ID, of the share right OOD, of their difference, and of
        the deviation of single models from their mean.
    """
    stream = generator("predictive", seed)
    step = max(1, len(posterior) // REPLICATES)
    some = posterior.take(slice(None, None, step))
    effects = some.effects(counts.x)
    replicates = (_replicate(some, effects, n, counts, stream) for n in range(len(some)))
    made = np.array([_statistics(hits, counts) for hits in replicates])
    observed = _statistics(counts.hits, counts)
    names = [f"{what} of {model}" for what in ("A_id", "A_ood") for model in models]
    names += [
        "variance between queries, ID",
        "variance between queries, OOD",
        "variance between queries of ID - OOD",
        "variance between models within queries",
    ]
    return tuple(map(_check, names, observed, made.T))


def _replicate(
    p: Posterior, effects: Floats, draw: int, counts: Counts, stream: np.random.Generator
) -> Floats:
    """Return (2, M, Q) hits on new queries under one draw."""
    models, queries = counts.requests.shape
    inside = p.alpha[draw][:, None] + p.sd_query[draw] * stream.normal(size=queries)
    inside = inside + p.sd_query_model[draw] * stream.normal(size=(models, queries))
    effect = effects[draw][:, None] + p.sd_query_shift[draw] * stream.normal(size=queries)
    chances = expit(np.stack([inside, inside + effect]))
    return stream.binomial(counts.requests.astype(int), chances).astype(float)


def _statistics(hits: Floats, counts: Counts) -> Floats:
    """Return the statistics of (2, M, Q) hits, in the order of the names above."""
    requests = counts.requests
    by_query = hits.sum(axis=1) / requests.sum(axis=0)
    both = hits.sum(axis=0)
    share = np.where(requests > 0, both / np.maximum(2 * requests, 1), by_query.mean(axis=0))
    level = both.sum(axis=1) / (2 * requests.sum(axis=1))
    apart = share - by_query.mean(axis=0) - level[:, None] + level.mean()
    return np.array(
        [
            *(hits.sum(axis=2) / requests.sum(axis=1)).ravel(),
            *by_query.var(axis=1),
            (by_query[0] - by_query[1]).var(),
            apart.var(),
        ]
    )


def _check(name: str, observed: float, made: Floats) -> PredictiveCheck:
    """Return the check of one statistic, whose values in the data sets are given."""
    above = float(np.mean(made > observed) + np.mean(made == observed) / 2)
    low, high = np.quantile(made, (0.025, 0.975))
    return PredictiveCheck(
        name, float(observed), float(low), float(high), 2 * min(above, 1 - above)
    )

"""Accuracies from draws of the mixed model, by g-computation (Robins 1986, Math. Modelling 7)."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from icl_gap.analysis.bayes.mixed_model import Counts, Posterior
from icl_gap.analysis.bootstrap import generator
from icl_gap.analysis.outcomes import Floats

_CHUNK = 200
"""Number of draws that are turned into probabilities at once."""


def marginal_accuracies(
    posterior: Posterior, counts: Counts, *, seed: int
) -> tuple[Floats, Floats]:
    """Average the probabilities of a right answer over queries, for each draw.

    Each draw has its own Dirichlet(1, ..., 1) weights of the queries, the same for all models and
    conditions: the Bayesian bootstrap (Rubin 1981, Annals of Statistics 9(1)), so that the draws
    are about further queries like these and not these alone.

    Args:
        posterior: The draws.
        counts: The data.
        seed: Seed of the weights.

    Returns:
        Two arrays of shape (D, 2, M), ID and OOD: accuracies of these models, and of typical models
        of their scale, whose own part in the effect of OOD exemplars is left out.
    """
    stream = generator("queries", seed)
    chunks = [slice(n, n + _CHUNK) for n in range(0, len(posterior), _CHUNK)]
    found = []
    for draws in map(posterior.take, chunks):
        weights = stream.exponential(size=draws.z_query.shape)
        weights /= weights.sum(axis=1, keepdims=True)
        inside = draws.alpha[:, :, None] + (draws.sd_query[:, None] * draws.z_query)[:, None]
        inside = inside + draws.sd_query_model[:, None, None] * draws.z_query_model
        shifted = inside + (draws.sd_query_shift[:, None] * draws.z_query_shift)[:, None]
        effects = (draws.effects(counts.x), draws.typical_effects(counts.x))
        log_odds = (inside, *(shifted + effect[:, :, None] for effect in effects))
        found.append([np.einsum("dmq,dq->dm", expit(each), weights) for each in log_odds])
    a_id, a_ood, typical = (np.concatenate(each) for each in zip(*found, strict=True))
    return np.stack([a_id, a_ood], axis=1), np.stack([a_id, typical], axis=1)

"""Draws of a mixed model, made by hand."""

from __future__ import annotations

import numpy as np

from icl_gap.analysis.bayes.mixed_model import Counts, Posterior
from icl_gap.analysis.outcomes import Floats

X = np.array([-1.0, 0.0, 1.0])


def posterior(
    *,
    alpha: tuple[float, ...] = (0.0, 0.5, 1.0),
    shift: float = -1.0,
    trend: float = 0.0,
    queries: int = 40,
    draws: int = 300,
    seed: int = 0,
    **sds: float,
) -> Posterior:
    """The same parameters in all draws; the standard normal effects of each draw are its own."""
    rng = np.random.default_rng(seed)

    def each(value: float) -> Floats:
        return np.full(draws, value)

    models = len(alpha)
    return Posterior(
        alpha=np.tile(alpha, (draws, 1)),
        shift=each(shift),
        trend=each(trend),
        sd_model=each(sds.get("sd_model", 0.0)),
        sd_query=each(sds.get("sd_query", 0.0)),
        sd_query_model=each(sds.get("sd_query_model", 0.0)),
        sd_query_shift=each(sds.get("sd_query_shift", 0.0)),
        z_model=rng.normal(size=(draws, models)),
        z_query=rng.normal(size=(draws, queries)),
        z_query_model=rng.normal(size=(draws, models, queries)),
        z_query_shift=rng.normal(size=(draws, queries)),
        divergences=0,
    )


def counts(hits: Floats, seeds: int) -> Counts:
    return Counts(hits=hits, requests=np.full(hits.shape[1:], float(seeds)), x=X)

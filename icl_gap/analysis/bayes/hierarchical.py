"""The hierarchical check: gaps and their slope by a Bayesian logistic mixed model of requests.

`icl_gap.analysis.bayes.mixed_model` holds the model; this module prepares counts, turns draws into
gaps by g-computation, and says whether to trust them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from icl_gap.analysis.analyze import Note
from icl_gap.analysis.bayes.g_computation import marginal_accuracies
from icl_gap.analysis.bayes.hierarchical_fit import HierarchicalCheck, HierarchicalFit, ModelGap
from icl_gap.analysis.bayes.mixed_model import (
    Counts,
    Posterior,
    Sampling,
    convergence,
    require_bayes,
    sample_posterior,
)
from icl_gap.analysis.bayes.predictive import PredictiveCheck, check_predictions
from icl_gap.analysis.estimate import Estimate
from icl_gap.analysis.outcomes import Floats
from icl_gap.analysis.pairing import PairedOutcomes, pair
from icl_gap.analysis.scaling.fit import MIN_SIZES
from icl_gap.analysis.scaling.scale import ESTIMATED, SCALES, Scale
from icl_gap.errors import AnalysisError
from icl_gap.progress import Progress, no_progress
from icl_gap.schema import Metric, ScaleKey

if TYPE_CHECKING:
    import pandas as pd

MAX_R_HAT = 1.01
MIN_ESS = 400
"""Limits of Vehtari et al. 2021, Bayesian Analysis 16(2)."""
MAX_DIVERGENT = 0.001
"""Share of the draws that may diverge."""
MIN_P = 0.01
"""Posterior predictive p-value below which the model is said not to fit."""


def check_hierarchically(
    results: pd.DataFrame,
    *,
    metric: Metric = "raw",
    against: ScaleKey = "n_params",
    estimated_sizes: bool = False,
    confidence: float = 0.95,
    sampling: Sampling | None = None,
    progress: Progress = no_progress,
) -> HierarchicalCheck:
    """Fit the mixed model to each family, benchmark, number of shots and side.

    Args:
        results: Requests of finished cells, as returned by `load_results`.
        metric: The match that counts as a hit.
        against: The scale.
        estimated_sizes: Also use models whose size is an estimate.
        confidence: Probability that the intervals hold.
        sampling: Numbers of chains and draws, and the seed.
        progress: Tracker of the fits.

    Returns:
        The fits, sorted, with notes on groups and models that are left out.

    Raises:
        AnalysisError: ID and OOD cells cannot be compared.
        InputError: The extra `bayes` is not installed.
    """
    require_bayes()
    scale = SCALES[against]
    groups: dict[tuple[object, ...], list[PairedOutcomes]] = defaultdict(list)
    remarks: dict[str, dict[str, None]] = defaultdict(dict)
    for block in pair(results, metric)[0]:
        if why := _why_not(block, scale, estimated_sizes=estimated_sizes):
            remarks[f"not in the hierarchical check: {why}"][block.setting.label] = None
        else:
            groups[_group(block)].append(block)
    enough = []
    for blocks in groups.values():
        if _distinct(blocks, scale) >= MIN_SIZES:
            enough.append(blocks)
        else:
            of = blocks[0].setting
            remarks[f"no hierarchical check: fewer than {MIN_SIZES} {scale.steps}"][
                f"{of.benchmark} {of.family}"
            ] = None
    fits = tuple(
        fit_hierarchical(blocks, scale=scale, confidence=confidence, sampling=sampling)
        for blocks in progress(enough, "sampling the mixed model", len(enough))
    )
    notes = tuple(Note(text, tuple(where)) for text, where in remarks.items())
    return HierarchicalCheck(fits, notes, confidence)


def fit_hierarchical(
    blocks: Sequence[PairedOutcomes],
    *,
    scale: Scale = SCALES["n_params"],
    confidence: float = 0.95,
    sampling: Sampling | None = None,
) -> HierarchicalFit:
    """Fit the mixed model to one family on one side of a benchmark, with one number of shots.

    For each draw, A_id and A_ood of a model are the means over the queries of its probabilities of
    a right answer under each condition (g-computation: Robins 1986, Mathematical Modelling 7), with
    Dirichlet(1, ..., 1) weights of the queries, so that intervals are about further queries like
    these (Bayesian bootstrap: Rubin 1981, Annals of Statistics 9(1)). The gap is 1 - A_ood / A_id;
    a slope is that of the least-squares line through the models' gaps.

    Args:
        blocks: Paired outcomes, one of each model.
        scale: The scale.
        confidence: Probability that the intervals hold.
        sampling: Numbers of chains and draws, and the seed.

    Raises:
        AnalysisError: The blocks do not belong together, or there are too few sizes.
        InputError: The extra `bayes` is not installed.
    """
    sampling = sampling or Sampling()
    blocks = sorted(blocks, key=lambda block: (scale.of(block.setting) or 0, block.setting.model))
    _check_group(blocks, scale)
    counts = count(blocks, scale)
    posterior = sample_posterior(counts, sampling)
    accuracies, typical = marginal_accuracies(posterior, counts, seed=sampling.seed)
    gaps, line = (1 - a[:, 1] / a[:, 0] for a in (accuracies, typical))
    weights = counts.x / (counts.x**2).sum()
    quantities = {
        "slope": line @ weights,
        "slope_of_these": gaps @ weights,
        "between_model_sd": posterior.sd_model,
        "sd_query": posterior.sd_query,
        "sd_query_model": posterior.sd_query_model,
        "sd_query_shift": posterior.sd_query_shift,
    }
    monitored = quantities | {"accuracies": accuracies, "shift": posterior.shift}
    r_hat, ess = convergence(sampling.chains, monitored)
    names = [block.setting.model for block in blocks]
    checks = check_predictions(posterior, counts, names, seed=sampling.seed)
    first = blocks[0].setting
    return HierarchicalFit(
        family=first.family,
        dataset=first.dataset,
        split=first.split,
        shots=first.shots,
        query_split=blocks[0].query_split,
        against=scale.key,
        gaps=tuple(
            ModelGap(
                block.setting.model,
                float(scale.of(block.setting) or 0),
                *(_estimate(a, confidence) for a in (*accuracies[:, :, m].T, gaps[:, m])),
            )
            for m, block in enumerate(blocks)
        ),
        **{name: _estimate(draws, confidence) for name, draws in quantities.items()},
        r_hat_max=r_hat,
        ess_min=ess,
        divergences=posterior.divergences,
        checks=checks,
        doubts=tuple(_doubts(r_hat, ess, posterior, checks, blocks)),
    )


def count(blocks: Sequence[PairedOutcomes], scale: Scale) -> Counts:
    """Return the right answers of each model to each query, summed over seeds.

    Queries that no model has answered under both conditions are left out.

    Args:
        blocks: Paired outcomes, one of each model, which all have a value on the scale.
        scale: The scale.
    """
    queries = {query: n for n, query in enumerate(sorted({q for b in blocks for q in b.query_ids}))}
    cube = np.zeros((3, len(blocks), len(queries)))
    for m, block in enumerate(blocks):
        columns = [queries[query] for query in block.query_ids]
        for n, each in enumerate((block.hits_id, block.hits_ood, block.answered)):
            cube[n, m, columns] = each.sum(axis=0)
    cube = cube[:, :, cube[2].any(axis=0)]
    x = np.log10([float(scale.of(block.setting) or np.nan) for block in blocks])
    return Counts(hits=cube[:2], requests=cube[2], x=x - x.mean())


def _estimate(draws: Floats, confidence: float) -> Estimate:
    """Return the median and the equal-tailed interval of (D,) draws."""
    tail = (1 - confidence) / 2
    low, middle, high = np.quantile(draws, (tail, 0.5, 1 - tail))
    return Estimate(float(middle), float(low), float(high))


def _doubts(
    r_hat: float,
    ess: float,
    posterior: Posterior,
    checks: Sequence[PredictiveCheck],
    blocks: Sequence[PairedOutcomes],
) -> Iterator[str]:
    """Yield the reasons not to trust a fit."""
    if not r_hat <= MAX_R_HAT:
        yield f"chains disagree: R-hat is {r_hat:.3f}, above {MAX_R_HAT}"
    if not ess >= MIN_ESS:
        yield f"too few effective draws: {ess:.0f}, below {MIN_ESS}"
    if posterior.divergences > MAX_DIVERGENT * len(posterior):
        yield f"{posterior.divergences} of {len(posterior):,} draws diverged"
    for check in checks:
        if check.p_value < MIN_P:
            yield (
                f"the model does not make such data: {check.name} is {check.observed:.3f}, in its"
                f" own data {check.low:.3f} to {check.high:.3f}"
            )
    if any(block.crossed for block in blocks):
        yield "all queries share their exemplars, and the model has no effect of seeds"


def _group(block: PairedOutcomes) -> tuple[object, ...]:
    """Return the coordinates that the blocks of one fit have in common."""
    of = block.setting
    return of.dataset, of.split, of.family, of.shots, block.query_split


def _why_not(block: PairedOutcomes, scale: Scale, *, estimated_sizes: bool) -> str | None:
    """Return the reason why the check cannot use a model; None if it can."""
    if not block.setting.trained:
        return "untrained"
    if not scale.of(block.setting):
        return scale.lacking
    if scale.of_size and block.setting.size_source == "estimated" and not estimated_sizes:
        return ESTIMATED
    return None if block.answered.any() else "every query was skipped or failed"


def _check_group(blocks: Sequence[PairedOutcomes], scale: Scale) -> None:
    if len(groups := {_group(block) for block in blocks}) > 1:
        raise AnalysisError(
            "a hierarchical fit takes one family, benchmark, number of shots and side; found "
            + "; ".join(sorted(map(str, groups)))
        )
    if len({block.setting.model for block in blocks}) < len(blocks):
        raise AnalysisError("a hierarchical fit takes each model once")
    for block in blocks:
        if why := _why_not(block, scale, estimated_sizes=True):
            raise AnalysisError(f"not in a hierarchical fit: {block.setting.label}: {why}")
    if (sizes := _distinct(blocks, scale)) < MIN_SIZES:
        raise AnalysisError(
            f"a hierarchical fit needs at least {MIN_SIZES} distinct values of the scale,"
            f" {scale.label}; found {sizes}"
        )


def _distinct(blocks: Sequence[PairedOutcomes], scale: Scale) -> int:
    """Return the number of distinct values of the scale."""
    return len({scale.of(block.setting) for block in blocks})

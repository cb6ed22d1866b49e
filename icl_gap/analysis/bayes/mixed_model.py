"""The logistic mixed model of the hierarchical check, and draws from its posterior by NUTS.

NumPyro, JAX and ArviZ (extra `bayes`) are imported here alone, and only when a model is fitted.

With queries q, models m, conditions c and standard normal z, the log-odds of a right answer are

    alpha_m + sd_query z_q + sd_query_model z_qm
        + [c = ood] (shift + trend x_m + sd_model z_m + sd_query_shift z'_q)

Here x is the centred log10 of the scale. All normal effects are non-centred (Betancourt & Girolami
2015, arXiv 1312.0906); draws come from the no-U-turn sampler (Hoffman & Gelman 2014, JMLR 15).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from icl_gap.analysis.outcomes import Floats
from icl_gap.errors import InputError

LIBRARIES = ("numpyro", "arviz")


@dataclass(frozen=True, slots=True)
class Counts:
    """Right answers of M models to Q queries, summed over seeds."""

    hits: Floats
    """(2, M, Q): number of right answers, ID and OOD."""
    requests: Floats
    """(M, Q): number of requests answered under both conditions; 0 if a model has none."""
    x: Floats
    """(M,): log10 of the models' scale, less its mean."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Numbers of chains and draws of a sampler, and its seed."""

    chains: int = 4
    warmup: int = 1000
    """Draws of each chain that tune the sampler and are thrown away."""
    draws: int = 2000
    """Draws of each chain that are kept."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Posterior:
    """D draws of all effects, on the log-odds scale; chains follow each other."""

    alpha: Floats
    """(D, M): log-odds of a model on a typical query with ID exemplars."""
    shift: Floats
    """(D,): effect of OOD exemplars on a model of mean log-scale."""
    trend: Floats
    """(D,): change of that effect with a tenfold scale."""
    sd_model: Floats
    """(D,): standard deviation of the effect between models of one scale."""
    sd_query: Floats
    """(D,): standard deviation of the queries' difficulty."""
    sd_query_model: Floats
    """(D,): standard deviation of a query's difficulty for one model beyond that for all."""
    sd_query_shift: Floats
    """(D,): standard deviation of the effect of OOD exemplars between queries."""
    z_model: Floats
    """(D, M)."""
    z_query: Floats
    """(D, Q)."""
    z_query_model: Floats
    """(D, M, Q)."""
    z_query_shift: Floats
    """(D, Q)."""
    divergences: int
    """Number of draws where the sampler diverged."""

    def __len__(self) -> int:
        return len(self.shift)

    def effects(self, x: Floats) -> Floats:
        """Return (D, M) effects of OOD exemplars on each model, for x as in `Counts`."""
        return self.typical_effects(x) + self.sd_model[:, None] * self.z_model

    def typical_effects(self, x: Floats) -> Floats:
        """Return (D, M) effects without those of single models."""
        return self.shift[:, None] + self.trend[:, None] * x

    def take(self, which: slice) -> Posterior:
        """Return some of the draws."""
        arrays = {name: getattr(self, name)[which] for name in _EFFECTS}
        return Posterior(**arrays, divergences=self.divergences)


_EFFECTS = tuple(field.name for field in fields(Posterior) if field.name != "divergences")


def require_bayes() -> None:
    """Check that the libraries of the extra `bayes` are installed.

    Raises:
        InputError: One is not.
    """
    if missing := [name for name in LIBRARIES if find_spec(name) is None]:
        raise InputError(
            f"the hierarchical check: {' and '.join(missing)} not installed",
            allowed="pip install 'icl-gap[bayes]'",
        )


def sample_posterior(counts: Counts, sampling: Sampling) -> Posterior:
    """Draw all effects from their posterior, on the CPU.

    The draws depend on the counts, the sampling and the versions of the libraries alone.

    Raises:
        InputError: The libraries are not installed.
    """
    require_bayes()
    import jax

    numbers = [np.asarray(each, np.float32) for each in (counts.hits, counts.requests, counts.x)]
    with jax.default_device(jax.devices("cpu")[0]):
        keys = jax.random.split(jax.random.PRNGKey(sampling.seed), sampling.chains)
        found, diverging = _sampler(sampling.warmup, sampling.draws)(keys, *numbers)
    effects = {name: np.concatenate(np.asarray(found[name])) for name in _EFFECTS}
    return Posterior(**effects, divergences=int(np.sum(diverging)))


@lru_cache(maxsize=4)
def _sampler(warmup: int, draws: int) -> Any:
    """Return a function of one key a chain and of counts that returns all draws.

    NumPyro's `MCMC` compiles anew at every run. This function does so once for counts of one shape,
    which saves most of the time where many benchmarks and numbers of shots are fitted. All chains
    are one vectorized program.
    """
    import jax
    from numpyro.infer.hmc import hmc
    from numpyro.infer.util import constrain_fn, potential_energy

    def potential(*numbers: Any) -> Any:
        return partial(potential_energy, _model, numbers, {})

    start, step = hmc(potential_fn_gen=potential, algo="NUTS")

    def chain(key: Any, *numbers: Any) -> Any:
        def advance(state: Any, steps: Any) -> Any:
            state = jax.lax.fori_loop(0, steps, lambda _, each: step(each, numbers, {}), state)
            return state, (state.z, state.diverging)

        first, later = jax.random.split(key)
        state = start(
            _first_values(first, numbers[1].shape),
            num_warmup=warmup,
            target_accept_prob=0.9,
            model_args=numbers,
            model_kwargs={},
            rng_key=later,
        )
        # The warm-up goes before the first draw, so that a step is compiled once and not twice.
        steps = np.ones(draws, np.int32)
        steps[0] += warmup
        _, (kept, diverging) = jax.lax.scan(advance, state, steps)
        return jax.vmap(partial(constrain_fn, _model, numbers, {}))(kept), diverging

    return jax.jit(jax.vmap(chain, in_axes=(0, None, None, None)))


def _first_values(key: Any, shape: tuple[int, int]) -> dict[str, Any]:
    """Return values of all unconstrained parameters to start from, uniform on [-1, 1].

    Args:
        key: A key of JAX.
        shape: Numbers of models and queries.
    """
    import jax

    models, queries = shape
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_EFFECTS, ())
    shapes |= {"alpha": (models,), "z_model": (models,), "z_query_model": (models, queries)}
    shapes |= {"z_query": (queries,), "z_query_shift": (queries,)}
    keys = jax.random.split(key, len(shapes))
    return {
        name: jax.random.uniform(each, of, minval=-1, maxval=1)
        for each, (name, of) in zip(keys, shapes.items(), strict=True)
    }


def _model(hits: Any, requests: Any, x: Any) -> None:
    """State priors and likelihood to NumPyro; arguments as the fields of `Counts`."""
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist

    def normal(name: str, scale: float, *shape: int) -> Any:
        return numpyro.sample(name, dist.Normal(0, scale).expand(shape))

    def spread(name: str, scale: float) -> Any:
        return numpyro.sample(name, dist.HalfNormal(scale))

    models, queries = requests.shape
    inside = normal("alpha", 3, models)[:, None]
    inside += spread("sd_query", 2) * normal("z_query", 1, queries)
    inside += spread("sd_query_model", 1) * normal("z_query_model", 1, models, queries)
    effect = normal("shift", 2) + normal("trend", 1) * x
    effect += spread("sd_model", 0.5) * normal("z_model", 1, models)
    shifted = spread("sd_query_shift", 1) * normal("z_query_shift", 1, queries)
    log_odds = jnp.stack([inside, inside + effect[:, None] + shifted])
    # Binomial log-likelihood less a constant; requests may be 0.
    numpyro.factor("hits", (hits * log_odds - requests * jax.nn.softplus(log_odds)).sum())


def convergence(chains: int, draws: Mapping[str, Floats]) -> tuple[float, float]:
    """Return the largest R-hat and the smallest effective sample size of some quantities.

    R-hat is rank-normalized and split; the effective sample size is the smaller of bulk and tail
    (Vehtari et al. 2021, Bayesian Analysis 16(2)).

    Args:
        chains: Number of chains.
        draws: Arrays of shape (D, ...), by name; chains follow each other.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # once a day: a successor is on its way
        import arviz

    cut = {
        name: np.asarray(each, float).reshape(chains, -1, *each.shape[1:])
        for name, each in draws.items()
    }
    data = arviz.from_dict(posterior=cut).posterior

    def values(found: Any) -> Floats:
        return np.concatenate([np.ravel(found[name]) for name in cut])

    r_hat = values(arviz.rhat(data))
    ess = [values(arviz.ess(data, method=method)) for method in ("bulk", "tail")]
    return float(r_hat.max()), float(np.min(ess))

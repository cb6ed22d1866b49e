"""Simulated pairs of requests whose explained share is known, by potential outcomes.

`python tests/diagnosis/confounded.py [STUDIES]` measures how often the intervals of `explain` hold
the truth. The simulator shares no code with the estimator.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """A kind of study."""

    queries: int = 200
    seeds: int = 2
    ease: float = 1.0
    """Mean log-odds of a right ID answer with full coverage."""
    sd: float = 1.5
    """Standard deviation of the queries' ease, in logits."""
    confounding: float = 1.0
    """How much less harder queries are covered, under both conditions."""
    effect: float = 0.0
    """Log-odds lost between full and no coverage."""
    more_ood: float = 0.0
    """The same beyond that, under OOD alone."""
    shift: float = -1.0
    """Log-odds lost under OOD whatever the coverage."""
    measures: int = 1
    fixed: bool = False
    """True if all seeds cover a query alike."""
    full_id: bool = False
    """True if ID exemplars always cover everything."""
    heavy: bool = False
    """True if the ease has heavy tails (Student's t with three degrees of freedom)."""


@dataclass(frozen=True)
class Pairs:
    """Simulated pairs, and the chances behind them."""

    right: Floats
    """(2, N)."""
    measures: Floats
    """(2, N, K)."""
    query: NDArray[np.int64]
    """(N,)."""
    chances: Floats
    """(3, N): of a right answer ID, OOD, and OOD with the coverage of the ID twin."""


def simulate(design: Design, seed: tuple[int, ...]) -> Pairs:
    """Simulate one study."""
    rng = np.random.default_rng(seed)
    query = np.repeat(np.arange(design.queries), design.seeds)
    n = len(query)
    z = rng.standard_t(3, design.queries) / np.sqrt(3) if design.heavy else None
    z = rng.normal(size=design.queries) if z is None else z
    easier = np.clip(design.confounding * z, -3, 3)[query, None]

    def coverage(mean: float) -> Floats:
        noise = rng.normal(0, 0.15, (design.queries, design.measures))[query]
        if not design.fixed:
            noise = rng.normal(0, 0.15, (n, design.measures))
        return np.clip(mean + 0.12 * easier + noise, 0, 1)

    outside = coverage(0.7)
    inside = np.ones_like(outside) if design.full_id else coverage(0.93)
    ease = design.ease + design.sd * z[query]
    lost, lost_ood = ((1 - each).mean(axis=1) for each in (inside, outside))
    strength = design.effect + design.more_ood
    logits = np.stack(
        [
            ease - design.effect * lost,
            ease + design.shift - strength * lost_ood,
            ease + design.shift - strength * lost,
        ]
    )
    chances = 1 / (1 + np.exp(-logits))
    right = (rng.random((2, n)) < chances[:2]).astype(float)
    return Pairs(right, np.stack([inside, outside]), query, chances)


def true_share(design: Design) -> float:
    """Return the share of the gap that would vanish, over 200,000 queries."""
    found = simulate(replace(design, queries=200_000), (0, 0)).chances.mean(axis=1)
    return float((found[2] - found[1]) / (found[0] - found[1]))


_TRUE = {"effect": 4.0, "shift": -0.4}
DESIGNS: Mapping[str, Design] = MappingProxyType(
    {
        "no effect, queries of sd 1": Design(sd=1),
        "no effect, sd 2": Design(sd=2),
        "no effect, sd 3": Design(sd=3),
        "no effect, strong confounding": Design(confounding=2),
        "no effect, heavy tails": Design(heavy=True),
        "no effect, 1,000 queries": Design(queries=1000),
        "no effect, three measures": Design(measures=3),
        "no effect, ID covers all": Design(full_id=True),
        "effect, sd 1": Design(sd=1, **_TRUE),
        "effect, sd 2": Design(sd=2, **_TRUE),
        "effect, sd 3": Design(sd=3, **_TRUE),
        "effect, strong confounding": Design(confounding=2, **_TRUE),
        "effect, heavy tails": Design(heavy=True, **_TRUE),
        "effect, 1,000 queries, 5 seeds": Design(queries=1000, seeds=5, **_TRUE),
        "effect, 400 queries, 1 seed": Design(queries=400, seeds=1, **_TRUE),
        "effect, 60 queries, 5 seeds": Design(queries=60, seeds=5, **_TRUE),
        "effect, coverage fixed by query": Design(fixed=True, **_TRUE),
        "effect, three measures": Design(measures=3, **_TRUE),
        "effect, low accuracy": Design(ease=-1.5, **_TRUE),
        "effect, larger under OOD": Design(effect=2, more_ood=3, shift=-0.3),
        "all of the gap": Design(effect=5, shift=0.0),
    }
)


@dataclass(frozen=True)
class Calibration:
    """The outcome of many studies."""

    truth: float
    median: float
    error: float
    """Monte-Carlo standard error of the median."""
    covered: float
    told: int
    untold: Mapping[str, int]


def calibrate(design: Design, studies: int) -> Calibration:
    """Estimate the share in many studies."""
    from icl_gap.diagnosis import explain

    truth, untold = true_share(design), Counter[str]()
    values, held = [], 0
    for number in range(studies):
        pairs = simulate(design, (number, 1))
        found = explain(pairs.right, pairs.measures, pairs.query)
        if found.share is None:
            untold[(found.cannot_tell or "the gap is not resolved").partition(":")[0]] += 1
        else:
            values.append(found.share.value)
            held += found.share.low <= truth <= found.share.high
    error = 1.2533 * float(np.std(values)) / np.sqrt(len(values))
    return Calibration(
        truth, float(np.median(values)), error, held / len(values), len(values), untold
    )


def main() -> None:
    """Print the table of `icl_gap/diagnosis/README.md`."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| studies | truth | median | covered | cannot tell |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, design in DESIGNS.items():
        found = calibrate(design, studies)
        median = f"{found.median:.3f} ± {found.error:.3f}"
        row = (
            name,
            f"{found.truth:.3f}",
            median,
            f"{found.covered:.1%}",
            f"{studies - found.told}",
        )
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()

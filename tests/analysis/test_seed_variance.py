"""The share of seeds in the variance, in simulated cells of known variance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analysis.synthetic import analyze, cell
from analysis.test_bootstrap import paired

from icl_gap.analysis.seed_variance import seed_share


def test_seeds_that_agree_have_no_share() -> None:
    rng = np.random.default_rng(0)
    inside, outside = (np.repeat(rng.random((1, 50)) < p, 4, axis=0) for p in (0.6, 0.4))
    block = paired(inside.astype(float), outside.astype(float))
    assert seed_share([block], 0.7, confidence=0.95) == 0


def test_chance_alone_is_all_of_the_variance() -> None:
    rng = np.random.default_rng(0)
    inside, outside = ((rng.random((4, 2000)) < p).astype(float) for p in (0.6, 0.4))
    share = seed_share([paired(inside, outside)], 0.7, confidence=0.95)
    assert share == pytest.approx(1, abs=0.07)


def test_half_of_the_variance_of_two_seeds() -> None:
    """Of e, 1/3 of the variance of a request lies between queries: as much as 2/3 over 2 seeds."""
    rng = np.random.default_rng(1)
    shape = (2, 20_000)
    outside = np.where(
        rng.random(shape) < np.sqrt(1 / 3), rng.random(shape[1]) < 0.5, rng.random(shape) < 0.5
    )
    share = seed_share([paired(np.ones(shape), outside.astype(float))], 0.5, confidence=0.95)
    assert share == pytest.approx(0.5, abs=0.03)


def test_good_and_bad_sets_of_shared_exemplars_are_nearly_all_of_it() -> None:
    rng = np.random.default_rng(0)
    luck = np.linspace(0.2, 0.8, 5)[:, None]
    outside = (rng.random((5, 1000)) < luck).astype(float)
    block = replace(paired(np.ones((5, 1000)), outside), crossed=True)
    share = seed_share([block], 0.5, confidence=0.95)
    assert share is not None
    assert 0.98 < share <= 1


def test_one_seed_tells_nothing() -> None:
    (point,) = analyze([cell("id", [True] * 40), cell("ood", [True, False] * 20)]).points
    assert point.gap is not None
    assert point.seed_share is None


@pytest.mark.parametrize(("seeds", "noted"), [(2, True), (3, False)])
def test_few_seeds_of_shared_exemplars_are_noted(seeds: int, noted: bool) -> None:
    cells = [
        cell(c, [True, False] * 20, seed=seed, spec={"sampler": {"selection": "shared"}})
        for c in ("id", "ood")
        for seed in range(seeds)
    ]
    notes = analyze(cells, resamples=100).notes
    assert any("all queries share their exemplars" in note.text for note in notes) == noted

"""The hierarchical check: what it counts, what it refuses, and that it finds simulated truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from analysis.bayes.hierarchical_studies import DESIGNS, outcomes, simulated, summary
from analysis.synthetic import sweep
from analysis.test_bootstrap import paired, subject

from icl_gap.analysis.bayes import hierarchical
from icl_gap.analysis.bayes.hierarchical import (
    HierarchicalFit,
    check_hierarchically,
    count,
    fit_hierarchical,
)
from icl_gap.analysis.bayes.mixed_model import Sampling
from icl_gap.analysis.pairing import PairedOutcomes
from icl_gap.analysis.scaling.scale import SCALES
from icl_gap.errors import AnalysisError, InputError
from icl_gap.results import frame_of

TINY = Sampling(chains=2, warmup=60, draws=60)
SIZES = SCALES["n_params"]


def family(models: int = 3, **changes: Any) -> list[PairedOutcomes]:
    """Models of which each is right on two thirds of the queries ID, and on a third OOD."""
    rng = np.random.default_rng(5)
    return [
        paired(
            (rng.random((2, 12)) < 2 / 3).astype(float),
            (rng.random((2, 12)) < 1 / 3).astype(float),
            of=subject(**{"model": f"m{n}", "n_params": 10 ** (8 + n)} | changes),
        )
        for n in range(models)
    ]


@pytest.fixture(scope="module")
def fitted() -> HierarchicalFit:
    return fit_hierarchical(family(), sampling=TINY)


def test_a_fit_describes_its_models_by_size(fitted: HierarchicalFit) -> None:
    assert [each.model for each in fitted.gaps] == ["m0", "m1", "m2"]
    assert [each.scale for each in fitted.gaps] == [1e8, 1e9, 1e10]
    assert fitted.label == "scan/mcd1 f, 5 shots, test queries"
    estimates = [fitted.slope, fitted.slope_of_these, fitted.between_model_sd, fitted.sd_query]
    for each in fitted.gaps:
        assert 0 <= each.a_id.low <= each.a_id.high <= 1
        estimates += [each.a_id, each.a_ood, each.gap]
    assert all(each.low < each.value < each.high for each in estimates)
    assert len(fitted.checks) == 10


def test_a_few_draws_are_not_trusted(fitted: HierarchicalFit) -> None:
    assert fitted.ess_min < hierarchical.MIN_ESS
    assert not fitted.trusted
    assert any("too few effective draws" in doubt for doubt in fitted.doubts)
    assert "not trusted" in repr(fitted)


def test_the_same_outcomes_give_the_same_fit_in_any_order(fitted: HierarchicalFit) -> None:
    assert fit_hierarchical(family()[::-1], sampling=TINY) == fitted
    other = fit_hierarchical(family(), sampling=replace(TINY, seed=1))
    assert other.slope != fitted.slope


def test_counts_are_sums_over_seeds_of_answered_pairs() -> None:
    blocks = family()
    answered = np.ones((2, 12))
    answered[0, 3] = answered[:, 7] = 0
    blocks[1] = paired(np.ones((2, 12)), np.zeros((2, 12)), answered, of=blocks[1].setting)
    found = count(blocks, SIZES)
    assert found.hits.shape == (2, 3, 12)
    assert found.requests[1].tolist() == [2, 2, 2, 1, 2, 2, 2, 0, 2, 2, 2, 2]
    assert (found.hits[0, 1] == found.requests[1]).all()
    assert (found.hits[1, 1] == 0).all()
    assert (found.hits[0, 0] == blocks[0].hits_id.sum(axis=0)).all()
    assert found.x.tolist() == [-1, 0, 1]


def test_queries_are_matched_by_id_and_those_without_answers_are_left_out() -> None:
    blocks = family()
    names = tuple(f"{n:05}" for n in range(1, 13))
    unanswered = np.ones((2, 12))
    unanswered[:, -1] = 0  # query 12, which only this model has
    hits = np.ones((2, 12))
    blocks[0] = replace(paired(hits, hits, unanswered, of=blocks[0].setting), query_ids=names)
    found = count(blocks, SIZES)
    assert found.requests.shape == (3, 12)
    assert found.requests[0].tolist() == [0] + [2] * 11
    assert found.requests[1].tolist() == [2] * 12


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (family(2), "at least 3 distinct values of the scale, parameters; found 2"),
        ([*family(), *family(1, model="x", family="g")], "takes one family"),
        ([*family(), *family(1)], "each model once"),
        ([*family(), *family(1, model="x", trained=False)], "untrained"),
        ([*family(), *family(1, model="x", n_params=None)], "no parameter count"),
    ],
)
def test_groups_that_make_no_fit_are_refused(
    blocks: Sequence[PairedOutcomes], message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        fit_hierarchical(blocks, sampling=TINY)


def test_shared_exemplars_are_a_reason_for_doubt() -> None:
    blocks = [replace(block, crossed=True) for block in family()]
    assert "no effect of seeds" in fit_hierarchical(blocks, sampling=TINY).doubts[-1]


@pytest.mark.parametrize("missing", ["numpyro", "arviz"])
def test_the_extra_is_named_where_it_is_missing(monkeypatch, missing: str) -> None:
    monkeypatch.setattr(
        "icl_gap.analysis.bayes.mixed_model.find_spec",
        lambda name: None if name == missing else name,
    )
    with pytest.raises(InputError, match=missing) as error:
        fit_hierarchical(family(), sampling=TINY)
    assert "icl-gap[bayes]" in str(error.value)


def test_groups_of_results_are_fitted_and_the_rest_is_noted() -> None:
    models = [(f"m{n}", "f", 10 ** (8 + n), True) for n in range(3)]
    others = [("lone", "g", 10**9, True), ("raw", "f", 10**9, False)]
    made = sweep(
        [*models, *others],
        lambda *of: 0.7 if of[2] == "id" else 0.4,
        seeds=2,
        queries=12,
        splits=("test",),
    )
    check = check_hierarchically(frame_of(made), sampling=TINY)
    (fit,) = check.fits
    assert [each.model for each in fit.gaps] == ["m0", "m1", "m2"]
    notes = [str(note) for note in check.notes]
    assert notes == [
        "not in the hierarchical check: untrained: scan/mcd1 raw, 5 shots",
        "no hierarchical check: fewer than 3 sizes: scan/mcd1 g",
    ]
    written = json.loads(json.dumps(check.to_json(), allow_nan=False))["hierarchical"]
    assert written["fits"][0]["slope"]["value"] == fit.slope.value
    assert written["fits"][0]["trusted"] is False


def test_a_model_at_the_floor_stays_in() -> None:
    blocks = family()
    floor = paired(np.zeros((2, 12)), np.zeros((2, 12)), of=blocks[0].setting)
    fit = fit_hierarchical([floor, *blocks[1:]], sampling=TINY)
    assert fit.gaps[0].a_id.high < 0.5
    assert fit.gaps[0].gap.high - fit.gaps[0].gap.low > 0.5
    assert np.isfinite(fit.slope.low)


@pytest.mark.slow
def test_it_finds_simulated_truth_and_agrees_with_a_regression_of_the_gaps() -> None:
    found = summary(outcomes(DESIGNS[1], 6))
    print(found)
    assert found["gap held"] >= 0.8
    assert found["slope held"] >= 4 / 6
    assert found["apart"] < found["regression width"] / 10
    assert 0.7 < found["width"] / found["regression width"] < 1.3


@pytest.mark.slow
def test_with_the_usual_number_of_draws_a_fit_is_trusted() -> None:
    blocks, _ = simulated(np.random.default_rng(0), DESIGNS[1])
    fit = fit_hierarchical(blocks)
    assert fit.doubts == ()
    assert fit.r_hat_max <= hierarchical.MAX_R_HAT

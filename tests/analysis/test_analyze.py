"""The whole analysis: what must not matter, what is refused, and how it reads."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from analysis.synthetic import Model, analyze, cell, sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from icl_gap.analysis import (
    GapPoint,
    common_table,
    evidence_table,
    fit_table,
    format_count,
    gap_table,
)
from icl_gap.errors import AnalysisError, InputError
from icl_gap.schema import CellResult, Condition

MODELS: list[Model] = [
    ("opt-350m", "opt", 350_000_000, True),
    ("opt-6.7b", "opt", 6_700_000_000, True),
    ("nearest", "nearest", None, True),
    ("opt-new", "opt", 125_000_000, False),
]


def chance(model: str, _: int, condition: Condition) -> float:
    inside = {"opt-350m": 0.4, "opt-6.7b": 0.7, "nearest": 0.3, "opt-new": 0.0}[model]
    return inside if condition == "id" else inside / 2


RESULTS = sweep(MODELS, chance, queries=30)


@settings(max_examples=8)
@given(st.randoms(use_true_random=False))
def test_the_order_of_cells_and_queries_does_not_matter(rng: random.Random) -> None:
    shuffled = [
        CellResult(each.info, tuple(rng.sample(each.records, len(each.records))))
        for each in rng.sample(RESULTS, len(RESULTS))
    ]
    assert analyze(shuffled, resamples=100) == analyze(RESULTS, resamples=100)


def unadjusted(point: GapPoint) -> GapPoint:
    """Without what takes into account how many other tests there are."""
    test = replace(point.test, p_holm=1.0, p_bh=1.0)
    return replace(point, test=test, simultaneous=None)


@settings(max_examples=8)
@given(st.sets(st.sampled_from([m[0] for m in MODELS]), min_size=1))
def test_a_models_numbers_do_not_depend_on_the_other_models(kept: set[str]) -> None:
    alone = [each for each in RESULTS if each.info.model in kept]
    expected = [p for p in analyze(RESULTS, resamples=100).points if p.model in kept]
    found = analyze(alone, resamples=100).points
    assert [unadjusted(p) for p in found] == [unadjusted(p) for p in expected]


@settings(max_examples=30)
@given(
    st.lists(
        st.lists(st.tuples(st.booleans(), st.booleans()), min_size=12, max_size=12),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_always_true_of_a_point(seeds: list[list[tuple[bool, bool]]]) -> None:
    results = [
        cell(condition, [pair[n] for pair in row], seed=seed)
        for seed, row in enumerate(seeds)
        for n, condition in enumerate(("id", "ood"))
    ]
    (point,) = analyze(results, resamples=100).points
    for accuracy in (point.a_id, point.a_ood):
        assert 0 <= accuracy.low < accuracy.high <= 1
        assert accuracy.low <= accuracy.value <= accuracy.high
    assert (point.gap is None) == (point.unresolved_because is not None)
    assert point.gap is None or point.a_id.low > 0
    if point.gap is not None:
        assert float("-inf") < point.gap.low < point.gap.high <= 1
        assert point.gap.low <= point.gap.value <= point.gap.high
        assert point.gap.value == pytest.approx(1 - point.a_ood.value / point.a_id.value)
        assert point.simultaneous is not None
        assert point.simultaneous[0] < point.simultaneous[1] <= 1


def test_seed_and_resamples_are_kept_and_count() -> None:
    first, second = (analyze(RESULTS, resamples=100, seed=seed) for seed in (0, 1))
    assert [p.gap and p.gap.value for p in first.points] == [
        p.gap and p.gap.value for p in second.points
    ]
    assert first.points != second.points
    assert (first.seed, first.resamples, first.confidence, first.metric) == (0, 100, 0.95, "raw")


def test_the_json_form_is_plain_and_finite() -> None:
    analysis = analyze(RESULTS, resamples=100)
    again = json.loads(json.dumps(analysis.to_json(), allow_nan=False))
    assert [point["model"] for point in again["points"]] == [p.model for p in analysis.points]
    assert again["fits"][0]["slope"] == analysis.fits[0].slope
    assert again["notes"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "fuzzy"}, "unknown metric"),
        ({"confidence": 1.0}, "confidence is a probability"),
        ({"confidence": 0.0}, "confidence is a probability"),
        ({"resamples": 39}, "too few resamples"),
        ({"resamples": 0}, "too few resamples"),
    ],
)
def test_impossible_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        analyze(RESULTS, **options)
    assert error.value.allowed is not None


def test_the_fewest_resamples_are_enough() -> None:
    assert analyze(RESULTS, resamples=40).points
    assert analyze(RESULTS, resamples=20, confidence=0.9).points


def test_no_results_are_refused() -> None:
    with pytest.raises(AnalysisError, match="no finished cells"):
        analyze([])


def test_the_table_says_what_is_unresolved_untrained_or_partial() -> None:
    rows = gap_table(analyze(sweep(MODELS, chance, partial="test 1 of 2"), resamples=100))
    assert list(rows[0]) == [
        "benchmark",
        "model",
        "params",
        "shots",
        "queries",
        "A_id",
        "A_ood",
        "gap",
    ]
    untrained = next(row for row in rows if row["model"] == "opt-new (untrained)")
    assert untrained["gap"] == "unresolved"
    # Clopper and Pearson's bound of 0 of 40: 1 - 0.025 ** (1 / 40).
    assert untrained["A_id"] == "0.000 [0.000, 0.088]"
    assert untrained["params"] == "125M"
    assert untrained["benchmark"] == "scan/mcd1 (partial)"
    nearest = next(row for row in rows if row["model"] == "nearest")
    assert nearest["params"] == "-"
    assert nearest["gap"].count(".") == 3


def test_the_table_has_smooth_gaps_where_likelihoods_are_known() -> None:
    results = [
        replace(
            each,
            records=tuple(
                replace(r, gold_logprob=-1.0 if each.info.condition == "id" else -2.0)
                for r in each.records
            ),
        )
        for each in RESULTS
    ]
    rows = gap_table(analyze(results, resamples=100))
    known = {row["smooth gap"] for row in rows if row["model"] != "opt-new (untrained)"}
    assert known == {"0.632 [0.632, 0.632]"}
    floored = [row["smooth gap"] for row in rows if row["model"] == "opt-new (untrained)"]
    assert floored == ["0.632 [0.632, 0.632]"] * 2 + ["-"]


def test_the_evidence_table_tells_tests_and_other_intervals() -> None:
    rows = evidence_table(analyze(RESULTS, resamples=100))
    row = next(r for r in rows if (r["model"], r["queries"]) == ("opt-6.7b", "test"))
    assert re.fullmatch(r"0\.\d{3}/0\.\d{3}", row["raw ID/OOD"])
    assert row["raw ID/OOD"] == row["canonical ID/OOD"]
    assert re.fullmatch(r"\[0\.\d{3}, 0\.\d{3}\]", row["Fieller"])
    assert re.fullmatch(r"\[-?0\.\d{3}, -?0\.\d{3}\]", row["simultaneous"])
    assert 0 <= float(row["seeds' share"]) <= 1
    assert row["p"] <= row["BH"] <= row["Holm"]
    assert "bounds if unanswered" not in row
    skipping = [cell("id", [True, True, None]), cell("ood", [True, False, None])]
    (row,) = evidence_table(analyze(skipping, resamples=100))
    assert row["bounds if unanswered"] == "[0.000, 0.667]"


def test_the_fit_table_gives_the_slope_per_factor_of_ten() -> None:
    analysis = analyze(RESULTS, resamples=100)
    row = next(row for row in fit_table(analysis) if row["queries"] == "pooled")
    fit = next(fit for fit in analysis.fits if fit.query_split == "pooled")
    assert row["gap per 10x parameters"].startswith(f"{fit.slope:+.3f} [")
    assert (row["family"], row["benchmark"], row["models"]) == ("opt", "scan/mcd1", "2")
    assert (row["best form"], row["Kendall p"], row["without a model"]) == ("-", "-", "-")
    assert row["verdict"] == "undetermined"


def test_the_common_table_names_the_families() -> None:
    sizes = [("opt-1", "opt", 10**8, True), ("opt-2", "opt", 10**9, True)]
    sizes.append(("opt-3", "opt", 10**10, True))
    models: list[Model] = [
        (m[0].replace("opt", f), f, *m[2:]) for f in ("opt", "pythia") for m in sizes
    ]
    results = sweep(models, lambda _, __, c: 0.7 if c == "id" else 0.4)
    rows = common_table(analyze(results, resamples=100))
    row = next(row for row in rows if row["families"] == "opt, pythia")
    assert {row["families"] for row in rows} == {"opt", "pythia", "opt, pythia"}
    assert row["slopes differ, p"] != "-"


def test_a_note_shows_a_few_places_and_counts_the_others() -> None:
    results = sweep(MODELS[:1], chance, seeds=1, shots=(1, 2, 3, 4))
    note = next(n for n in analyze(results, resamples=100).notes if n.text.startswith("one seed"))
    assert len(note.where) == 12
    assert str(note).endswith("; and 9 more")


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (12, "12"), (999_600, "1M"), (350_000_000, "350M"), (6_700_000_000, "6.7B")],
)
def test_parameter_counts_are_short(count: int | None, text: str) -> None:
    assert format_count(count) == text


def test_importing_the_analysis_is_cheap() -> None:
    heavy = "{'numpy', 'scipy', 'matplotlib', 'torch'} & set(sys.modules)"
    code = f"import sys, icl_gap.analysis, icl_gap.plots; sys.exit(str({heavy} or ''))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""

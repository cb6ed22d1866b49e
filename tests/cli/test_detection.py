from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import sweep

from icl_gap.analysis.power import Design
from icl_gap.cli.detection import PlannedDesign, planned_designs, power_lines
from icl_gap.evaluation.planning import outline_sweep


def planned(name: str, models: int, queries: int = 100, seeds: int = 2) -> PlannedDesign:
    scales = tuple(np.linspace(8, 10, models).tolist())
    return PlannedDesign(name, Design(scales, (queries, queries), seeds), 10 * queries)


@settings(max_examples=30)
@given(
    st.lists(
        st.builds(
            planned,
            st.text("abc-/ ", min_size=1, max_size=90),
            st.integers(1, 12),
            st.integers(1, 10**6),
            st.integers(1, 100),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_no_line_folds_a_number_or_a_word_at_80_columns(designs) -> None:
    longest = max(len(word) for each in designs for word in each.name.split(" "))
    lines = "\n".join(power_lines(designs, seeds=2)).split("\n")
    names = {each.name for each in designs}
    assert all(len(line) <= max(80, longest) or line in names for line in lines)
    rows = [line for line in lines if re.search(r" \d+ +[\d,]+ +(\d\.\d\d|>10)", line)]
    assert len(rows) == len(designs)


def test_the_table_shows_each_family_on_each_benchmark() -> None:
    text = "\n".join(power_lines([planned("opt on scan/mcd1", 5, 1000)], seeds=2))
    assert re.search(r"opt on scan/mcd1 +5 +1,000 +0\.05 +0\.07 +0\.14 +0\.27\n", text)
    assert "Assumed: A_id 0.5" in " ".join(text.split())
    assert "With 5 models and τ = 0.05 no number of queries detects a slope of" in text


@pytest.mark.parametrize(
    ("models", "slope", "permutation"), [(1, 0, 0), (2, 0, 0), (3, 1, 1), (4, 1, 1), (5, 1, 0)]
)
def test_few_models_are_told_what_they_lack(models, slope, permutation) -> None:
    text = " ".join(" ".join(power_lines([planned("opt", models)], seeds=1)).split())
    assert ("No slope can be fitted to fewer than 3 models." in text) == (not slope)
    assert ("The permutation test needs 5 models to reach p ≤ 0.05." in text) == bool(permutation)


def test_a_sentence_names_those_that_it_is_about() -> None:
    text = " ".join(power_lines([planned("opt", 2), planned("bloom", 6)], seeds=1))
    assert "opt: No slope can be fitted" in text
    assert "bloom: With 6 models" in text


def test_designs_are_those_of_the_plan() -> None:
    models = ["nano-codegen-xs", "nano-codegen-m", "nano-bloom-s", "nearest"]
    plan = outline_sweep(sweep("scan", models=models, seeds=[0, 1, 2], limit=7))
    found = {each.name: each for each in planned_designs(plan)}
    assert sorted(found) == ["nano-bloom on scan/mcd1", "nano-codegen on scan/mcd1"]
    codegen = found["nano-codegen on scan/mcd1"]
    assert (codegen.design.queries, codegen.design.seeds) == ((7, 7), 3)
    assert 4 < codegen.design.scales[0] < codegen.design.scales[1] < 6
    assert codegen.available > 7


@pytest.mark.parametrize("change", [{"conditions": ["id"]}, {"shots": [0]}])
def test_a_sweep_without_gaps_has_no_design(change) -> None:
    plan = outline_sweep(sweep("scan", **{"models": ["nano-codegen-xs"], "limit": 7, **change}))
    assert list(planned_designs(plan)) == []


def test_untrained_models_have_no_design(toy_card) -> None:
    plan = outline_sweep(sweep(toy_card, models=[{"kind": "random_init"}, "nearest"]))
    assert list(planned_designs(plan)) == []

"""The three numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from analysis.synthetic import analyze, sweep

from icl_gap.analysis import Analysis
from icl_gap.analysis.conclusion import conclude
from icl_gap.report.key_numbers import key_numbers
from icl_gap.text import plain_number, signed_number

Chance = Callable[[str, int, str], float]


def numbers(analysis: Analysis) -> list[tuple[str, str]]:
    return [(n.value, n.label) for n in key_numbers(analysis, conclude(analysis))]


def study(n_models: int, chance: Chance, families: tuple[str, ...] = ("opt",)) -> Analysis:
    models = [(f"{f}-{n}", f, 10**8 * 4**n, True) for f in families for n in range(n_models)]
    return analyze(sweep(models, chance, queries=100), resamples=200)


def half_lost(_model: str, _shots: int, condition: str) -> float:
    return 0.8 if condition == "id" else 0.4


def test_one_family_shows_trend_gap_and_resolved_gaps() -> None:
    analysis = study(4, half_lost)
    trend, gap, resolved = numbers(analysis)
    slope = conclude(analysis).answers[0].slope.slope
    assert trend == (signed_number(slope), "change of the gap for ten times the parameters")
    largest = {plain_number(p.gap.value) for p in analysis.points if p.model == "opt-3" and p.gap}
    assert gap[0] in largest
    assert gap[1].startswith("gap of opt-3 on scan/mcd1, 5 shots")
    assert resolved == ("8 of 8", "gaps could be measured")


def test_several_families_show_how_many_trends_are_conclusive() -> None:
    trend, gap, _ = numbers(study(3, half_lost, ("opt", "gpt")))
    assert trend[0] == "0 of 2"
    assert gap[1].startswith("gap of ")


def test_one_model_shows_its_gap_and_its_accuracies() -> None:
    gap, accuracies, resolved = numbers(study(1, half_lost))
    assert gap[1].startswith("gap of opt-0")
    before, after = map(float, accuracies[0].split(" → "))
    assert before > after
    assert resolved[0] == "2 of 2"


@pytest.mark.parametrize("n_models", [1, 3])
def test_without_a_resolved_gap_there_are_three_numbers_still(n_models: int) -> None:
    found = numbers(study(n_models, lambda *_: 0.0))
    assert len(found) == 3
    assert any(value == "0.00 → 0.00" for value, _ in found)
    assert found[-1][0].startswith("0 of ")


def test_without_gaps_there_are_no_numbers() -> None:
    cells = sweep([("opt-0", "opt", 10**8, True)], half_lost)
    analysis = analyze([cell for cell in cells if cell.info.condition == "id"], resamples=200)
    assert numbers(analysis) == []

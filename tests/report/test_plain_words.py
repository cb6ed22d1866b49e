"""The answer in plain words: the verdict of the rule, and no word of its own jargon."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from analysis.synthetic import Model, analyze, sweep

from icl_gap.analysis import Analysis
from icl_gap.analysis.conclusion import conclude
from icl_gap.report.plain_words import case_texts, plain_rows, verdict_sentence

STEPS = {"narrows": 0.1, "widens": -0.1, "no change beyond margin": 0.0, "undetermined": 0.04}
"""By verdict, how much of the accuracy each size keeps beyond the last."""
STARTS = {
    "narrows": "The gap of opt on scan/mcd1 narrows: \N{MINUS SIGN}",
    "widens": "The gap of opt on scan/mcd1 widens: +",
    "no change beyond margin": "The gap of opt on scan/mcd1 changes by no more than 0.1",
    "undetermined": "Inconclusive for opt on scan/mcd1: ",
}


def models(family: str, sizes: range) -> list[Model]:
    return [(f"{family}-{n}", family, 10**8 * 4**n, True) for n in sizes]


def analysis_of(some: Sequence[Model], steps: dict[str, float]) -> Analysis:
    """Families of which each size keeps more OOD."""

    def chance(model: str, _: int, condition: str) -> float:
        family, _, size = model.rpartition("-")
        return 0.8 if condition == "id" else 0.4 + steps[family] * (int(size) - 2.5)

    return analyze(sweep(some, chance, queries=200), resamples=400)


@pytest.mark.parametrize("verdict", STEPS)
def test_the_sentence_has_the_verdict_of_the_rule(verdict: str) -> None:
    sizes = range(1, 5) if verdict == "undetermined" else range(6)
    analysis = analysis_of(models("opt", sizes), {"opt": STEPS[verdict]})
    conclusion = conclude(analysis)
    assert conclusion.answers[0].verdict == verdict
    assert verdict_sentence(conclusion, analysis.margin).startswith(STARTS[verdict])
    (case,) = case_texts(conclusion)
    names = [name for name, _ in case.facts]
    assert any(name.startswith("Needed") for name in names) == (verdict == "undetermined")
    assert "Why" in names
    said = [case.verdict, *(text for _, text in case.facts)]
    said += [text for curve in case.curves for text in (curve.verdict, *curve.sentences)]
    assert not [text for text in said if "undetermined" in text]


def test_what_is_needed_is_that_of_the_remedy() -> None:
    (answer,) = conclude(analysis_of(models("opt", range(1, 5)), {"opt": 0.04})).answers
    assert answer.needed is not None
    assert answer.remedy == answer.needed.sentence
    (case,) = case_texts(conclude(analysis_of(models("opt", range(1, 5)), {"opt": 0.04})))
    text = next(text for name, text in case.facts if name.startswith("Needed"))
    for n in (answer.needed.queries, answer.needed.models):
        assert n is None or f"{n:,}" in text


def test_several_cases_are_counted_once_each() -> None:
    steps = {"opt": 0.1, "bloom": 0.1, "gpt": -0.1}
    some = [model for family in steps for model in models(family, range(6))]
    analysis = analysis_of(some, steps)
    sentence = verdict_sentence(conclude(analysis), analysis.margin)
    assert sentence == ("Of 3 cases, the gap narrows with scale in 2 and widens with scale in 1.")


def test_few_cases_of_one_verdict_are_named() -> None:
    some = models("opt", range(1, 4)) + models("gpt", range(1, 4))
    analysis = analysis_of(some, {"opt": 0.03, "gpt": 0.03})
    sentence = verdict_sentence(conclude(analysis), analysis.margin)
    assert sentence == "Inconclusive in both cases: gpt on scan/mcd1 and opt on scan/mcd1."


def test_without_a_family_of_sizes_the_conclusion_says_why() -> None:
    conclusion = conclude(analysis_of(models("opt", range(1)), {"opt": 0.0}))
    assert verdict_sentence(conclusion, 0.1) == conclusion.lead
    assert case_texts(conclusion) == []


def test_tables_have_plain_verdicts_and_models_keep_their_names() -> None:
    rows = [{"model": "undetermined", "verdict": "undetermined", "at the largest": "open"}]
    assert plain_rows(rows) == [
        {"model": "undetermined", "verdict": "inconclusive", "at the largest": "open"}
    ]

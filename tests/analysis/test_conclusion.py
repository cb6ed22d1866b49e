"""The answer in words: no verdict beyond the rule, and short."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from analysis.synthetic import Model, analyze, sweep

from icl_gap.analysis import Analysis
from icl_gap.analysis.conclusion import conclude, telling_points
from icl_gap.text import plain_number, signed_number

SIZES: list[Model] = [(f"opt-{n}", "opt", 10**8 * 4**n, True) for n in range(6)]
STEPS = {"narrows": 0.1, "widens": -0.1, "no change beyond margin": 0.0, "undetermined": 0.04}
"""By verdict, how much of the accuracy each size keeps beyond the last."""


def analysis_of(models: Sequence[Model], step: float, **options: object) -> Analysis:
    """A family of which each size keeps more OOD."""

    def chance(model: str, _: int, condition: str) -> float:
        if condition == "id":
            return 0.8
        return 0.4 + step * (int(model.rpartition("-")[2]) - 2.5)

    return analyze(sweep(models, chance, queries=200, **options), resamples=400)


@pytest.mark.parametrize("verdict", STEPS)
def test_the_answer_is_that_of_the_rule(verdict: str) -> None:
    # The test of a trend cannot reach its level with four models.
    analysis = analysis_of(SIZES[1:5] if verdict == "undetermined" else SIZES, STEPS[verdict])
    said = conclude(analysis)
    (answer,) = said.answers
    (common,) = analysis.common
    assert answer.verdict == common.verdict == verdict
    assert said.lead == "Opt" + answer.sentence.removeprefix("opt")
    low, high = common.slope_interval or (0.0, 0.0)
    change = (
        f"{signed_number(common.slope)} [{signed_number(low)}, {signed_number(high)}] per 10x size."
    )
    starts = {
        "narrows": "the gap narrows, ",
        "widens": "the gap widens, ",
        "no change beyond margin": "no change beyond 0.1, ",
        "undetermined": "undetermined, ",
    }
    assert answer.sentence == f"opt on scan/mcd1: {starts[verdict]}{change}"
    assert {each.verdict for each in answer.fits} == {fit.verdict for fit in analysis.fits}


def test_a_word_of_change_stands_only_where_the_rule_allows_it() -> None:
    said = conclude(analysis_of(SIZES[1:5], 0.04))
    text = " ".join([said.lead, *said.support, *(a.largest for a in said.answers)])
    assert not re.search(r"narrow|widen|still", text)


def test_the_largest_gap_is_given_for_both_sides_with_its_verdict() -> None:
    analysis = analysis_of(SIZES, 0.1)
    (answer,) = conclude(analysis).answers
    fits = [fit for fit in analysis.fits if fit.query_split != "pooled"]
    assert answer.largest.startswith("Closed at opt-5, 5 shots? test ")
    for fit in fits:
        assert fit.largest_gap is not None
        assert f"{plain_number(fit.largest_gap.value)} [" in answer.largest
        assert f"] {fit.closed}" in answer.largest


def test_a_test_that_cannot_reach_its_level_says_so() -> None:
    (few,), (enough,) = (conclude(analysis_of(SIZES[:n], 0.1)).answers for n in (4, 5))
    assert all("Kendall's test cannot reach 0.05 with 4 models." in f.text for f in few.fits)
    assert not any("Kendall" in fit.text for fit in enough.fits)


def test_several_cases_are_counted() -> None:
    bloom = [(name.replace("opt", "bloom"), "bloom", n, t) for name, _, n, t in SIZES]
    said = conclude(analysis_of([*SIZES, *bloom], 0.1))
    assert len(said.answers) == 2
    assert said.lead == "Of 2 cases (a family on a benchmark), the gap narrows with scale in 2."
    flat = conclude(analysis_of([*SIZES[1:5], *bloom[1:5]], 0.04))
    assert flat.lead == "Undetermined in both cases (a family on a benchmark each)."


def test_too_few_sizes_have_no_line_and_no_answer() -> None:
    (answer,) = conclude(analysis_of(SIZES[:2], 0.1)).answers
    assert answer.verdict == "undetermined"
    assert answer.sentence == (
        "opt on scan/mcd1: no line is drawn, fewer than 3 sizes, which always lie on a line."
    )


def test_unresolved_gaps_and_untrained_models_are_named() -> None:
    models: list[Model] = [
        ("random", "opt", 10**8, False),
        ("nearest", "nearest", None, True),
    ]
    cells = sweep(models, lambda name, *_: 0.0 if name == "random" else 0.5, splits=["test"])
    said = conclude(analyze(cells, resamples=400))
    assert said.answers == ()
    assert said.lead.startswith("These results cannot tell")
    text = " ".join(said.support)
    assert "2 gaps measured: 1 resolved" in text
    assert "1 unresolved, as the ID accuracy is too near zero" in text
    assert "Untrained models are in the table and in no line: random." in text


def test_no_gap_at_all_is_said_in_one_sentence() -> None:
    empty = replace(analysis_of(SIZES, 0.0), points=(), fits=(), common=())
    assert conclude(empty).support == (
        "No model has both its ID and its OOD cells, so there is no gap.",
    )


def test_the_table_shows_one_side_and_the_shots_with_most_resolved_gaps() -> None:
    def chance(_: str, shots: int, condition: str) -> float:
        return 0.0 if shots == 1 else 0.6 if condition == "id" else 0.4

    analysis = analyze(sweep(SIZES, chance, shots=(1, 5)), resamples=400)
    (points,) = telling_points(analysis).values()
    assert [point.model for point in points] == [name for name, *_ in SIZES]
    assert {point.shots for point in points} == {5}
    assert len({point.query_split for point in points} - {"pooled"}) == 1


@pytest.mark.parametrize("verdict", STEPS)
def test_every_sentence_ends(verdict: str) -> None:
    said = conclude(analysis_of(SIZES, STEPS[verdict]))
    answers = [(each.sentence, each.largest, *(f.text for f in each.fits)) for each in said.answers]
    for sentence in (said.lead, *said.support, *(text for each in answers for text in each)):
        assert re.search(r"[^.]\.$", sentence)

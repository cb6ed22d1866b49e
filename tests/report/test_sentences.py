"""What the answer says, and that it says no more than the numbers do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from analysis.synthetic import analyze, sweep

from icl_gap.analysis import Analysis
from icl_gap.report.sentences import conclude, plain_number, signed_number

SIZES = [
    ("opt-s", "opt", 10**8, True),
    ("opt-m", "opt", 10**9, True),
    ("opt-l", "opt", 10**10, True),
]
OOD = {
    "narrows": {"opt-s": 0.1, "opt-m": 0.4, "opt-l": 0.75},
    "widens": {"opt-s": 0.75, "opt-m": 0.4, "opt-l": 0.1},
    "open": {"opt-s": 0.4, "opt-m": 0.4, "opt-l": 0.4},
}


def analysis_of(models, chance) -> Analysis:
    return analyze(sweep(models, chance, queries=200), resamples=400)


def falling(verdict: str) -> Analysis:
    return analysis_of(SIZES, lambda name, _, c: 0.8 if c == "id" else OOD[verdict][name])


@pytest.mark.parametrize(
    ("verdict", "lead"),
    [
        ("narrows", "The gap narrows with scale in the one case that could be fitted."),
        ("widens", "No: the gap widens with scale in the one case that could be fitted."),
        (
            "open",
            "These results do not tell: the one fitted line could be level, or go either way.",
        ),
    ],
)
def test_the_answer_follows_the_interval_of_the_slope(verdict, lead) -> None:
    analysis = falling(verdict)
    said = conclude(analysis)
    assert said.lead == lead
    (finding,) = said.findings
    assert finding.verdict == verdict
    assert finding.place == "scan/mcd1, 5 shots, family opt"
    fit = next(fit for fit in analysis.fits if fit.query_split == "pooled")
    low, high = fit.slope_interval
    assert (
        f"changes by {signed_number(fit.slope)} [{signed_number(low)}, {signed_number(high)}]."
        in finding.text
    )
    assert "At the largest size, opt-l (10B), it is" in finding.text


def test_a_gap_that_narrows_is_not_said_to_be_closed() -> None:
    point = next(
        p for p in falling("narrows").points if (p.model, p.query_split) == ("opt-l", "pooled")
    )
    told = "still above zero" if point.gap.low > 0 else "not distinguishable from zero"
    assert told in conclude(falling("narrows")).findings[0].text


def test_too_few_sizes_have_no_line_and_no_answer() -> None:
    said = conclude(analysis_of(SIZES[:2], lambda *_: 0.5))
    assert said.lead.startswith("These results cannot tell")
    assert said.findings[0].verdict == "no line"
    assert "fewer than 3 sizes" in said.findings[0].text


def test_unresolved_gaps_and_untrained_models_are_named() -> None:
    models = [("random", "opt", 10**8, False), ("nearest", "nearest", None, True)]
    said = conclude(analysis_of(models, lambda name, *_: 0.0 if name == "random" else 0.5))
    text = " ".join(said.support)
    assert said.findings == ()
    assert "2 gaps measured (test and train queries pooled): 1 resolved" in text
    assert (
        "1 unresolved, because the accuracy under ID could not be distinguished from zero" in text
    )
    assert "Untrained models are in the table and in no line: random." in text


def test_one_side_alone_is_spoken_of_where_nothing_is_pooled() -> None:
    found = analyze(sweep(SIZES, lambda *_: 0.5, splits=["test"]), resamples=400)
    assert "(test queries)" in conclude(found).support[0]


def test_no_gap_at_all_is_said_in_one_sentence() -> None:
    empty = replace(falling("open"), points=(), fits=(), common=())
    assert conclude(empty).support == (
        "No model has both its ID and its OOD cells, so there is no gap.",
    )


def test_every_sentence_ends() -> None:
    for verdict in OOD:
        said = conclude(falling(verdict))
        for sentence in (said.lead, *said.support, *(each.text for each in said.findings)):
            assert re.search(r"[^.]\.$", sentence)


@pytest.mark.parametrize(
    ("value", "change", "number"),
    [(0.123, "+0.12", "0.12"), (-0.125001, "\u22120.13", "\u22120.13"), (-0.001, "+0.00", "0.00")],
)
def test_numbers_have_a_proper_minus_and_no_negative_zero(value, change, number) -> None:
    assert (signed_number(value), plain_number(value)) == (change, number)

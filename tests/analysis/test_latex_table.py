"""LaTeX tables: as they were looked at, and sound whatever the names are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from analysis.synthetic import analyze, sweep
from hypothesis import given
from hypothesis import strategies as st
from latex import check_latex

from icl_gap.analysis import Analysis, latex_tables
from icl_gap.errors import AnalysisError

GOLDEN = Path(__file__).parent / "golden" / "latex_table.tex"
MODELS = [
    ("opt_125m", "opt", 125_000_000, True),
    ("org/opt-1.3b & more", "opt", 1_300_000_000, True),
    ("nothing", "opt", 6_700_000_000, False),
    ("nearest", "nearest", None, True),
]


def chance(model: str, shots: int, condition: str) -> float:
    if model == "nothing" or (model == "nearest" and shots == 1):
        return 0.0
    return 0.9 if condition == "id" else 0.4 + shots / 100


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    found = analyze(sweep(MODELS, chance, shots=(1, 10)), resamples=200)
    points = tuple(
        replace(point, size_source="estimated" if "more" in point.model else "counted")
        for point in found.points
    )
    return replace(found, points=points)


def test_the_tables_are_as_they_were_looked_at(analysis) -> None:
    shown = latex_tables(analysis) + "\n"
    if not GOLDEN.exists():  # removed, to be made anew
        GOLDEN.write_text(shown, encoding="utf-8")
        pytest.fail(f"{GOLDEN} is written: look at it")
    assert shown == GOLDEN.read_text(encoding="utf-8")
    check_latex(shown)


def test_every_gap_is_there_and_every_other_cell_says_why_not(analysis) -> None:
    shown = latex_tables(analysis)
    for point in analysis.points:
        if point.gap is not None:
            assert f"${point.gap.value:.2f}$ {{\\scriptsize" in shown
    unresolved = sum(point.gap is None for point in analysis.points)
    assert shown.count(r"--- (") == unresolved > 0
    assert shown.count("Unresolved: ") == 1


def test_a_flagged_gap_has_a_footnote() -> None:
    found = analyze(sweep(MODELS[:1], lambda *_: 0.7), resamples=100)
    (pooled,) = (point for point in found.points if point.query_split == "pooled")
    flagged = replace(pooled, flags=("the train side is at its floor: 0 of 40 OOD requests right",))
    shown = latex_tables(replace(found, points=(flagged,)))
    note = "The pooled gap hides its sides: the train side is at its floor."
    assert rf"\textsuperscript{{a}} {note}\par" in shown
    assert r"]$}\textsuperscript{a} \\" in shown


def test_there_is_a_table_for_each_benchmark_and_selection(analysis) -> None:
    first = analysis.points[0]
    points = (
        replace(first, selection="random"),
        replace(first, selection="bm25"),
        replace(first, selection="bm25", dataset="cfq"),
    )
    shown = latex_tables(replace(analysis, points=points))
    for label in ("scan-mcd1-random", "scan-mcd1-bm25", "cfq-mcd1-bm25"):
        assert rf"\label{{tab:gaps-{label}}}" in shown
    assert "exemplars chosen by bm25" in shown
    check_latex(shown)


def test_without_gaps_there_is_no_table(analysis) -> None:
    with pytest.raises(AnalysisError, match="no gap to put into a table"):
        latex_tables(replace(analysis, points=()))


@given(st.text(min_size=1), st.text(st.characters(codec="ascii"), min_size=1))
def test_no_name_can_break_a_table(analysis, model: str, benchmark: str) -> None:
    point = replace(analysis.points[0], model=model, dataset=benchmark, split=benchmark)
    check_latex(latex_tables(replace(analysis, points=(point,))))

"""What may be compared, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from analysis.synthetic import analyze, cell, record

from icl_gap.errors import AnalysisError
from icl_gap.schema import CellResult, Record

Change = Callable[[tuple[Record, ...]], tuple[Record, ...]]


def changed(result: CellResult, change: Change) -> CellResult:
    return CellResult(result.info, change(result.records))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[:-1], "the OOD cell lacks query `test-2`"),
        (lambda r: (*r, record("test-9", hit=True)), "the ID cell lacks query `test-9`"),
        (lambda r: (record("test-0", hit=None), *r[1:]), "`test-0` was skipped in the OOD cell"),
        (
            lambda r: (r[0], replace(r[1], shots=4), r[2]),
            "query `test-1` has 5 effective shots ID and 4 OOD",
        ),
        (lambda r: (*r, r[0]), "query `test-0` stands twice"),
        (
            lambda r: (replace(r[0], scores={}), *r[1:]),
            "query `test-0` counts as scored and has no raw",
        ),
    ],
)
def test_cells_that_cannot_be_compared_are_refused(change: Change, message: str) -> None:
    inside = cell("id", [1, 0, 1], seed=3, key="a" * 64)
    outside = changed(cell("ood", [1, 0, 0], seed=3, key="b" * 64), change)
    with pytest.raises(AnalysisError) as error:
        analyze([inside, outside])
    assert message in str(error.value)
    assert "scan/mcd1 opt-350m, 5 shots, test queries, OOD, seed 3 (cell bbbbbbbbbbbb)" in str(
        error.value
    )


def test_a_message_names_both_cells() -> None:
    inside, outside = cell("id", [1], key="a" * 64), cell("ood", [1, 1], key="b" * 64)
    with pytest.raises(AnalysisError, match=r"(?s)cell aaaaaaaaaaaa.*cell bbbbbbbbbbbb"):
        analyze([inside, outside])


def test_two_cells_with_the_same_coordinates_are_refused() -> None:
    results = [cell("id", [1], key="a" * 64), cell("ood", [1]), cell("id", [1], key="c" * 64)]
    with pytest.raises(AnalysisError, match=r"(?s)same coordinates.*cell aaaa.*cell cccc"):
        analyze(results)


@pytest.mark.parametrize(
    "change",
    [
        {"n_params": 1},
        {"n_params_non_embedding": 1},
        {"size_source": "estimated"},
        {"training_tokens": 1},
        {"family": "bloom"},
        {"trained": False},
        {"partial": "test 1 of 2"},
    ],
)
def test_cells_that_describe_their_model_differently_are_refused(change: dict[str, object]) -> None:
    (name,) = change
    with pytest.raises(AnalysisError, match=f"differ in `{name}`"):
        analyze([cell("id", [1]), cell("ood", [1], **change)])


def test_a_missing_partner_is_noted_and_makes_no_point() -> None:
    analysis = analyze([cell("id", [1, 0])])
    assert analysis.points == ()
    (note,) = analysis.notes
    assert note.text == "no gap: the OOD cells are missing"
    assert note.where == ("scan/mcd1 opt-350m, 5 shots, test queries",)


def test_seeds_without_partner_are_noted_and_the_others_used() -> None:
    results = [cell("id", [1, 0], seed=s) for s in (0, 1, 2)]
    results += [cell("ood", [0, 0], seed=s) for s in (1, 4)]
    analysis = analyze(results)
    assert [point.n_seeds for point in analysis.points] == [1]
    texts = [note.text for note in analysis.notes]
    assert "seeds left out, as the OOD cells are missing: 0, 2" in texts
    assert "seeds left out, as the ID cells are missing: 4" in texts


def test_no_seed_in_common_is_noted() -> None:
    analysis = analyze([cell("id", [1], seed=0), cell("ood", [1], seed=1)])
    assert analysis.points == ()
    assert "no gap: the ID and OOD cells have no seed in common" in [n.text for n in analysis.notes]


def test_fewer_shots_than_asked_are_noted_with_their_mean() -> None:
    results = [
        changed(cell(c, [1, 0]), lambda r: (r[0], replace(r[1], shots=2))) for c in ("id", "ood")
    ]
    analysis = analyze(results)
    (point,) = analysis.points
    assert point.shots_effective == 3.5
    note = next(note for note in analysis.notes if note.text.startswith("exemplars were dropped"))
    assert note.where == ("3.50 in scan/mcd1 opt-350m, 5 shots, test queries",)


def test_what_must_be_said_is_said() -> None:
    results = [cell(c, [1, 0], trained=False, partial="test 2 of 9") for c in ("id", "ood")]
    notes = {note.text: note.where for note in analyze(results).notes}
    assert notes["untrained weights, which no fit uses"] == ("opt-350m",)
    assert notes["the published split is not whole"] == ("scan/mcd1 (test 2 of 9)",)
    assert any(text.startswith("one seed only") for text in notes)
    assert "no pooled gap: only the test queries have one" in notes

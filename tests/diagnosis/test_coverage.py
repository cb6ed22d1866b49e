from __future__ import annotations

from icl_gap.diagnosis import MEASURES, CoverageMeasures, CoverageMeter
from icl_gap.programs.languages import LANGUAGES
from icl_gap.schema import Example

QUERY = Example("q", "jump twice and walk", "JUMP JUMP WALK")


def test_a_request_is_measured_by_hand() -> None:
    exemplars = [
        Example("a", "walk and run", "WALK RUN"),
        Example("b", "jump", "JUMP"),
    ]
    found = CoverageMeter(LANGUAGES["tokens"]).measure(QUERY, exemplars)
    # Its structures: JUMP and WALK below the root, and JUMP JUMP and JUMP WALK side by side.
    assert found == CoverageMeasures(
        source_coverage=3 / 4,
        target_coverage=1.0,
        structure_coverage=2 / 4,
        unobserved=2,
        longer=True,
        distance=2 / 3,
    )


def test_a_query_among_its_exemplars_is_covered_whole() -> None:
    found = CoverageMeter(LANGUAGES["tokens"]).measure(QUERY, [QUERY])
    assert found == CoverageMeasures(1.0, 1.0, 1.0, 0, longer=False, distance=0.0)


def test_without_exemplars_nothing_is_covered() -> None:
    found = CoverageMeter(LANGUAGES["tokens"]).measure(QUERY, [])
    assert found == CoverageMeasures(0.0, 0.0, 0.0, 4, longer=True, distance=1.0)


def test_structures_are_those_of_the_language() -> None:
    query = Example("q", "longest river", "answer ( longest ( river ) )")
    shown = Example("a", "rivers", "answer ( river )")
    found = CoverageMeter(LANGUAGES["funql"]).measure(query, [shown])
    assert (found.structure_coverage, found.unobserved) == (0.0, 2)


def test_what_is_no_program_is_a_row_of_tokens() -> None:
    broken = Example("q", "x", "answer ( (")
    assert CoverageMeter(LANGUAGES["funql"]).measure(broken, [broken]).structure_coverage == 1.0


def test_measures_are_named_in_order() -> None:
    assert MEASURES[:3] == ("source_coverage", "target_coverage", "structure_coverage")

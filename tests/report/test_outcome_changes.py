"""Changes of outcomes, counted by hand."""

from __future__ import annotations

from dataclasses import replace

from analysis.synthetic import Hit, analyze, cell
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.report.outcome_changes import OutcomeChanges, change_table

HITS: st.SearchStrategy[Hit] = st.sampled_from([True, False, None, "failed"])


def test_changes_are_counted_by_place_and_condition() -> None:
    changes = OutcomeChanges("raw")
    before, after = cell("id", [True, True, False, None]), cell("id", [True, False, True, False])
    kept = changes.add(before, after)
    assert [[r.query_id for r in each.records] for each in kept] == [
        ["test-1", "test-2", "test-3"]
    ] * 2
    place = ("opt-350m", "scan/mcd1", 5, "test")
    assert dict(changes.counts) == {
        (place, "id", "became wrong"): 1,
        (place, "id", "became right"): 1,
        (place, "id", "other"): 1,
    }
    assert (changes.both, changes.same_prompt) == (4, 4)
    assert changes.total("became right") == 1


def test_queries_of_one_alone_and_other_prompts_are_seen() -> None:
    changes = OutcomeChanges("raw")
    after = cell("id", [True, False])
    other = tuple(replace(record, prompt_sha256="1" * 64) for record in after.records)
    changes.add(cell("id", [True, True, True]), replace(after, records=other))
    assert (changes.both, changes.same_prompt) == (2, 0)
    assert changes.total("became wrong") == 1


@given(st.lists(st.tuples(HITS, HITS), max_size=12))
def test_what_became_right_became_wrong_the_other_way(hits: list[tuple[Hit, Hit]]) -> None:
    there, back = OutcomeChanges("raw"), OutcomeChanges("raw")
    first, second = (cell("ood", [pair[n] for pair in hits]) for n in (0, 1))
    there.add(first, second)
    back.add(second, first)
    assert there.total("became right") == back.total("became wrong")
    assert there.total("became wrong") == back.total("became right")
    assert there.total("other") == back.total("other")


def test_the_table_has_both_gaps_and_their_difference() -> None:
    hits = {"id": [True] * 40, "ood": [True] * 20 + [False] * 20}
    first = [cell(condition, hits[condition]) for condition in ("id", "ood")]
    hits["ood"][:10] = [False] * 10
    second = [cell(condition, hits[condition]) for condition in ("id", "ood")]
    changes = OutcomeChanges("raw")
    for pair in zip(first, second, strict=True):
        changes.add(*pair)
    (row,) = change_table(changes, analyze(first, resamples=200), analyze(second, resamples=200))
    assert row["gap in A"].startswith("0.50 [")
    assert row["gap in B"].startswith("0.75 [")
    assert row["B less A"] == "+0.25"
    assert row["OOD now wrong"] == "10"
    assert row["OOD now right"] == "0"

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.errors import InputError
from icl_gap.records import Score
from icl_gap.scoring import Prediction, Summary, read_predictions, summarize

if TYPE_CHECKING:
    from pathlib import Path


def test_reads_lines_with_and_without_ids(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    lines = [
        json.dumps({"prediction": "a", "target": "b", "id": "q7", "model": "x"}),
        "",
        json.dumps({"prediction": "", "target": "é", "id": None}, ensure_ascii=False),
        json.dumps({"prediction": "\ud800", "target": "c", "id": 3}),
    ]
    path.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    assert list(read_predictions(path)) == [
        Prediction("q7", "a", "b"),
        Prediction("3", "", "é"),
        Prediction("3", "\ud800", "c"),
    ]


@pytest.mark.parametrize(
    ("line", "problem", "key"),
    [
        (b"prediction", "not a JSON object", None),
        (b'["a", "b"]', "not a JSON object", None),
        (b"null", "not a JSON object", None),
        (b'{"prediction": "\xff", "target": "b"}', "not a JSON object", None),
        (b"[" * 100_000, "not a JSON object", None),
        (b'{"prediction": "a"}', "the key `target` is missing", None),
        (b'{"target": "a"}', "the key `prediction` is missing", None),
        (b'{"prediction": null, "target": "b"}', "`prediction` is not text", "prediction"),
        (b'{"prediction": "a", "target": ["b"]}', "`target` is not text", "target"),
        (b'{"prediction": "a", "target": "b", "id": 1.5}', "an id is text", "id"),
        (b'{"prediction": "a", "target": "b", "id": true}', "an id is text", "id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, problem: str, key: str | None) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(b'{"prediction": "a", "target": "b"}\n\n' + line + b"\n")
    with pytest.raises(InputError, match=problem) as caught:
        list(read_predictions(path))
    place = caught.value.place
    assert (place.file, place.line, place.key) == (path, 3, key)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputError, match="cannot read the predictions") as caught:
            list(read_predictions(path))
        assert caught.value.place.file == path


def test_summary() -> None:
    different = Score(raw=False, canonical=False, reason="different program")
    spaced = Score(raw=False, canonical=True, reason="spacing")
    empty = Score(raw=False, canonical=False, reason="empty")
    equal = Score(raw=True, canonical=True)
    found = summarize(iter([different, spaced, empty, equal, different]))
    reasons = {"different program": 2, "empty": 1, "spacing": 1}
    assert found == Summary(
        n=5, raw=0.2, canonical=0.4, execution=None, n_executed=0, reasons=reasons
    )
    assert list(found.reasons) == list(reasons)


def test_a_summary_tells_of_how_many_programs_it_is_known_what_they_do() -> None:
    found = summarize(
        Score(raw=False, canonical=False, reason="different program", execution=execution)
        for execution in (True, None, False, True)
    )
    assert (found.execution, found.n_executed) == (2 / 3, 3)


@given(st.lists(st.sampled_from((None, "spacing", "empty")), min_size=1))
def test_a_summary_accounts_for_every_score(reasons: list[str | None]) -> None:
    scores = [Score(raw=r is None, canonical=r != "empty", reason=r) for r in reasons]
    found = summarize(scores)
    assert found.n == sum(found.reasons.values()) + round(found.raw * found.n)
    assert found.raw <= found.canonical <= 1


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(InputError, match="nothing to score"):
        summarize([])

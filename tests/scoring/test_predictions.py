from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_gap.errors import InputError
from icl_gap.schema import Score
from icl_gap.scoring import (
    Prediction,
    Summary,
    read_predictions,
    score_predictions,
    summarize,
)


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
        Prediction("q7", "a", "b", 1),
        Prediction(None, "", "é", 3),
        Prediction("3", "\ud800", "c", 4),
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
        n=5,
        accuracies={"raw": 0.2, "canonical": 0.4, "execution": None},
        n_known={"raw": 5, "canonical": 5, "execution": 0},
        reasons=reasons,
    )
    assert list(found.reasons) == list(reasons)


def test_intervals_are_wilson_s() -> None:
    found = summarize(Score(raw=n < 2, canonical=True) for n in range(10))
    low, high = found.interval("raw") or (0.0, 0.0)
    # Brown, Cai & DasGupta 2001: the ends p solve (x / n - p)^2 = z^2 p (1 - p) / n.
    for p in (low, high):
        assert (0.2 - p) ** 2 == pytest.approx(1.959964**2 * p * (1 - p) / 10, rel=1e-6)
    assert low < 0.2 < high
    assert found.interval("canonical") == pytest.approx((0.72247, 1.0), abs=1e-5)
    assert found.interval("execution") is None


def test_a_summary_shows_its_rates() -> None:
    summary = judged(True, None)
    assert repr(summary).startswith("<Summary 2 predictions, raw ")
    assert "execution" not in repr(summary)
    shown = summary._repr_html_()
    ends = summary.interval("raw")
    assert ends is not None
    assert f"[{ends[0]:.4f}, {ends[1]:.4f}]" in shown
    assert shown.count("not measured") == 1


def judged(*executions: bool | None) -> Summary:
    return summarize(
        Score(raw=False, canonical=False, reason="different program", execution=execution)
        for execution in executions
    )


def test_a_summary_has_no_rate_over_a_part() -> None:
    found = judged(True, None, False, True)
    assert (found.accuracies["execution"], found.n_known["execution"]) == (None, 3)
    assert judged(True, False, False, True).accuracies["execution"] == 0.5


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    text = "a\x0b\x0c\x1c\u0085\u2028b"
    line = json.dumps({"prediction": text, "target": "t"}, ensure_ascii=False)
    path.write_bytes(f"{line}\r\n{line}".encode())
    assert list(read_predictions(path)) == [Prediction(None, text, "t", n) for n in (1, 2)]


def test_a_line_without_end_is_refused_by_its_number(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("icl_gap.scoring.predictions.LONGEST_LINE", 100)
    short = json.dumps({"prediction": "a", "target": "b"}).ljust(99) + "\n"
    path = tmp_path / "p.jsonl"
    path.write_text(short * 2 + short[:-1] + " \n")
    with pytest.raises(InputError, match="this line is too long") as caught:
        list(read_predictions(path))
    assert caught.value.place.line == 3
    path.write_text(short * 3)
    assert len(list(read_predictions(path))) == 3


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps({"prediction": "a", "target": "b"}))
    link = tmp_path / "link"
    link.symlink_to(path)
    assert len(list(read_predictions(link))) == 1
    endless, fifo = tmp_path / "endless", tmp_path / "fifo"
    endless.symlink_to("/dev/zero")
    os.mkfifo(fifo)
    for odd in (endless, Path("/dev/zero")):
        with pytest.raises(InputError, match="it is a device"):
            list(read_predictions(odd))
    code = (
        "from pathlib import Path\nfrom icl_gap.scoring import read_predictions\n"
        f"list(read_predictions(Path({str(fifo)!r})))"
    )
    done = subprocess.run(  # a fifo that is opened waits for a writer
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False
    )
    assert "it is a FIFO" in done.stderr


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(lines: int) -> int:
        path = tmp_path / f"{lines}.jsonl"
        with path.open("w") as file:
            for n in range(lines):
                row = {"prediction": f"WALK {n} " + "RUN " * 100, "target": "WALK", "id": n}
                file.write(json.dumps(row) + "\n")
        tracemalloc.start()
        try:
            summary, _ = score_predictions(path, dataset="scan")
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert summary.n == lines

    peak(10)  # what is imported and read once
    assert peak(3000) < peak(300) + 50_000


@given(st.lists(st.sampled_from((None, "spacing", "empty")), min_size=1))
def test_a_summary_accounts_for_every_score(reasons: list[str | None]) -> None:
    scores = [Score(raw=r is None, canonical=r != "empty", reason=r) for r in reasons]
    found = summarize(scores)
    raw, canonical = found.accuracies["raw"], found.accuracies["canonical"]
    assert raw is not None
    assert canonical is not None
    assert found.n == sum(found.reasons.values()) + round(raw * found.n)
    assert raw <= canonical <= 1


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(InputError, match="nothing to score"):
        summarize([])

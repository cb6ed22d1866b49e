"""The page of `sweeps/open_models.md`: its tables are those of the verdicts that are kept."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import open_models
import pytest
from open_models import PAGE, PARTS, Part, cells_of, kept, page, read_parts
from toys import sweep

from icl_gap.analysis import analyze
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results.frame import frame_of


def test_the_page_s_tables_are_made_from_the_kept_verdicts() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, read_parts()) == text


def test_every_part_is_of_a_sweep_and_kept_whole() -> None:
    sweeps = {path.stem for path in PARTS.glob("*.yaml")} | {"geoquery"}
    assert {*read_parts()} == sweeps
    for name, part in read_parts().items():
        for cell in part["cells"]:
            assert len(cell["raw"]) == (25 if name == "chat_text" else 100)
            assert {*cell["raw"]} <= {"0", "1"}


def test_what_the_page_says_of_geoquery_holds() -> None:
    cells = [*cells_of(read_parts()["geoquery"])]
    points = [each for each in analyze(frame_of(cells)).points if each.query_split == "pooled"]
    gaps = {(each.model, each.shots): each.gap for each in points}
    assert len(gaps) == 6
    assert all(gap is not None and gap.low > 0 for gap in gaps.values())
    right = {(each.model, each.shots): each.a_id.value for each in points}
    small, large = "gemma-3-270m", "qwen2.5-coder-0.5b"
    for shots in (1, 5, 10):
        assert gaps[small, shots].value > gaps[large, shots].value
        assert right[small, shots] < right[large, shots]
    for model in (small, large):
        assert right[model, 1] < right[model, 5] < right[model, 10]
        one, ten = gaps[model, 1], gaps[model, 10]
        assert one.low < ten.high
        assert ten.low < one.high


def test_what_the_page_says_of_scan_and_cfq_holds() -> None:
    parts = [read_parts()[name] for name in ("scan", "cfq")]
    assert max(cell["raw"].count("1") for part in parts for cell in part["cells"]) == 2
    points = analyze(frame_of([cell for part in parts for cell in cells_of(part)])).points
    assert len(points) == 2 * (3 + 1) * 3
    assert all(point.gap is None for point in points)


def test_what_the_page_says_of_the_largest_model_holds() -> None:
    cells = [cell for name in ("geoquery", "largest") for cell in cells_of(read_parts()[name])]
    points = analyze(frame_of(cells)).points
    gaps = {p.model: p.gap for p in points if p.query_split == "pooled" and p.shots == 5}
    largest = gaps.pop("qwen2.5-coder-1.5b")
    assert all(largest.value < gap.value for gap in gaps.values())
    assert largest.high > gaps["qwen2.5-coder-0.5b"].low


def test_what_the_page_says_of_controls_holds() -> None:
    def right(name: str, model: str, condition: str) -> tuple[int, int]:
        verdicts = "".join(
            cell["raw"]
            for cell in read_parts()[name]["cells"]
            if (cell["dataset"], cell["model"], cell["condition"], cell["seed"])
            == ("geoquery", model, condition, 0)
            and cell["shots"] in {0, 5}
        )
        return verdicts.count("1"), len(verdicts)

    for model in ("gemma-3-270m", "qwen2.5-coder-0.5b"):
        assert right("zero_shots", model, "id") == (0, 200)
        for condition in ("id", "ood"):
            (shuffled, of), (shown, same) = (
                right(name, model, condition) for name in ("shuffled_targets", "geoquery")
            )
            assert of == same == 200
            assert shuffled <= of / 20
            assert shuffled < shown / 3
    for name in ("zero_shots", "shuffled_targets"):
        of_scan = [c["raw"] for c in read_parts()[name]["cells"] if c["dataset"] == "scan"]
        assert of_scan
        assert "1" not in "".join(of_scan)


def test_what_the_page_says_of_chats_holds() -> None:
    cells = [cell for name in ("geoquery", "chat_turns") for cell in cells_of(read_parts()[name])]
    points = {
        p.model: p
        for p in analyze(frame_of(cells)).points
        if p.query_split == "pooled" and p.shots == 5
    }
    chat, text = points["qwen2.5-coder-0.5b-chat-turns"], points["qwen2.5-coder-0.5b"]
    assert chat.a_id.value == pytest.approx(text.a_id.value, abs=0.05)
    assert chat.gap.low > 0
    assert chat.gap.low < text.gap.high
    assert text.gap.low < chat.gap.high


def test_what_the_page_says_of_exemplars_in_one_message_holds() -> None:
    cells = read_parts()["chat_text"]["cells"]
    assert "1" not in "".join(cell["raw"] for cell in cells)
    reasons = sum((Counter(cell["reasons"]) for cell in cells), Counter())
    malformed = sum(n for reason, n in reasons.items() if reason.startswith("malformed"))
    assert (malformed, reasons["ran on"], reasons.total()) == (57, 43, 100)


def test_what_the_page_says_of_selections_holds() -> None:
    parts = read_parts()
    verdicts = {
        name: {
            condition: "".join(
                c["raw"] for c in parts[name]["cells"] if c["condition"] == condition
            )
            for condition in ("id", "ood")
        }
        for name in ("random", "bm25", "cover_utterance")
    }
    for condition in ("id", "ood"):
        random, top, cover = (each[condition] for each in verdicts.values())
        assert random.count("1") < top.count("1") < cover.count("1")
        assert open_models._mcnemar(random, top) < 0.05
        assert open_models._mcnemar(top, cover) > 0.05


def test_kept_verdicts_give_the_gaps_of_the_results(toy_card: str, tmp_path: Path) -> None:
    results = evaluate_sweep(sweep(toy_card), tmp_path / "out")
    part = json.loads(json.dumps(kept(results)))
    assert {*part["queries"]} == {"toy/plain/test", "toy/plain/train"}
    again = analyze(frame_of(cells_of(part)), resamples=100).points
    whole = analyze(results.frame(), resamples=100).points
    for ours, theirs in zip(again, whole, strict=True):
        assert (ours.a_id, ours.a_ood, ours.gap) == (theirs.a_id, theirs.a_ood, theirs.gap)
        assert ours.label == theirs.label


def test_an_unfinished_folder_is_not_kept(toy_card: str, tmp_path: Path) -> None:
    results = evaluate_sweep(sweep(toy_card), tmp_path / "out")
    next((tmp_path / "out" / "cells").glob("*.jsonl")).unlink()
    with pytest.raises(AssertionError, match="unfinished"):
        kept(open_models.open_results(results.folder))


def part(**conditions: str) -> Part:
    cells = [
        {"dataset": "geoquery", "model": "m", "condition": c, "raw": verdicts}
        for c, verdicts in conditions.items()
    ]
    return {"cells": cells}


def test_strategies_are_compared_query_by_query() -> None:
    parts = {
        "random": part(id="1000000000", ood="0000000000"),
        "bm25": part(id="1111111000", ood="0000000001"),
        "cover_utterance": part(id="0111111100", ood="0000000001"),
    }
    _, _, *rows = open_models.selection_table(parts).splitlines()
    cells = [[each.strip() for each in row.strip("|").split("|")] for row in rows]
    assert [row[1].split()[0] for row in cells] == ["10.0", "70.0", "70.0"]
    assert [row[2] for row in cells] == ["-", "0.031", "1"]  # 6 of 6 won: 2 / 2^6; 1 of 2: 1
    assert [row[5] for row in cells] == ["-", "1", "1"]
    assert [row[3] for row in cells] == ["53.7", "86.3", "89.0"]


def test_controls_stand_beside_each_other() -> None:
    table = open_models.control_table(part(id="010"), part(id="110", ood="000"))
    assert table.splitlines()[2] == "| geoquery | m | 1 of 3 | 2 of 3 | 0 of 3 |"

"""What a results folder holds of a sweep, without reading records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toys import sweep

from icl_gap.errors import StoreError
from icl_gap.evaluation.planning import outline_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.results import find_kept


def test_what_is_kept_is_counted(toy_card: str, tmp_path: Path) -> None:
    plan = outline_sweep(sweep(toy_card))
    infos = [cell.info for cell in plan.cells]
    out = tmp_path / "out"
    nothing = find_kept(out, infos)
    assert (nothing.finished, nothing.requests, nothing.answered) == (frozenset(), 64, 0)
    assert not out.exists()
    evaluate_sweep(plan, out)
    assert find_kept(out, infos).finished == {info.key for info in infos}
    assert str(find_kept(out, infos)) == "16 of 16 cells whole, 0 requests to ask"
    first, second, *_ = sorted((out / "cells").glob("*.jsonl"))
    first.unlink()
    lines = second.read_bytes().splitlines(keepends=True)
    second.with_name(f"{second.name}.part").write_bytes(b"".join(lines[:3]) + lines[3][:9])
    second.unlink()
    assert str(find_kept(out, infos)) == "14 of 16 cells whole, 6 requests to ask"


def test_a_higher_limit_leaves_its_new_requests_to_ask(toy_card: str, tmp_path: Path) -> None:
    evaluate_sweep(sweep(toy_card), tmp_path)
    more = [cell.info for cell in outline_sweep(sweep(toy_card, limit=6)).cells]
    assert str(find_kept(tmp_path, more)) == "0 of 16 cells whole, 32 requests to ask"
    fewer = [replace(info, n_queries=2) for info in more]
    assert str(find_kept(tmp_path, fewer)) == "16 of 16 cells whole, 0 requests to ask"


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        find_kept(tmp_path / "file", [])

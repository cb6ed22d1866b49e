"""Requests asked and scored: what a verdict says, and how far a wrong answer is followed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from toys import sweep
from writing import save_writer

from icl_gap import models
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.run_requests import run_requests
from icl_gap.schema import Divergence, Record

CARD = """\
name: pairs
title: Pairs
licence: CC0
citation: none
language: funql
template: {instruction: "", source_label: "Q:", target_label: "A:"}
loader: tsv
sources: [{kind: local, folder: pairs}]
default_split: plain
splits:
  plain: {train: 2, test: 2, files: {train: train.tsv, test: test.tsv}}
"""
GOLD = "intersection ( a , b )"
SAME = "intersection ( b , a )"
OTHER = "intersection ( b , c )"


def token(text: str) -> str:
    return text.replace(" ", "\u0120").replace("\n", "\u010a")


@pytest.fixture
def card(tmp_path: Path) -> str:
    return write_card(tmp_path, CARD, GOLD)


def write_card(tmp_path: Path, card: str, gold: str) -> str:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for side in ("train", "test"):
        rows = f"{side} one\t{gold}\n{side} two\t{gold}\n"
        (folder / f"{side}.tsv").write_text(rows, encoding="utf-8")
    (tmp_path / "pairs.yaml").write_text(card, encoding="utf-8")
    return str(tmp_path / "pairs.yaml")


def record(card: str, folder: Path, says: list[str], **changes: object) -> Record:
    """What a model that says these tokens comes to on one request."""
    model = save_writer(folder / "writer", ":", *map(token, says))
    spec = sweep(card, models=[{"model": str(model)}], shots=[0], seeds=[0], limit=1, **changes)
    plan = plan_sweep(spec)
    cell = plan.cells[0]
    loaded = models.load_model(cell.model.spec, cell.model.identity)
    request = plan.requests(cell)[0]
    cells = {cell.info.key: cell}
    ((_, found),) = run_requests([request], [request.id], loaded, cells, spec)
    assert isinstance(found, Record)
    return found


@pytest.mark.parametrize("predictions", ["verdict", "full"])
def test_the_gold_answer(card: str, tmp_path: Path, predictions: str) -> None:
    found = record(card, tmp_path, [f" {GOLD}", "\n"], predictions=predictions)
    assert (found.scores, found.reason) == ({"raw": True, "canonical": True}, None)
    assert found.prediction == f" {GOLD}"
    assert found.divergence is None
    assert found.gold_tokens == len(f" {GOLD}")  # cut into bytes, which this model does not write
    assert found.gold_logprob is not None
    assert found.gold_logprob < 0


def test_without_likelihood_the_verdict_is_the_same(card: str, tmp_path: Path) -> None:
    says = [" intersection (", " b", " , a )", "\n"]
    found = record(card, tmp_path, says, likelihood=False)
    whole = record(card, tmp_path, says)
    assert (found.gold_logprob, found.gold_tokens) == (None, whole.gold_tokens)
    assert replace(found, gold_logprob=whole.gold_logprob, seconds=whole.seconds) == whole


def test_an_equivalent_program_is_followed_and_counts(card: str, tmp_path: Path) -> None:
    found = record(card, tmp_path, [" intersection (", " b", " , a )", "\n"])
    assert (found.scores, found.reason) == ({"raw": False, "canonical": True}, "argument order")
    assert found.prediction == f" {SAME}"
    assert found.divergence == Divergence(1, " ", " b", " intersection (")


def test_without_canonical_it_is_not_followed_and_not_judged(card: str, tmp_path: Path) -> None:
    says = [" intersection (", " b", " , a )", "\n"]
    found = record(card, tmp_path, says, canonical=False)
    assert (found.scores, found.reason) == ({"raw": False}, "diverged")
    assert found.prediction is None
    assert found.divergence == Divergence(1, " ", " b", " intersection (")


def test_what_can_be_no_equivalent_program_is_not_followed(card: str, tmp_path: Path) -> None:
    says = [" intersection (", " b", " , c", " )", "\n"]
    found = record(card, tmp_path, says)
    assert (found.scores, found.reason) == ({"raw": False, "canonical": False}, "diverged")
    assert found.prediction is None
    # It left the gold answer here, and the last hope two tokens later.
    assert found.divergence == Divergence(1, " ", " b", " intersection (")


def test_full_predictions_follow_everything(card: str, tmp_path: Path) -> None:
    says = [" intersection (", " b", " , c", " )", "\n"]
    found = record(card, tmp_path, says, predictions="full", canonical=False)
    assert (found.scores, found.reason) == ({"raw": False, "canonical": False}, "different program")
    assert found.prediction == f" {OTHER}"


@pytest.mark.parametrize(
    ("predictions", "says", "expected"),
    [
        ("verdict", [" I_TURN_LEFT", " I_TURN_RIGHT", " I_WALK", "\n"], (True, True)),
        ("verdict", [" I_RUN", "\n"], (False, None)),  # not followed
        ("full", [" I_RUN", "\n"], (False, False)),
        ("full", [" I_WALK", "\n"], (False, True)),
    ],
)
def test_a_whole_answer_is_run(
    tmp_path: Path, predictions: str, says: list[str], expected: tuple[bool, bool | None]
) -> None:
    walks = CARD.replace("language: funql", "language: scan")
    card = write_card(tmp_path, walks, "I_TURN_LEFT I_TURN_RIGHT I_WALK")
    found = record(card, tmp_path, says, predictions=predictions)
    assert (found.scores["canonical"], found.scores.get("execution")) == expected


def test_where_the_normal_form_is_all_a_verdict_tells_of_execution_too(tmp_path: Path) -> None:
    same = CARD.replace("language: funql", "language: tokens")
    card = write_card(tmp_path, same, GOLD)
    found = record(card, tmp_path, [" intersection (", " b", " , c", " )", "\n"])
    assert found.prediction is None
    assert (found.scores["canonical"], found.scores["execution"]) == (False, False)

"""The texts behind results, which hold ids alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from stored import SOME
from tiny import save_embedder
from toys import sweep

from icl_gap.evaluation.config import SweepSpec
from icl_gap.evaluation.planning import plan_sweep
from icl_gap.evaluation.runner import evaluate_sweep
from icl_gap.evaluation.texts import exemplars_of, read_texts
from icl_gap.prompts import Template, render
from icl_gap.results import Results
from icl_gap.sampling import Selection
from icl_gap.schema import Exemplars
from icl_gap.specs import check_spec

WAYS = [
    *({"selection": selection} for selection in get_args(Selection)),
    {"order": "shuffled"},
    {"control": "shuffled_targets"},
    {"control": "shuffled_targets", "order": "reversed"},
    {"control": "targets_only"},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_prompt_is_had_back_from_its_record(toy_card, tmp_path, way) -> None:
    if way == {"selection": "embedding"}:
        way = {**way, "embedder": str(save_embedder(tmp_path, ["one", "two"]))}
    check_prompts(sweep(toy_card, **way), tmp_path)


@pytest.mark.parametrize("control", [None, "shuffled_targets", "targets_only"])
def test_exemplars_of_another_benchmark_are_found_too(toy_card, tmp_path, control) -> None:
    entry = {"name": toy_card, "exemplars_from": {"name": "scan", "split": "mcd1"}}
    spec = sweep(toy_card, datasets=[entry], control=control, selection="bm25")
    results = check_prompts(spec, tmp_path)
    assert {
        id_.partition("-")[0]
        for cell in results
        for record in cell.records
        for id_ in record.exemplar_ids
    } == {"scan"}


def check_prompts(spec: SweepSpec, tmp_path: Path) -> Results:
    results = evaluate_sweep(spec, tmp_path / "results")
    texts = read_texts(results.sweep)
    checked = 0
    for cell in results:
        template = check_spec(cell.info.spec["template"], Template)
        examples = texts.of(cell.info)
        shown = list(texts.shown(cell.info, cell.records))
        for record, seen in zip(cell.records, shown, strict=True):
            chosen = exemplars_of(record, examples)
            shuffled = spec.control == "shuffled_targets" and record.shots > 0
            assert (record.exemplar_target_ids is not None) == shuffled
            asked = Exemplars(examples[record.query_id], chosen, (0.0,) * (len(chosen) + 1))
            prompt = render(template, asked)
            assert prompt.sha256 == record.prompt_sha256
            assert prompt.exemplars == seen
            checked += len(chosen)
    assert checked
    return results


def test_the_pool_is_that_of_the_other_benchmark(toy_card, tmp_path) -> None:
    entry = {"name": toy_card, "exemplars_from": "scan"}
    results = evaluate_sweep(sweep(toy_card, datasets=[entry]), tmp_path / "results")
    texts = read_texts(results.sweep)
    sizes = {
        (cell.info.query_split, cell.info.condition): len(texts.pool(cell.info)) for cell in results
    }
    train, test = sizes["train", "id"], sizes["test", "id"]
    assert sizes == {
        ("train", "id"): train,
        ("test", "id"): test,
        ("train", "ood"): test,
        ("test", "ood"): train,
    }
    assert (train, test) == (8_365, 1_045)


def test_an_unknown_id_is_no_example(toy_card) -> None:
    info = plan_sweep(sweep(toy_card)).cells[0].info
    found = read_texts(sweep(toy_card).model_dump()).of(info)
    one, other = list(found)[:2]
    record = replace(SOME[0], exemplar_ids=(one,), exemplar_target_ids=(other,))
    (exemplar,) = exemplars_of(record, found)
    assert (exemplar.id, exemplar.target_id) == (one, other)
    assert (exemplar.source, exemplar.target) == (found[one].source, found[other].target)
    assert found.get("nothing") is None
    with pytest.raises(KeyError):
        exemplars_of(replace(record, exemplar_target_ids=("nothing",)), found)

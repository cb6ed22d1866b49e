"""The frame of a plan counts what its requests are."""

from __future__ import annotations

import pytest
from toys import sweep

import icl_gap
from icl_gap.errors import InputError
from icl_gap.evaluation.planning import Plan, plan_sweep

SMALL_CONTEXT = {"kind": "random_init", "context_length": 120}


@pytest.fixture
def plan(toy_card) -> Plan:
    models = ["nearest", SMALL_CONTEXT]
    return plan_sweep(sweep(toy_card, models=models, shots=[1, 12], overflow="drop_shots"))


def test_a_row_counts_the_requests_of_its_cell(plan) -> None:
    frame = plan.to_frame()
    assert len(frame) == len(plan.cells) == 32
    for cell, (_, row) in zip(plan.cells, frame.iterrows(), strict=True):
        requests = plan.requests(cell)
        assert row.requests == len(requests)
        assert (row.model, row.condition, row.shots) == (
            cell.info.model,
            cell.info.condition,
            cell.info.shots,
        )
        if cell.info.model == "nearest":
            assert frame.prompt_tokens.isna()[row.name]
            continue
        tokens = [request.tokens for request in requests]
        assert (row.prompt_tokens, row.longest_prompt) == (sum(tokens), max(tokens))
        fewer = [len(each.prompt.exemplars) < cell.info.shots for each in requests]
        assert row.fewer_shots == sum(fewer)
    assert frame.fewer_shots.sum() > 0
    assert frame.left_out.sum() == 0


def test_a_shard_has_its_own_cells_alone(toy_card) -> None:
    models = ["nearest", SMALL_CONTEXT]
    parts = [plan_sweep(sweep(toy_card, models=models), shard=(n, 2)) for n in (0, 1)]
    frames = [part.to_frame() for part in parts]
    assert sorted(map(len, frames)) == sorted(len(part.mine) for part in parts)
    assert sum(map(len, frames)) == len(parts[0].cells)


def test_a_notebook_shows_requests_by_model_and_shots(plan) -> None:
    shown = plan._repr_html_()
    assert "s: 32 cells, 128 requests" in shown
    assert shown.count("<tr>") == 1 + 4
    assert "(untrained)" in shown


@pytest.mark.parametrize("key", ["shotz", "seed"])
def test_a_dict_has_the_faults_of_a_file(toy_card, tmp_path, key) -> None:
    fields = {"name": "s", "datasets": [toy_card], "models": ["nearest"], key: [1]}
    path = tmp_path / "sweep.yaml"
    path.write_text(f"name: s\ndatasets: ['{toy_card}']\nmodels: [nearest]\n{key}: [1]\n")
    said = []
    for each in (fields, path):
        with pytest.raises(InputError) as caught:
            icl_gap.plan_sweep(each)
        said.append(str(caught.value).replace(f"{path}, line 4, ", ""))
    assert said[0] == said[1]

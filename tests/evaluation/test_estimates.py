"""What a model is asked, and what asking it takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from toys import sweep

from icl_gap import prompts
from icl_gap.evaluation.estimates import measure_jobs
from icl_gap.evaluation.planning import Plan, plan_sweep
from icl_gap.models.hf.engine.trie import TokenCounts
from icl_gap.progress import no_progress

MODELS = ["nearest", {"kind": "random_init", "hidden_size": 16}]


def sizes(plan: Plan) -> TokenCounts:
    ((model, benchmark, found),) = measure_jobs(plan, no_progress)
    assert model.identity.family == "opt"
    assert benchmark == "toy"
    return found.counts


def test_every_request_is_counted_as_written_and_once_as_computed(toy_card) -> None:
    plan = plan_sweep(sweep(toy_card, models=MODELS))
    found = sizes(plan)
    cells = [cell for cell in plan.cells if cell.model.tokenizer is not None]
    requests = [request for cell in cells for request in plan.requests(cell)]
    golds = [prompts.gold(request.target) for request in requests]
    assert found.requests == len(requests) == 64
    # Bytes are tokens here.
    assert found.written == sum(request.tokens for request in requests) + sum(map(len, golds))
    asked = {(r.prompt.text, gold) for r, gold in zip(requests, golds, strict=True)}
    paths = {text + gold for text, gold in asked}
    prefixes = {path[:n] for path in paths for n in range(len(path) + 1)}  # with BOS alone
    assert found.computed >= len(prefixes)
    assert found.predicted == sum(len(gold) + 1 for _, gold in asked)
    # Sharing is lost between groups alone: their instruction and BOS are shared even so.
    assert found.computed < 0.55 * found.written


def test_prompts_without_exemplars_are_asked_once_for_all_seeds(toy_card) -> None:
    one = sizes(plan_sweep(sweep(toy_card, models=MODELS, shots=[0], seeds=[0])))
    four = sizes(plan_sweep(sweep(toy_card, models=MODELS, shots=[0], seeds=[0, 1, 2, 3])))
    assert four.written == 4 * one.written
    assert four.computed == one.computed


@pytest.mark.parametrize("canonical", [True, False])
def test_can_still_match_is_that_of_the_normal_form_where_it_is_asked_for(
    toy_card, canonical
) -> None:
    plan = plan_sweep(sweep(toy_card, canonical=canonical))
    cell = plan.cells[3]
    request = plan.requests(cell)[0]
    assert request.id == (cell.info.key, request.query_id)
    sides = cell.benchmark.data.train, cell.benchmark.data.test
    (target,) = (each.target for side in sides for each in side if each.id == request.query_id)
    assert (request.target, request.gold) == (target, f" {target}")
    assert (request.stop, request.rank, request.max_new_bytes) == ("\n", 3, cell.max_new_bytes)
    assert (request.can_still_match is not None) == canonical
    if request.can_still_match:
        assert request.can_still_match(target.replace(" ", "  "))
        assert not request.can_still_match("nothing of it")


def test_a_plan_without_weights_needs_no_torch(tmp_path) -> None:
    fields = {"name": "s", "datasets": ["listops"], "models": ["nearest"], "limit": 2}
    (tmp_path / "sweep.yaml").write_text(json.dumps(fields), encoding="utf-8")
    code = (
        "import sys\nfrom icl_gap.cli import app\n"
        "app(['plan', sys.argv[1]], standalone_mode=False)\n"
        "sys.exit(str({'torch', 'transformers'} & set(sys.modules) or ''))"
    )
    command = [sys.executable, "-c", code, tmp_path / "sweep.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""

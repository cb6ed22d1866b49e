from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from asking import complete
from transformers import AutoModelForCausalLM

from icl_gap.models import (
    RandomInitSpec,
    TransformersSpec,
    identify,
    load_model,
    save_random_init,
)
from icl_gap.models.hf.random_init import build_random_init
from icl_gap.schema import Prompt

FAMILIES = ("opt", "bloom", "codegen")

PROMPTS = [Prompt(str(n), "", (), "walk " * n + "x") for n in range(3)]


def weights(spec: RandomInitSpec) -> dict[str, torch.Tensor]:
    return dict(build_random_init(spec)[0].state_dict())


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_come_from_the_seed_alone(family: Any) -> None:
    torch.manual_seed(1)
    first = weights(RandomInitSpec(family=family))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = weights(RandomInitSpec(family=family))
    assert torch.equal(torch.get_rng_state(), before)
    other = weights(RandomInitSpec(family=family, seed=1))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_and_made_in_memory_are_one_model(tmp_path: Path, family: Any) -> None:
    made = RandomInitSpec(family=family, name="tiny")
    save_random_init(made, tmp_path / "tiny")
    saved = TransformersSpec(model=str(tmp_path / "tiny"))
    models = [load_model(spec, identify(spec)) for spec in (made, saved)]
    answers = [complete(model, PROMPTS, max_new_bytes=6) for model in models]
    assert answers[0] == answers[1]
    assert models[0].info == models[1].info
    assert models[0].info.name == "tiny"
    assert not models[0].info.trained


def test_the_folder_is_one_that_transformers_reads(make_model: Any) -> None:
    _, report = AutoModelForCausalLM.from_pretrained(make_model("opt"), output_loading_info=True)
    assert not any(report.values())


def test_a_damaged_tokenizer_is_told(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{", encoding="utf-8")
    (tmp_path / "merges.txt").write_text("", encoding="utf-8")
    with pytest.raises(Exception, match="cannot read the tokenizer"):
        build_random_init(RandomInitSpec(tokenizer=tmp_path))


PLAN = """
import sys
import icl_gap.models as models
heavy = {"torch", "transformers", "tokenizers", "huggingface_hub", "numpy"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
for spec in (
    models.RandomInitSpec(),
    models.NearestExemplarSpec(),
    models.MockSpec(),
    models.TransformersSpec(model=sys.argv[1]),
):
    models.load_tokenizer(spec, models.identify(spec))
assert not {"torch", "transformers"} & set(sys.modules)
"""


def test_a_plan_needs_no_torch(make_model: Any) -> None:
    command = [sys.executable, "-W", "error", "-c", PLAN, str(make_model("bloom"))]
    subprocess.run(command, check=True)

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from icl_gap.models import TransformersSpec, identify
from icl_gap.nano import train as command
from icl_gap.nano.episodes import Batch
from icl_gap.nano.shapes import SHAPES, build_config
from icl_gap.nano.train import initialize_opt, later_accuracy, train
from icl_gap.nano.training_recipe import LEVELS, Recipe

SHORT = Recipe("codegen", "xxs", steps=12, warm_up=4)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("family", ["codegen", "opt"])
def test_a_run_that_was_cut_off_reaches_the_same_weights(family, tmp_path) -> None:
    recipe = replace(SHORT, family=family)
    train(recipe, tmp_path / "whole")
    train(recipe, tmp_path / "cut", until=7)
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    train(recipe, tmp_path / "cut")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_the_seed_and_the_family_decide_the_weights(tmp_path) -> None:
    for name, recipe in {
        "one": SHORT,
        "again": SHORT,
        "seed": replace(SHORT, seed=1),
        "control": replace(SHORT, control=True),
    }.items():
        train(recipe, tmp_path / name)
    assert weights(tmp_path / "one") == weights(tmp_path / "again")
    assert len({weights(tmp_path / name) for name in ("one", "seed", "control")}) == 3


def test_a_checkpoint_of_another_curriculum_is_refused(tmp_path, monkeypatch) -> None:
    train(SHORT, tmp_path, until=2)
    longer = (*LEVELS[:-1], replace(LEVELS[-1], length=700))
    monkeypatch.setattr("icl_gap.nano.training_recipe.LEVELS", longer)
    with pytest.raises(ValueError, match="another recipe"):
        train(SHORT, tmp_path)


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path) -> None:
    train(SHORT, tmp_path, until=2)
    with pytest.raises(ValueError, match="another recipe"):
        train(replace(SHORT, seed=1), tmp_path)


@pytest.mark.parametrize("family", ["codegen", "bloom", "opt"])
def test_every_family_trains_and_is_written_as_transformers_would(family, tmp_path) -> None:
    given = f"--family {family} --size xxs --control --seed 1 --steps 3 --warm-up 1"
    command.main([*given.split(), "--out", str(tmp_path)])
    folder = tmp_path / f"nano-{family}-xxs-control-seed1"
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float16
    assert model.config.model_type == family
    assert model.config.icl_gap_family == f"nano-{family}-control"
    found = identify(TransformersSpec(model=str(folder)))
    assert (found.name, found.training_seed) == (folder.name, 1)
    told = json.loads((folder / "training_args.json").read_text(encoding="utf-8"))
    assert told["recipe"] == {**told["recipe"], "family": family, "steps": 3, "control": True}
    assert told["progress"]["step"] == 3


def test_opt_has_fixed_waves_for_positions_and_an_output_embedding_of_its_own(tmp_path) -> None:
    train(replace(SHORT, family="opt", size="s", steps=3), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    positions = model.get_decoder().embed_positions.weight.detach()
    place = torch.arange(LEVELS[-1].length)
    apart = torch.cdist(positions[place], positions[place])
    assert apart[place[:-1], place[1:]].std() < 0.01, "a step is as far everywhere"
    apart += torch.eye(len(place)) * apart.max()
    assert apart.min() > 0.5 * apart.mean(), "no place looks like another"
    near = (place[:, None] - place).abs() <= 10
    nearest = apart.where(near, torch.inf).argmin(1)
    assert (nearest - place).abs().max() == 1, "near by, no other place is as near as the next"
    tokens, output = (e.weight for e in (model.get_input_embeddings(), model.lm_head))
    assert tokens.std() > 3 * output.std()


def test_opt_begins_with_heads_that_look_one_to_four_tokens_back() -> None:
    torch.manual_seed(0)
    config = build_config("opt", SHAPES["m"], vocab_size=200, end=0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    initialize_opt(model)
    tokens = torch.randint(1, 200, (1, 300))
    seen = model(tokens, output_attentions=True).attentions
    place = torch.arange(50, 300)[:, None]
    back = torch.arange(50)
    by_distance = torch.stack([layer[0][:, place, place - back].mean(1) for layer in seen[:2]])
    assert by_distance.argmax(-1).tolist() == [[1, 2, 3, 4]] * 2
    assert by_distance[0].amax(-1).min() > 0.5


def test_the_device_decides_the_precision_and_the_folder_tells_it(tmp_path, monkeypatch) -> None:
    for precision in ("bfloat16", "float32"):
        monkeypatch.setattr(command, "has_bfloat16", lambda _, name=precision: name == "bfloat16")
        train(SHORT, tmp_path / precision)
        told = json.loads((tmp_path / precision / "training_args.json").read_text("utf-8"))
        assert told["precision"] == precision
    assert weights(tmp_path / "bfloat16") != weights(tmp_path / "float32")


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="processors tell it on Linux")
def test_a_processor_with_its_instructions_has_bfloat16() -> None:
    told = "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    assert command.has_bfloat16(torch.device("cpu")) == told


@pytest.mark.slow
@pytest.mark.parametrize(("family", "size"), [("codegen", "l"), ("bloom", "m"), ("opt", "m")])
def test_the_warm_up_teaches_copying(family, size, tmp_path) -> None:
    recipe = Recipe(family, size, steps=1500, warm_up=1500, decay=0.1)
    done = train(recipe, tmp_path)
    assert done.loss < 0.5, "guessing among the words of a row costs 2.4 nats"


def test_later_accuracy_counts_whole_known_items_of_the_later_half() -> None:
    item = np.array([[-1, 0, 0, -1, 1, 1, -1, 2, 2, -1, 3]])
    known = item > 0
    batch = Batch(np.zeros_like(item), item >= 0, item, known)
    right = np.ones((1, 10), np.bool_)
    assert later_accuracy(batch, right) == 1.0
    right[0, 6] = False  # a token of item 2; item 3 is cut off, item 0 is early
    assert later_accuracy(batch, right) == 0.5
    right[0, 1] = False
    assert later_accuracy(batch, right) == 0.5
    unknown = replace(batch, known=known & (item != 1))
    assert later_accuracy(unknown, right) == 0.0, "only item 2 counts"
    assert (
        later_accuracy(Batch(batch.tokens, batch.learned, item, known & (item > 5)), right) is None
    )
